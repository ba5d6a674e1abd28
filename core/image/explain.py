"""Why this answer? Maps of what mattered in a picture, by five methods, and the tests that tell which maps can be trusted.

Every method takes a network (pictures -> logits), one picture (1, colours, h, w) and a class, and gives a map (h, w).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

Network = Callable[[Tensor], Tensor]
AT_ONCE = 1_200_000  # numbers of pictures that a gradient is taken of at once: memory
STEPS = 32  # of SmoothGrad
PATH_STEPS = 64  # of integrated gradients: half as many miss the sum of a large network by a fifth
NOISE = 0.15  # of the range of a picture: SmoothGrad
PARTS = 16  # steps of a deletion or insertion curve


def _maps_and_gradient(network: nn.Module, layer: nn.Module, picture: Tensor, kind: int) -> tuple[Tensor, Tensor]:
    """The maps that a layer gives, and how the class's logit changes with them.  # (channels, h, w) each"""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            network(picture.clone().requires_grad_(True))[0, kind].backward()
    finally:
        handle.remove()
    gradient = kept[0].grad
    assert gradient is not None
    network.zero_grad(set_to_none=True)
    return kept[0].detach()[0], gradient[0]


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def grad_cam(network: nn.Module, layer: nn.Module, picture: Tensor, kind: int) -> Tensor:
    """Maps of a layer, each weighted by the mean of its gradient, what is negative cut off (Selvaraju et al. 2017).  # (h, w)"""
    maps, gradient = _maps_and_gradient(network, layer, picture, kind)
    weights = gradient.mean((1, 2))  # (channels,)
    return _enlarged(F.relu((weights[:, None, None] * maps).sum(0)), (picture.shape[2], picture.shape[3]))


def grad_cam_plus(network: nn.Module, layer: nn.Module, picture: Tensor, kind: int) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018): places weighted apart, so that several objects of a class all count.  # (h, w)"""
    maps, gradient = _maps_and_gradient(network, layer, picture, kind)
    second, third = gradient**2, gradient**3
    below = 2 * second + maps.sum((1, 2), keepdim=True) * third
    share = second / torch.where(below == 0, 1.0, below)
    weights = (share * F.relu(gradient)).sum((1, 2))
    return _enlarged(F.relu((weights[:, None, None] * maps).sum(0)), (picture.shape[2], picture.shape[3]))


