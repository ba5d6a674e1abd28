"""Train a recurrent forecaster: the loop.

python -m core.forecasting.train --data airline --steps 200
"""

from __future__ import annotations

import math
from collections.abc import Generator

import torch
from torch.nn.utils import clip_grad_norm_

from core.errors import Diverged
from core.forecasting.config import QUANTILES, ForecastingConfig
from core.forecasting.data import Series
from core.forecasting.models import pinball
from core.forecasting.session import Session
from core.progress import Checkpoint, Progress, Update

THREADS = 1  # small recurrent networks are fastest on one thread

METRICS = {
    "train/loss": "Pinball loss of the batch, in units of the usual correction: how far the three quantiles are off.",
    "train/gradient_norm": "Length of the gradient before clipping. Near 0: nothing is learned. Huge: it explodes.",
    "train/learning_rate": "Step size of the optimiser, as the schedule has it.",
    "val/loss": "The same loss on the validation part, which the network does not learn from.",
    "val/mae": "Mean absolute error of the middle forecast on the validation part, in units of the data.",
}


def train(
    config: ForecastingConfig, data: Series, *, device: torch.device, resume: Checkpoint | None = None
) -> Generator[Progress, Update | None, None]:
    """Yield after every optimiser step; send a mapping of live settings to change them.

    Raises `UserError` if settings and data don't go together, `Diverged` if the loss is no longer finite.
    """
    run = Session(config, data, device)
    if resume:
        run.restore(resume)
    while run.phase != "done":
        past, known, future = run.batch()
        out = run.network.normalised(past, known)  # (batch, horizon, targets, 3)
        loss = pinball(out, run.network.normalise_future(past, future), QUANTILES)
        run.optimiser.zero_grad()
        loss.backward()
        norm = clip_grad_norm_(run.network.parameters(), run.config.clip).item()
        rate = run.set_learning_rate()
        if not math.isfinite(loss.item()) or not math.isfinite(norm):
            raise Diverged(
                f"The loss became {loss.item()} at step {run.step + 1}, so training stopped. What it had learned before is "
                "kept. A smaller learning rate or stronger gradient clipping helps."
            )
        run.optimiser.step()
        run.step += 1
        run.phase_step += 1
        metrics = {"train/loss": loss.item(), "train/gradient_norm": norm, "train/learning_rate": rate}
        if run.due():
            metrics |= run.validate()
        if run.phase_over():
            run.finish_phase()
        update = yield Progress(run.step, run.total, metrics, run.sample, run.checkpoint)
        if update:
            run.config = run.config.updated(update)


if __name__ == "__main__":
    from core.forecasting.data import BUILTIN
    from core.runs import command

    command.main("forecasting", data="airline", names=", ".join(BUILTIN))
