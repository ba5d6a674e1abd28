"""The state of one training: network, optimiser, batches, what is measured and drawn, checkpoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import Diverged, UserError
from core.image import backbone, warm
from core.image.config import HEAD, NORMALISED, SCRATCH, TUNED, ImageConfig
from core.image.data import Pictures
from core.image.models import Classifier, head, network_of, whole
from core.image.muon import Muon
from core.progress import Checkpoint, Update

MUON = "muon_optimiser"  # its name in a checkpoint, beside AdamW's "optimiser"
AT_ONCE = 250  # pictures that a network answers for at once
KEPT_MAPS = 16  # of each layer, in what is drawn
MEASURED = 1000  # held-out pictures looked at while it trains; the verdict looks at all
SHOWN = 8  # pictures whose answers are drawn
SLOWER = 0.1  # the learning rate of what was learned before, as a share of the last layer's
RISING = 0.1  # share of the steps in which the learning rate rises


class Session:
    """A network that learns to tell pictures apart."""

    def __init__(self, config: ImageConfig, data: Pictures, device: torch.device, resume: Checkpoint | None = None) -> None:
        check(config, data)
        self.config, self.data, self.device, self.step = config, data, device, 0
        torch.manual_seed(config.seed)
        self.random = torch.Generator().manual_seed(config.seed)
        self.network = (network_of(config, data.shape, len(data.classes)) if resume else begun(config, data)).to(device)
        if config.precision == "bfloat16":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimisers = optimisers(config, self.network)
        values, labels = data.known()
        self.known = (seen(config, values) if config.network == HEAD else torch.tensor(values)).to(device)
        self.labels = torch.tensor(labels, device=device)
        self.apart = seen(config, data.held_out()[0][:MEASURED]).to(device)
        self.answers = torch.tensor(data.held_out()[1][:MEASURED], device=device)
        self.order = torch.zeros(0, dtype=torch.int64)  # pictures that wait in this epoch
        if resume:
            self.restore(resume)

    def learning(self) -> None:
        """Let the network learn. Fine-tuned, its batch normalisation stays as it was: a few photos tell too little of their spread."""
        self.network.train()
        if self.config.network == TUNED:
            for module in self.network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()

    def batch(self) -> tuple[Tensor, Tensor]:
        """The next pictures of a shuffled epoch, moved and mirrored as the settings say.  # (batch, ...), (batch,)"""
        if len(self.order) < 2:  # one alone has no spread for batch normalisation: it waits for the next epoch
            self.order = torch.randperm(len(self.known), generator=self.random)
        rows, self.order = self.order[: self.config.batch_size], self.order[self.config.batch_size :]
        return self.augmented(self.known[rows.to(self.device)]), self.labels[rows.to(self.device)]

    def augmented(self, pictures: Tensor) -> Tensor:
        """The batch as it is shown to the network: see `augmented` below.  # uint8 or features -> float32 of the same shape"""
        return augmented(scaled(pictures), self.config.augment, self.random) if pictures.dtype == torch.uint8 else pictures

    def logits(self, pictures: Tensor) -> Tensor:
        """What the network says of a batch, in the precision of the settings.  # (batch, classes) float32"""
        if self.config.precision == "float32" or pictures.ndim != 4:
            return self.network(pictures)
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.network(pictures.to(memory_format=torch.channels_last)).float()

    def rate(self) -> float:
        """The learning rate of this step, set in the optimisers: it rises in a straight line, then falls to zero."""
        done = self.step / self.config.steps
        part = min(1.0, (done + 1 / self.config.steps) / RISING, (1 - done) / (1 - RISING))
        for name, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = part * (self.config.filter_rate if name == MUON else self.config.learning_rate) * group.get("share", 1.0)
        return part * self.config.learning_rate

    def finite(self, loss: float) -> None:
        """Raises `Diverged` if the loss is no number."""
        if not math.isfinite(loss):
            raise Diverged(
                f"The loss became {loss} in step {self.step + 1}, so training stopped. What had been learned before is kept. "
                "A smaller learning rate helps."
            )

    def take(self, update: Update | None) -> None:
        """Live settings that changed."""
        if update:
            self.config = self.config.updated(update)

    @property
    def due(self) -> bool:
        """Whether this step is to be measured."""
        return self.step == 1 or self.step % self.config.evaluate_every == 0 or self.step == self.config.steps

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Loss and accuracy on pictures held out."""
        if not len(self.apart):
            return {}
        self.network.eval()
        logits = torch.cat([self.network(part) for part in self.apart.split(AT_ONCE)])
        self.learning()
        right = (logits.argmax(1) == self.answers).float().mean().item()
        return {"val/loss": F.cross_entropy(logits, self.answers).item(), "val/accuracy": right}

    @torch.no_grad()
    def sample(self) -> dict[str, np.ndarray]:
        """What the page draws: the filters of the first layer, the maps of the first picture, answers for a few and what they are."""
        self.network.eval()
        shown = self.apart[:SHOWN] if len(self.apart) else seen(self.config, self.data.values[:SHOWN]).to(self.device)
        truth = self.answers if len(self.apart) else self.labels
        found: dict[str, Any] = {"answers": self.network(shown).softmax(-1), "truth": truth[: len(shown)]}
        if shown.ndim == 4:
            maps = shown[:1]
            for number, (name, layer) in enumerate(self.network.layers.named_children()):
                maps = layer(maps)
                if maps.ndim == 4 and maps.shape[-1] > 1:
                    found[f"maps.{number:02d}.{name}"] = maps[0, :KEPT_MAPS]
            found["filters"] = next(module.weight for module in self.network.modules() if isinstance(module, torch.nn.Conv2d))
        self.learning()
        return {name: value.detach().float().cpu().numpy().astype(np.float16) for name, value in found.items()}

    def checkpoint(self) -> Checkpoint:
        """Everything, so that `restore` goes on as if nothing had happened."""
        tensors: dict[str, Tensor] = {f"network.{name}": value.contiguous() for name, value in self.network.state_dict().items()}
        for part, optimiser in self.optimisers.items():
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"{part}.{index}.{name}": value.contiguous() for name, value in moments.items()}
        tensors |= {"random.batches": self.random.get_state(), "order": self.order}
        return Checkpoint(tensors, {"step": self.step, "live": {"learning_rate": self.config.learning_rate}})

    def restore(self, saved: Checkpoint) -> None:
        """Take over a checkpoint of the same settings and data. Raises `UserError` if it does not fit."""
        try:
            self.network.load_state_dict(saved.part("network"))
            for part, optimiser in self.optimisers.items():
                moments: dict[int, dict[str, Tensor]] = {}
                for key, value in saved.part(part).items():
                    index, name = key.split(".")
                    moments.setdefault(int(index), {})[name] = value
                optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
            self.random.set_state(saved.tensors["random.batches"])
            self.order, self.step = saved.tensors["order"].long(), int(saved.state["step"])
            if len(self.order) and not 0 <= int(self.order.min()) <= int(self.order.max()) < len(self.known):
                raise ValueError
            self.config = self.config.updated(saved.state["live"])
        except (KeyError, RuntimeError, ValueError, TypeError):
            raise UserError("The checkpoint does not fit these settings, so the run can't be resumed.") from None


def begun(config: ImageConfig, data: Pictures) -> Classifier:
    """The network before its first step: with random weights, ImageNet's, or those of another run (see `warm`)."""
    network = network_of(config, data.shape, len(data.classes))
    if config.network == TUNED:
        known = whole(backbone.load(), head(len(data.classes))).state_dict()
        wanted = network.state_dict()
        network.load_state_dict({name: known.get(name, value) for name, value in wanted.items()})
    if config.warm:
        warm.take(network, config, data)
    return network