def _gradient(network: Network, pictures: Tensor, kind: int) -> Tensor:
    """How the class's logit changes with each pixel.  # (n, colours, h, w)"""
    found = []
    for part in pictures.split(max(1, AT_ONCE // pictures[0].numel())):
        with torch.enable_grad():
            given = part.clone().requires_grad_(True)
            found += torch.autograd.grad(network(given)[:, kind].sum(), given)
    return torch.cat(found)


def integrated_gradients(network: Network, picture: Tensor, kind: int, steps: int = STEPS) -> Tensor:
    """The gradient added up on the way from a grey picture, times the way (Sundararajan et al. 2017).  # (h, w), signed

    The map's sum is the logit of the picture minus that of grey, as far as the steps are enough (Gauss-Legendre quadrature, dense at
    both ends of the way: near grey the gradient changes most).
    """
    nodes, weights = (torch.from_numpy(part).float() for part in np.polynomial.legendre.leggauss(steps))
    way = picture * ((nodes + 1) / 2)[:, None, None, None]  # grey is 0
    mean = (_gradient(network, way, kind) * (weights / 2)[:, None, None, None]).sum(0)
    return (mean * picture[0]).sum(0)


def smooth_grad(network: Network, picture: Tensor, kind: int, steps: int = STEPS, seed: int = 0) -> Tensor:
    """The size of the gradient, averaged over noisy copies (Smilkov et al. 2017).  # (h, w)"""
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, *picture.shape[1:], generator=random) * NOISE * float(picture.max() - picture.min())
    return _gradient(network, picture + noise, kind).mean(0).abs().amax(0)


@torch.no_grad()
def occlusion(network: Network, picture: Tensor, kind: int, patch: int = 0) -> Tensor:
    """How much the class's chance falls when a grey patch covers a place (Zeiler and Fergus 2014).  # (h, w), signed"""
    height, width = picture.shape[2:]
    patch = patch or max(2, height // 7)
    stride = max(1, patch // 2)
    before = network(picture).softmax(1)[0, kind]
    fall, count = torch.zeros(height, width), torch.zeros(height, width)
    places = [(y, x) for y in range(0, height - stride + 1, stride) for x in range(0, width - stride + 1, stride)]
    for start in range(0, len(places), 64):
        part = places[start : start + 64]
        covered = picture.repeat(len(part), 1, 1, 1)
        for n, (y, x) in enumerate(part):
            covered[n, :, y : y + patch, x : x + patch] = 0
        for (y, x), after in zip(part, network(covered).softmax(1)[:, kind], strict=True):
            fall[y : y + patch, x : x + patch] += before - after
            count[y : y + patch, x : x + patch] += 1
    return fall / count.clamp(min=1)


METHODS = {
    "Grad-CAM": "Where the last maps speak for the class, weighted by their gradient.",
    "Grad-CAM++": "The same, with each place weighted apart.",
    "Integrated gradients": "Each pixel's share of the logit, on the way from a grey picture.",
    "SmoothGrad": "Which pixels would change the logit, averaged over noisy copies.",
    "Occlusion": "How far the chance falls when a patch is covered.",
}


def maps_of(
    network: nn.Module,
    layer: nn.Module,
    picture: Tensor,
    kind: int,
    steps: int = STEPS,
    path: int = PATH_STEPS,
    methods: Collection[str] = METHODS,
) -> dict[str, np.ndarray]:
    """Methods' maps of one picture, SmoothGrad's in `steps`, that of integrated gradients in `path`.  # name -> (h, w) float32"""
    ways: dict[str, Callable[[], Tensor]] = {
        "Grad-CAM": lambda: grad_cam(network, layer, picture, kind),
        "Grad-CAM++": lambda: grad_cam_plus(network, layer, picture, kind),
        "Integrated gradients": lambda: integrated_gradients(network, picture, kind, path),
        "SmoothGrad": lambda: smooth_grad(network, picture, kind, steps),
        "Occlusion": lambda: occlusion(network, picture, kind, max(2, picture.shape[2] // (7 if steps == STEPS else 4))),
    }
    return {name: way().detach().numpy().astype(np.float32) for name, way in ways.items() if name in methods}


@torch.no_grad()
def curves(network: Network, picture: Tensor, kind: int, heat: np.ndarray) -> dict[str, np.ndarray]:
    """Deletion and insertion (Petsiuk et al. 2018): the class's chance while the hottest pixels turn grey, or come out of grey.

    A map that tells the truth makes the first fall soon and the second rise soon.  # each (PARTS + 1,)
    """
    order = np.argsort(-heat.ravel(), kind="stable")  # what speaks for the class first
    size = heat.size
    deleted, inserted = picture.repeat(PARTS + 1, 1, 1, 1), torch.zeros_like(picture).repeat(PARTS + 1, 1, 1, 1)
    for n in range(PARTS + 1):
        hot = torch.zeros(size, dtype=torch.bool)
        hot[torch.from_numpy(order[: size * n // PARTS].copy())] = True
        mask = hot.view(heat.shape)
        deleted[n, :, mask] = 0
        inserted[n, :, mask] = picture[0, :, mask]
    return {
        "deletion": network(deleted).softmax(1)[:, kind].numpy(),
        "insertion": network(inserted).softmax(1)[:, kind].numpy(),
    }


def shuffled(network: nn.Module, seed: int = 0) -> nn.Module:
    """A copy whose weights are shuffled within each layer: it has learned nothing, and a map that stays the same does not show learning."""
    random, copied = torch.Generator().manual_seed(seed), copy.deepcopy(network)
    with torch.no_grad():
        for parameter in copied.parameters():
            flat = parameter.view(-1)
            flat.copy_(flat[torch.randperm(len(flat), generator=random)])
    return copied


def blank(heat: np.ndarray) -> bool:
    """Whether a map says the same of every pixel."""
    return bool(np.ptp(np.abs(heat)) == 0)


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two maps: 1 the same order of pixels, 0 none in common; NaN if one is blank: it has no order."""
    if blank(first) or blank(second):
        return float("nan")
    return float(spearmanr(np.abs(first).ravel(), np.abs(second).ravel()).statistic)


def adversarial(network: Network, picture: Tensor, kind: int, epsilon: float, steps: int = 1, towards: int | None = None) -> Tensor:
    """A picture no pixel of which is changed by more than `epsilon`, made to look less like `kind`, or more like the class `towards`.

    One step: FGSM (Goodfellow et al. 2015); more: PGD (Madry et al. 2018).  # (1, colours, h, w) in -1 to 1
    """
    changed = picture.clone()
    size = epsilon if steps == 1 else 2.5 * epsilon / steps
    for _ in range(steps):
        with torch.enable_grad():
            given = changed.clone().requires_grad_(True)
            loss = (
                F.cross_entropy(network(given), torch.tensor([kind]))
                if towards is None
                else -F.cross_entropy(network(given), torch.tensor([towards]))
            )
            (slope,) = torch.autograd.grad(loss, given)
        changed = (changed + size * slope.sign()).clamp(-1, 1)
        changed = torch.min(torch.max(changed, picture - epsilon), picture + epsilon)
    return changed
