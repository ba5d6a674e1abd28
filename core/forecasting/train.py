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


def main() -> None:
    """Train on a built-in series; print the progress and the verdict, or save the whole run into a folder."""
    import shutil
    from pathlib import Path

    from pydantic import Field
    from pydantic_settings import CliApp

    from core.device import prepare
    from core.forecasting.data import builtin
    from core.forecasting.predict import verdict
    from core.runs import files, store, worker

    class Command(ForecastingConfig):
        """Train a recurrent forecaster on a built-in series."""

        data: str = Field("airline", description="Built-in series: airline, co2, sunspots, nile, elnino.")
        preset: str = Field("", description="Start from this preset; other options come on top.")
        save: str = Field("", description="Folder that becomes the run's folder: weights, metrics, samples, verdict.")

    command = CliApp.run(Command)
    given = {name: value for name, value in command.differing().items() if name in ForecastingConfig.model_fields}
    config, series = ForecastingConfig.from_preset(command.preset).updated(given), builtin(command.data)
    if command.save:
        run = store.create("forecasting", config, series, data=series.name)
        worker.train_here(run.id)
        shutil.rmtree(command.save, ignore_errors=True)
        (store.folder(run.id) / files.RESERVE).unlink()
        shutil.move(store.folder(run.id), Path(command.save))
        return
    last: list[Progress] = []

    def kept() -> Generator[Progress, Update | None, None]:
        for progress in train(config, series, device=prepare(THREADS, config.seed)):
            last[:] = [progress]
            yield progress

    for line in worker.progress_lines(kept()):
        print(line)
    if last[0].checkpoint:
        print(verdict(config, series, last[0].checkpoint())["sentence"])


if __name__ == "__main__":
    main()
