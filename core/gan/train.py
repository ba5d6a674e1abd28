"""Train a generator against a discriminator: the loop.

python -m core.gan.train --data ring8 --steps 200
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

import torch

from core.gan.config import GanConfig
from core.gan.data import Samples
from core.gan.objectives import OBJECTIVES, penalty
from core.gan.session import Session
from core.progress import Checkpoint, Progress, Update

THREADS = 1  # small networks for points are fastest on one; for pictures the session takes every core

METRICS = {
    "train/d_loss": "Loss of D in the chosen objective, without the penalty. It need not fall: the rival learns too.",
    "train/g_loss": "Loss of G. It rises when D gets better; watch the quality, not this.",
    "train/penalty": "What D's steepness costs, already weighted.",
    "train/d_accuracy": "How often D gives the real one of a pair the larger number. 0.5: it can't tell; 1: it always can.",
    "quality/": "The quality of the samples, measured now and then; each measure is explained under the verdict.",
    "flow/part": "In slow motion: the part of the round just done, 1 to 6 for D, 7 to 12 for G.",
}


def train(
    config: GanConfig, data: Samples, *, device: torch.device, resume: Checkpoint | None = None
) -> Generator[Progress, Update | None, None]:
    """Yield after every round; send a mapping of live settings to change them.

    Raises `UserError` if settings and data don't go together, `Diverged` if a loss is no longer finite.
    """
    run = Session(config, data, device)
    if resume:
        run.restore(resume)
    g, d, objective = run.generator, run.discriminator, OBJECTIVES[config.objective]
    while run.step < config.steps:
        metrics: dict[str, float] = {}
        run.begin_round()

        for _ in range(run.turns("D")):
            (real, labels), noise = run.batch(), run.noise()
            yield from run.part(1)
            with torch.no_grad():
                fake = g(noise, labels)  # as real: (batch, ...)
            yield from run.part(2)
            real_logits, fake_logits = d(real, labels), d(fake, labels)  # (batch / packing,)
            yield from run.part(3)
            loss = objective.discriminator(real_logits, fake_logits)
            cost = run.config.penalty * penalty(config.regulariser, partial(d, labels=labels), real, fake, config.packing)
            yield from run.part(4)
            run.d_optimiser.zero_grad()
            (loss + cost).backward()
            yield from run.part(5)
            metrics["train/d_loss"], metrics["train/penalty"] = loss.item(), cost.item()
            metrics["train/d_accuracy"] = (real_logits > fake_logits).float().mean().item()
            run.finite(metrics["train/d_loss"], metrics["train/penalty"])
            run.update(run.d_optimiser, run.config.d_learning_rate)
            yield from run.part(6)

        d.requires_grad_(False)  # G learns through D, D stands still
        for _ in range(run.turns("G")):
            (real, labels), noise = run.batch(), run.noise()
            yield from run.part(7)
            fake = g(noise, labels)
            yield from run.part(8)
            real_logits, fake_logits = d(real, labels), d(fake, labels)
            yield from run.part(9)
            loss = objective.generator(real_logits, fake_logits)
            yield from run.part(10)
            run.g_optimiser.zero_grad()
            loss.backward()
            yield from run.part(11)
            metrics["train/g_loss"] = loss.item()
            run.finite(metrics["train/g_loss"])
            run.update(run.g_optimiser, run.config.g_learning_rate)
            run.follow()
            yield from run.part(12)
        d.requires_grad_(True)

        run.step += 1
        if run.due():
            metrics |= run.measure()
        run.take((yield Progress(run.step, config.steps, metrics, run.sample, run.checkpoint)))


if __name__ == "__main__":
    from core.gan.data import BUILTIN
    from core.runs import command

    command.main("gan", data="ring8", names=", ".join(BUILTIN))
