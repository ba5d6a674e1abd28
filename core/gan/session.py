"""What a fight holds between two steps: two networks, two optimisers, the average of G; how it resumes and saves.

The loop itself is in `train.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Generator as Steps

import numpy as np
import torch
from torch import Tensor, nn

from core.device import cores
from core.errors import Diverged, UserError
from core.gan import judge, quality
from core.gan.config import GanConfig
from core.gan.data import SIZES, SURFACE, Samples
from core.gan.models import Discriminator, Generator, weighted
from core.progress import Checkpoint, Progress, Update

PROBES_POINTS, PROBES_PICTURES = 2000, 500  # samples measured while it trains
SHOWN_POINTS, SHOWN_PICTURES = 800, 64  # samples drawn on the page
MANIFOLD, ARROWS = 21, 80  # points per side of the noise grid; fakes with an arrow
FLOOR = 0.05  # where the cosine schedule ends, as a share of the learning rate


def networks(config: GanConfig, data: Samples) -> tuple[Generator, Discriminator]:
    """Fresh networks for these settings and this dataset. Raises `UserError` if they don't go together."""
    if not data.points and data.shape[-1] not in SIZES:
        raise UserError(f"Pictures must have {SIZES[0]}, {SIZES[1]} or {SIZES[2]} pixels a side.")
    if config.conditional and data.labels is None:
        raise UserError("Class-conditional networks need classes, and this dataset has none. Switch the setting off.")
    classes = len(data.classes) if config.conditional else 0
    generator = Generator(data.shape, latent_dim=config.latent_dim, layers=config.g_layers, width=config.g_width, classes=classes)
    centre, scale = data.scales()
    generator.centre.copy_(torch.from_numpy(centre))
    generator.scale.copy_(torch.from_numpy(scale))
    discriminator = Discriminator(
        data.shape,
        layers=config.d_layers,
        width=config.d_width,
        classes=classes,
        packing=config.packing,
        spectral_norm=config.spectral_norm,
    )
    return generator, discriminator


def draw_noise(config: GanConfig, count: int, random: torch.Generator | None = None) -> Tensor:
    """Where samples begin.  # (count, latent_dim) on the CPU"""
    if config.noise == "uniform":
        return torch.rand(count, config.latent_dim, generator=random) * 2 - 1
    return torch.randn(count, config.latent_dim, generator=random)


