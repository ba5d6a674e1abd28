"""Train an image classifier: the loop.

python -m core.image.train --data digits --steps 500
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch.nn.functional import cross_entropy

from core.image.config import ImageConfig
from core.image.data import Pictures
from core.image.session import Session
from core.progress import Checkpoint, Progress, Update

THREADS = 1  # beside a busy neighbour, convolutions on two threads wait for each other

METRICS = {
    "train/loss": "Cross entropy on the batch, with the smoothed labels: how surprised the network is by the right answers.",
    "train/accuracy": "Share of the batch that the network names rightly, as it was augmented.",
    "train/learning_rate": "Size of a step: it rises at first and falls to zero in the end.",
    "val/loss": "Cross entropy on pictures held out. When it rises while train/loss falls, the network memorises.",
    "val/accuracy": "Share of pictures held out that are named rightly.",
}


def train(
    config: ImageConfig, data: Pictures, *, device: torch.device, resume: Checkpoint | None = None
) -> Generator[Progress, Update | None, None]:
    """Yield after every step; send a mapping of live settings to change them.

    Raises `UserError` if settings and pictures don't go together, `Diverged` if the loss is no longer finite.
    """
    run = Session(config, data, device, resume)
    run.learning()
    while run.step < config.steps:
        pictures, labels = run.batch()  # (batch, colours, size, size) or features (batch, 1280), (batch,)
        rate = run.rate()
        logits = run.logits(pictures)  # (batch, classes)
        loss = cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        for optimiser in run.optimisers.values():
            optimiser.zero_grad()
        loss.backward()
        run.finite(loss.item())
        for optimiser in run.optimisers.values():
            optimiser.step()

        metrics = {"train/loss": loss.item(), "train/accuracy": (logits.argmax(1) == labels).float().mean().item()}
        metrics["train/learning_rate"] = rate
        run.step += 1
        if run.due:
            metrics |= run.measure()
        run.take((yield Progress(run.step, config.steps, metrics, run.sample, run.checkpoint)))


if __name__ == "__main__":
    from core.image.data import BUILTIN
    from core.runs import command

    command.main("image", data="digits", names=", ".join(BUILTIN), half=True)
