"""Look inside: what D attends to, what every layer holds, and where the two stand on the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from core.errors import UserError
from core.gan.models import weighted
from core.gan.predict import opened


def saliency(run_id: str, count: int, seed: int) -> dict[str, np.ndarray]:
    """Which pixels move D's number: the gradient's length per pixel (Simonyan et al. 2014).

    `pictures` (2 * count, colours, size, size) uint8: real ones, then fakes; `maps` (2 * count, size, size) in 0 to 1;
    `logits` (2 * count,).
    """
    trained = opened(run_id)
    data = trained.data
    if data.points:
        raise UserError("Points have no pixels: their gradients are the arrows of the live picture.")
    rows = np.random.default_rng(seed).permutation(len(data.values))[:count]
    kinds = trained.labels(len(rows))
    fake = trained.make(trained.noise(len(rows), seed), kinds)
    pictures = np.concatenate([data.values[rows], fake])
    labels = None
    if kinds is not None and data.labels is not None:
        labels = torch.cat([torch.from_numpy(data.labels[rows]), kinds]).to(trained.device)
    given = trained.generator.from_data(torch.from_numpy(pictures).float().to(trained.device)).requires_grad_(True)
    logits = trained.discriminator.each(given, labels, company=trained.company)
    (gradient,) = torch.autograd.grad(logits.sum(), given)
    maps = gradient.square().sum(1).sqrt()
    maps = maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-12)
    return {"pictures": pictures, "maps": maps.cpu().numpy(), "logits": logits.detach().cpu().numpy()}


def layers(run_id: str) -> dict[str, list[str]]:
    """The layers of both networks in words, first to last, as in the rows of the samples' `g_weights` and the like."""
    trained = opened(run_id)
    return {
        name: [f"{number}. {_words(layer)}" for number, layer in enumerate(weighted(network), 1)]
        for name, network in (("g", trained.generator), ("d", trained.discriminator))
    }


def _words(layer: Any) -> str:
    if isinstance(layer, torch.nn.Linear):
        return f"linear {layer.in_features} to {layer.out_features}"
    kind = "transposed convolution" if isinstance(layer, torch.nn.ConvTranspose2d) else "convolution"
    return f"{kind} {layer.in_channels} to {layer.out_channels}"


@torch.no_grad()
def path_of_a_sample(run_id: str, seed: int) -> dict[str, Any]:
    """One noise on its way through both networks: the size of what every layer says, and the numbers at both ends.

    `noise` (latent_dim,), `g` and `d`: (layer in words, units, mean absolute output) each, `sample`, `logit`.
    """
    trained = opened(run_id)
    seen: dict[str, list[tuple[str, int, float]]] = {"g": [], "d": []}
    hooks = []
    for name, network in (("g", trained.generator), ("d", trained.discriminator)):
        for layer in weighted(network):

            def note(layer: Any, given: Any, said: torch.Tensor, name: str = name) -> None:
                seen[name].append((_words(layer), said[0].numel(), float(said.abs().mean())))

            hooks.append(layer.register_forward_hook(note))
    noise, labels = trained.noise(1, seed), trained.labels(1)
    try:
        value = trained.make(noise, labels)
        logit = trained.logits(value, labels)
    finally:
        for hook in hooks:
            hook.remove()
    return {"noise": noise[0].numpy(), "sample": value[0], "logit": float(logit[0]), **seen}


def surface(run_id: str, label: int = 0) -> dict[str, np.ndarray]:
    """D's number over the plane: `x`, `y` (41,), `logits` (41, 41) with rows along y. Raises `UserError` for pictures."""
    trained = opened(run_id)
    if not trained.data.points:
        raise UserError("D's view of pictures has no plane to be drawn on.")
    x, y = trained.data.axes()
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return {"x": x, "y": y, "logits": trained.logits(grid, trained.labels(len(grid), label)).reshape(len(y), len(x))}