class Session:
    """The state of one fight."""

    def __init__(self, config: GanConfig, data: Samples, device: torch.device) -> None:
        if data.train < 2:
            raise UserError(f"{data.train} sample{'s are' if data.train != 1 else ' is'} too few to learn from: at least 2 are needed.")
        self.config, self.data, self.device, self.step = config, data, device, 0
        if not data.points:
            torch.set_num_threads(cores())
        torch.manual_seed(config.seed)
        self.generator, self.discriminator = networks(config, data)
        self.average = networks(config, data)[0].eval()
        for network in (self.generator, self.discriminator, self.average):
            network.to(device)
        if data.start:
            self._begin_with(data.start)
        self.average.load_state_dict(self.generator.state_dict())
        self.g_optimiser = self._optimiser(self.generator, config.g_optimiser)
        self.d_optimiser = self._optimiser(self.discriminator, config.d_optimiser)
        self.values = torch.from_numpy(data.values[: data.train]).to(device)
        self.labels = torch.from_numpy(data.labels[: data.train]).to(device) if config.conditional and data.labels is not None else None
        random = torch.Generator().manual_seed(config.seed)  # apart: looking must not change what comes next
        probes = PROBES_POINTS if data.points else PROBES_PICTURES
        self.probe = draw_noise(config, probes, random).to(device)
        usual = data.usual_labels(probes)
        self.probe_labels = torch.from_numpy(usual).to(device) if config.conditional and usual is not None else None
        self.company = self.generator.from_data(self.values[:PROBES_POINTS].float())  # fills the packs in which single samples are judged
        self.whole: Callable[[], Checkpoint] | None = None  # the last whole round, while a round is shown part by part
        self.reference = self._reference(probes)
        self.covered: np.ndarray | None = None  # which modes were, when last measured

    def _optimiser(self, network: nn.Module, kind: str) -> torch.optim.Optimizer:
        if kind == "adam":
            return torch.optim.Adam(network.parameters(), betas=(self.config.beta1, 0.99), foreach=True)
        return {"rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}[kind](network.parameters(), lr=1e-3, foreach=True)

    def _begin_with(self, start: dict[str, np.ndarray]) -> None:
        """Take over the weights of an earlier run, as far as it names them. Raises `UserError` if they don't fit."""
        given = Checkpoint({name: torch.from_numpy(value.copy()) for name, value in start.items()})
        try:
            self.generator.load_state_dict(given.part("generator"))
            if given.part("discriminator"):
                self.discriminator.load_state_dict(given.part("discriminator"))
        except RuntimeError:
            raise UserError(
                "The weights to start from do not fit these settings: layers, widths, noise and classes must be theirs."
            ) from None

    # what a round needs

    def batch(self) -> tuple[Tensor, Tensor | None]:
        """Random real samples in the networks' units, and their labels if the networks are told."""
        rows = torch.randint(len(self.values), (self.config.batch_size,), device=self.device)
        return self.generator.from_data(self.values[rows].float()), None if self.labels is None else self.labels[rows]

    def noise(self) -> Tensor:
        """Noise for one batch."""
        return draw_noise(self.config, self.config.batch_size).to(self.device)

    def turns(self, who: str) -> int:
        """How often "D" or "G" is updated in this round."""
        if self.config.turn == f"only {'G' if who == 'D' else 'D'}":
            return 0
        return self.config.d_updates if who == "D" else self.config.g_updates

    def update(self, optimiser: torch.optim.Optimizer, rate: float) -> None:
        """One step of an optimiser, at the rate of the schedule."""
        if self.config.schedule == "cosine":
            rate *= FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * min(1.0, self.step / self.config.steps))) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()

    @torch.no_grad()
    def follow(self) -> None:
        """Let the average of G follow G. It warms up: early weights are soon forgotten."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step)) if self.config.ema else 0.0
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - decay)
        for mine, current in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mine.copy_(current)

    def finite(self, *losses: float) -> None:
        """Raises `Diverged` if a loss is no longer a number."""
        if not all(map(math.isfinite, losses)):
            raise Diverged(
                f"A loss became {next(loss for loss in losses if not math.isfinite(loss))} in round {self.step + 1}, so training "
                "stopped. What had been learned before is kept. Smaller learning rates or a stronger penalty help."
            )

    def take(self, update: Update | None) -> None:
        """Live settings that changed."""
        if update:
            self.config = self.config.updated(update)

    def begin_round(self) -> None:
        """In slow motion, keep the state before the round: what is in the middle of one can't be resumed."""
        self.whole = None
        if self.config.sub_steps:
            now = self.checkpoint()
            kept = Checkpoint({name: value.clone() for name, value in now.tensors.items()}, now.state)
            self.whole = lambda: kept

    def part(self, number: int) -> Steps[Progress, Update | None, None]:
        """In slow motion, stop after part `number` (1-6: D's update, 7-12: G's) of a round."""
        if self.config.sub_steps:
            self.take((yield Progress(self.step + 1, self.config.steps, {"flow/part": float(number)}, self.sample, self.whole)))

    # what is measured

    def _reference(self, count: int) -> np.ndarray:
        """What the samples are compared with while it trains: training points, or the judge's features of pictures."""
        real = self.data.values[: min(self.data.train, count)]
        return real if self.data.points else judge.look(judge.load(self.data.builtin), real)[0]

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """The quality of the samples now, as metrics `quality/...`."""
        fake = self.average.to_data(self.average(self.probe, self.probe_labels)).cpu().numpy()
        self.finite(float(fake.sum(dtype=np.float64)))
        if self.data.points:
            found = quality.of_points(self.reference, fake, self.data.modes, self.data.spread)
            if self.data.modes is not None:
                self.covered, _ = quality.modes_covered(fake, self.data.modes, self.data.spread)
        else:
            seen = judge.look(judge.load(self.data.builtin), to_pictures(fake))
            asked = None if self.probe_labels is None else self.probe_labels.cpu().numpy()
            found = quality.of_pictures(self.reference, *seen, asked=asked, named=bool(self.data.builtin))
        return {f"quality/{name}": value for name, value in found.items() if math.isfinite(value)}

    def due(self) -> bool:
        """Whether this round is to be measured."""
        return self.step == 1 or self.step % self.config.evaluate_every == 0 or self.step == self.config.steps

    # what the page and the disk get

    def sample(self) -> dict[str, np.ndarray]:
        """What the page draws: samples, D's view of them, and every layer's weights and gradients."""
        modes = [(network, network.training) for network in (self.generator, self.discriminator)]
        for network, _ in modes:
            network.eval()
        found = points_view(self) if self.data.points else pictures_view(self)
        if self.covered is not None:
            found["covered"] = self.covered.astype(np.uint8)
        for name, network in (("g", self.generator), ("d", self.discriminator)):
            layers = weighted(network)
            found[f"{name}_weights"] = np.array([float(layer.weight.detach().norm()) for layer in layers], np.float32)
            gradients = [[p.grad.norm() for p in layer.parameters() if p.grad is not None] for layer in layers]
            found[f"{name}_gradients"] = np.array([float(torch.stack(g).norm()) if g else 0.0 for g in gradients], np.float32)
        for network, before in modes:  # last: with spectral norm, even reading a weight changes it while training
            network.train(before)
        return found

    def checkpoint(self) -> Checkpoint:
        """Everything, so that `restore` goes on as if nothing had happened. Raises `Diverged` rather than keep broken weights."""
        self.finite(*(float(value.detach().sum()) for network in (self.generator, self.discriminator) for value in network.parameters()))
        tensors: dict[str, Tensor] = {}
        for name in ("generator", "discriminator", "average"):
            tensors |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        for name in ("g_optimiser", "d_optimiser"):
            for index, moments in getattr(self, name).state_dict()["state"].items():
                tensors |= {f"{name}.{index}.{key}": value for key, value in moments.items() if isinstance(value, Tensor)}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        live = {name: getattr(self.config, name) for name in ("g_learning_rate", "d_learning_rate", "penalty")}
        return Checkpoint(tensors, {"step": self.step, "live": live})

    def restore(self, saved: Checkpoint) -> None:
        """Take over a checkpoint of the same settings and data. Raises `UserError` if it does not fit."""
        try:
            for name in ("generator", "discriminator", "average"):
                getattr(self, name).load_state_dict(saved.part(name))
            for name in ("g_optimiser", "d_optimiser"):
                optimiser: torch.optim.Optimizer = getattr(self, name)
                moments: dict[int, dict[str, Tensor]] = {}
                for key, value in saved.part(name).items():
                    index, moment = key.split(".")
                    moments.setdefault(int(index), {})[moment] = value
                optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
            self.step = int(saved.state["step"])
            self.config = self.config.updated(saved.state["live"])
            torch.set_rng_state(saved.tensors["random.cpu"])
            if self.device.type == "cuda" and "random.cuda" in saved.tensors:
                torch.cuda.set_rng_state(saved.tensors["random.cuda"], self.device)
        except (KeyError, RuntimeError, ValueError, TypeError):
            raise UserError("The checkpoint does not fit these settings, so the run can't be resumed.") from None