def optimisers(config: ImageConfig, network: Classifier) -> dict[str, torch.optim.Optimizer]:
    """AdamW as "optimiser"; with Muon that for the filters, and AdamW for the rest.

    Fine-tuned, all but the last layer learns at a tenth of the rate: it knows much already.
    """
    orthogonal = config.optimiser == "Muon" and config.network in NORMALISED
    filters = [weights for weights in network.parameters() if weights.ndim == 4 and orthogonal]
    taken = {id(weights) for weights in filters}
    rest = [weights for weights in network.parameters() if id(weights) not in taken]
    groups: list[dict[str, Any]] = [{"params": rest}]
    if config.network == TUNED:
        groups = [{"params": rest[:-2], "share": SLOWER}, {"params": rest[-2:]}]  # the last two: weights and bias of the output
    adam = torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay)
    return {"optimiser": adam, MUON: Muon(filters, config.filter_rate)} if filters else {"optimiser": adam}


def augmented(pictures: Tensor, how: str, random: torch.Generator) -> Tensor:
    """Pictures (n, c, size, size), each moved by up to a twelfth of its side, and mirrored by chance, as the setting says.

    With cutout it is moved by up to an eighth, and a grey square of a third of the side covers a part (DeVries and Taylor 2017).
    """
    if how == "none":
        return pictures
    n, colours, size, _ = pictures.shape
    far, device = max(1, size // (8 if "cutout" in how else 12)), pictures.device
    padded = F.pad(pictures, (far, far, far, far), mode="replicate")
    down, right = torch.randint(2 * far + 1, (2, n), generator=random)
    rows = (down[:, None] + torch.arange(size))[:, None, :, None].to(device)
    columns = (right[:, None] + torch.arange(size))[:, None, None, :].to(device)
    moved = padded[torch.arange(n)[:, None, None, None], torch.arange(colours)[None, :, None, None], rows, columns]
    if "flip" in how:
        mirrored = (torch.rand(n, generator=random) < 0.5).to(device)
        moved = torch.where(mirrored[:, None, None, None], moved.flip(-1), moved)
    if "cutout" in how:
        top, left = (start[:, None].to(device) for start in torch.randint(size - size // 3 + 1, (2, n), generator=random))
        place = torch.arange(size, device=device)
        high, wide = ((place >= start) & (place < start + size // 3) for start in (top, left))
        moved = moved.masked_fill((high[:, :, None] & wide[:, None, :])[:, None], 0)
    return moved


def check(config: ImageConfig, data: Pictures) -> None:
    """Raises `UserError` if settings and pictures don't go together."""
    if not len(data.values):
        raise UserError(f"The pictures of {data.name} are not on this machine. Download them under Data, or choose other pictures.")
    if data.train < 2 or len(np.unique(data.labels[: data.train])) < 2:
        raise UserError("There must be pictures of at least two classes to learn from.")
    if config.network == TUNED and data.shape != (3, backbone.SMALL, backbone.SMALL):
        raise UserError(f"Fine-tuning is for photos in colour of {backbone.SMALL} pixels. Choose those, or another network.")
    if config.network in SCRATCH and data.shape[1] > 32:
        raise UserError(
            "Networks from scratch learn pictures of up to 32 pixels. Choose the smaller size, or EfficientNet with a new head."
        )


def seen(config: ImageConfig, values: np.ndarray) -> Tensor:
    """Pictures uint8 as the network gets them: -1 to 1, or EfficientNet's features."""
    if config.network == HEAD:
        return backbone.features(values) if len(values) else torch.zeros(0, backbone.FEATURES)
    return scaled(values)


def scaled(values: np.ndarray | Tensor) -> Tensor:
    """Pictures uint8 (n, c, h, w) -> -1 to 1."""
    given = torch.tensor(values) if isinstance(values, np.ndarray) else values
    return given.float().div(127.5).sub(1)


def revived(config: ImageConfig, data: Pictures, saved: Checkpoint) -> Classifier:
    """The network of a checkpoint, ready to answer. Raises `UserError` if the weights do not fit."""
    network = network_of(config, data.shape, len(data.classes))
    try:
        network.load_state_dict(saved.part("network"))
    except RuntimeError:
        raise UserError("The weights of this run do not fit its settings.") from None
    return network.eval()
