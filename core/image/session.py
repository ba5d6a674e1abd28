"""The state of one training: network, optimiser, batches, what is measured and drawn, checkpoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import Diverged, UserError
from core.image import backbone
from core.image.config import ImageConfig
from core.image.data import Pictures
from core.image.models import Classifier, network_of
from core.progress import Checkpoint, Update

MEASURED = 1000  # held-out pictures looked at while it trains; the verdict looks at all
SHOWN = 8  # pictures whose answers are drawn
WARM = 0.1  # share of the steps in which the learning rate rises


class Session:
    """A network that learns to tell pictures apart."""

    def __init__(self, config: ImageConfig, data: Pictures, device: torch.device) -> None:
        check(config, data)
        self.config, self.data, self.device, self.step = config, data, device, 0
        torch.manual_seed(config.seed)
        self.random = torch.Generator().manual_seed(config.seed)
        self.network = network_of(config, data.shape, len(data.classes)).to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        self.known = seen(config, data.values[: data.train]).to(device)
        self.labels = torch.from_numpy(data.labels[: data.train]).to(device)
        self.apart = seen(config, data.values[data.train :][:MEASURED]).to(device)
        self.answers = torch.from_numpy(data.labels[data.train :][:MEASURED]).to(device)
        self.order = torch.zeros(0, dtype=torch.int64)  # pictures that wait in this epoch

    def batch(self) -> tuple[Tensor, Tensor]:
        """The next pictures of a shuffled epoch, moved and mirrored as the settings say.  # (batch, ...), (batch,)"""
        if len(self.order) < 2:  # one alone has no spread for batch normalisation: it waits for the next epoch
            self.order = torch.randperm(len(self.known), generator=self.random)
        rows, self.order = self.order[: self.config.batch_size], self.order[self.config.batch_size :]
        return self.augmented(self.known[rows.to(self.device)]), self.labels[rows.to(self.device)]

    def augmented(self, pictures: Tensor) -> Tensor:
        """The batch as it is shown to the network: see `augmented` below.  # the same shape"""
        return augmented(pictures, self.config.augment, self.random)

    def rate(self) -> float:
        """The learning rate of this step: it rises in a straight line, then falls to zero."""
        done = self.step / self.config.steps
        return self.config.learning_rate * min(1.0, (done + 1 / self.config.steps) / WARM, (1 - done) / (1 - WARM))

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
        logits = torch.cat([self.network(part) for part in self.apart.split(500)])
        self.network.train()
        right = (logits.argmax(1) == self.answers).float().mean().item()
        return {"val/loss": F.cross_entropy(logits, self.answers).item(), "val/accuracy": right}

    @torch.no_grad()
    def sample(self) -> dict[str, np.ndarray]:
        """What the page draws: the filters of the first layer, the maps of the first picture, answers for a few."""
        self.network.eval()
        source = self.apart if len(self.apart) else self.known
        shown = source[:SHOWN]
        found: dict[str, Any] = {"answers": self.network(shown).softmax(-1)}
        if shown.ndim == 4:
            maps = shown[:1]
            for number, (name, layer) in enumerate(self.network.layers.named_children()):
                maps = layer(maps)
                if maps.ndim == 4 and maps.shape[-1] > 1:
                    found[f"maps.{number:02d}.{name}"] = maps[0]
            found["filters"] = next(module.weight for module in self.network.modules() if isinstance(module, torch.nn.Conv2d))
        self.network.train()
        return {name: value.detach().float().cpu().numpy().astype(np.float16) for name, value in found.items()}

    def checkpoint(self) -> Checkpoint:
        """Everything, so that `restore` goes on as if nothing had happened."""
        tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        tensors |= {"random.batches": self.random.get_state(), "order": self.order}
        return Checkpoint(tensors, {"step": self.step, "live": {"learning_rate": self.config.learning_rate}})

    def restore(self, saved: Checkpoint) -> None:
        """Take over a checkpoint of the same settings and data. Raises `UserError` if it does not fit."""
        try:
            self.network.load_state_dict(saved.part("network"))
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in saved.part("optimiser").items():
                index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
            self.optimiser.load_state_dict({"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]})
            self.random.set_state(saved.tensors["random.batches"])
            self.order, self.step = saved.tensors["order"].long(), int(saved.state["step"])
            if len(self.order) and not 0 <= int(self.order.min()) <= int(self.order.max()) < len(self.known):
                raise ValueError
            self.config = self.config.updated(saved.state["live"])
        except (KeyError, RuntimeError, ValueError, TypeError):
            raise UserError("The checkpoint does not fit these settings, so the run can't be resumed.") from None


def augmented(pictures: Tensor, how: str, random: torch.Generator) -> Tensor:
    """Pictures (n, c, size, size), each moved by up to a twelfth of its side, and mirrored by chance, as the setting says."""
    if pictures.ndim != 4 or how == "none":
        return pictures
    n, colours, size, _ = pictures.shape
    far, device = max(1, size // 12), pictures.device
    padded = F.pad(pictures, (far, far, far, far), mode="replicate")
    down, right = torch.randint(2 * far + 1, (2, n), generator=random)
    rows = (down[:, None] + torch.arange(size))[:, None, :, None].to(device)
    columns = (right[:, None] + torch.arange(size))[:, None, None, :].to(device)
    moved = padded[torch.arange(n)[:, None, None, None], torch.arange(colours)[None, :, None, None], rows, columns]
    if how == "shift and flip":
        mirrored = (torch.rand(n, generator=random) < 0.5).to(device)
        moved = torch.where(mirrored[:, None, None, None], moved.flip(-1), moved)
    return moved


def check(config: ImageConfig, data: Pictures) -> None:
    """Raises `UserError` if settings and pictures don't go together."""
    if data.train < 2 or len(np.unique(data.labels[: data.train])) < 2:
        raise UserError("There must be pictures of at least two classes to learn from.")
    if config.network != "EfficientNet, new head" and data.shape[1] > 32:
        raise UserError(
            "Networks from scratch learn pictures of up to 32 pixels. Choose the smaller size, or EfficientNet with a new head."
        )


def seen(config: ImageConfig, values: np.ndarray) -> Tensor:
    """Pictures uint8 as the network gets them: -1 to 1, or EfficientNet's features."""
    if config.network == "EfficientNet, new head":
        return backbone.features(values) if len(values) else torch.zeros(0, backbone.FEATURES)
    return scaled(values)


def scaled(values: np.ndarray) -> Tensor:
    """Pictures uint8 (n, c, h, w) -> -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(values)).float().div(127.5).sub(1)


def revived(config: ImageConfig, data: Pictures, saved: Checkpoint) -> Classifier:
    """The network of a checkpoint, ready to answer. Raises `UserError` if the weights do not fit."""
    network = network_of(config, data.shape, len(data.classes))
    try:
        network.load_state_dict(saved.part("network"))
    except RuntimeError:
        raise UserError("The weights of this run do not fit its settings.") from None
    return network.eval()