def to_pictures(values: np.ndarray) -> np.ndarray:
    """Pictures in the data's units -> uint8."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def points_view(run: Session) -> dict[str, np.ndarray]:
    """Fakes, D's surface, the warped noise grid and arrows where D pushes, all in the data's units, float32."""
    generator, d = run.average, run.discriminator
    labels = None if run.probe_labels is None else run.probe_labels[:SHOWN_POINTS]
    with torch.no_grad():
        fake = generator(run.probe[:SHOWN_POINTS], labels)
        x, y = run.data.axes()
        grid = torch.from_numpy(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)).to(run.device)
        told = None if labels is None else torch.zeros(len(grid), dtype=torch.long, device=run.device)
        surface = d.each(generator.from_data(grid), told, company=run.company).view(SURFACE, SURFACE)
        side = torch.linspace(-1, 1, MANIFOLD)
        if run.config.noise == "normal":  # at quantiles, so that every cell of the grid holds equally many samples
            side = torch.special.ndtri(torch.linspace(0.02, 0.98, MANIFOLD))
        noise = torch.zeros(MANIFOLD, MANIFOLD, run.config.latent_dim)
        noise[..., 0] = side
        if run.config.latent_dim > 1:
            noise[..., 1] = side.unsqueeze(1)
        warped = generator(noise.view(-1, run.config.latent_dim).to(run.device), None if told is None else told[: MANIFOLD**2])
    pushed = fake[:ARROWS].detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(d.each(pushed, None if labels is None else labels[:ARROWS], company=run.company).sum(), pushed)
    arrays = {
        "fake": generator.to_data(fake),
        "surface": surface,
        "manifold": generator.to_data(warped).view(MANIFOLD, MANIFOLD, 2),
        "arrows": gradient * generator.scale,
    }
    return {name: value.detach().float().cpu().contiguous().numpy() for name, value in arrays.items()}


@torch.no_grad()
def pictures_view(run: Session) -> dict[str, np.ndarray]:
    """The same 64 noises as pictures, uint8, and D's numbers for them."""
    labels = None if run.probe_labels is None else run.probe_labels[:SHOWN_PICTURES]
    fake = run.average(run.probe[:SHOWN_PICTURES], labels)
    logits = run.discriminator.each(fake, labels, company=run.company)
    return {"pictures": to_pictures(run.average.to_data(fake).cpu().numpy()), "logits": logits.float().cpu().numpy()}
