"""What a training holds between two steps: network, optimiser, counters; how it validates, resumes and saves.

The loop itself is in `train.py`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.forecasting.config import QUANTILES, ForecastingConfig
from core.forecasting.data import Series
from core.forecasting.models import RecurrentForecaster, pinball
from core.forecasting.parts import check, difference_of, known_then, season_of, split
from core.forecasting.windows import MOST_VALIDATION, Windows, calendar, extend, spread
from core.progress import Checkpoint

BAND = QUANTILES[-1] - QUANTILES[0]  # share of values that the band is meant to hold


def known_features(config: ForecastingConfig, data: Series) -> np.ndarray:
    """Calendar and covariates for every step and the horizon after the end.  # (length + horizon, features) float64"""
    index = data.times(config.horizon)
    season = season_of(config, data)
    parts = [calendar(index, data.step, season)] if config.calendar else []
    if data.covariates:
        given = data.frame[list(data.covariates)].to_numpy(np.float64)[: len(index)]
        parts.append(extend(given, len(index) - len(given), season))
    return np.concatenate(parts, 1) if parts else np.zeros((len(index), 0))


def build(config: ForecastingConfig, data: Series) -> RecurrentForecaster:
    """A fresh network for these settings and this series. Raises `UserError` if they don't go together."""
    check(config, data)
    return RecurrentForecaster(
        model=config.model,
        targets=len(data.targets),
        known=known_features(config, data).shape[1],
        horizon=config.horizon,
        season=season_of(config, data),
        hidden_size=config.hidden_size,
        layers=config.layers,
        dropout=config.dropout,
        transform=config.transform,
        difference=difference_of(config, data),
    )


class Session:
    """The state of one training.

    phase "select": train on the training part, keep the weights with the best validation loss.
    phase "refit":  train afresh, as many steps as were best, on training and validation part.
    """

    def __init__(self, config: ForecastingConfig, data: Series, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        self.parts = split(data.length, config)
        values = known_then(data.values(), data.filled, self.parts)
        self.windows = Windows(values, known_features(config, data), config.window, config.horizon, device)
        self.step, self.phase_step, self.total = 0, 0, config.steps * (2 if config.refit else 1)
        self.phase: Literal["select", "refit", "done"] = "select"
        self.best_loss, self.best_step, self.worse = math.inf, 0, 0
        self.validation = self.windows.at(spread(self.parts.train, self.parts.validation, MOST_VALIDATION), self.parts.validation)
        self.begin(self.parts.train)
        self.best = self._weights()

    def begin(self, until: int) -> None:
        """A fresh network and optimiser that learn from the steps before `until`."""
        torch.manual_seed(self.config.seed)
        self.until = until
        self.network = build(self.config, self.data).to(self.device)
        self.network.fit_scales(*self.windows.at(spread(self.config.window, until, 4096), until))
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=self.config.weight_decay)
        self.phase_step = 0

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Random windows of the part that is learned from."""
        return self.windows.at(torch.randint(self.config.window, self.until, (self.config.batch_size,)), self.until)

    def set_learning_rate(self) -> float:
        """The rate of this step, by the schedule and the (live) setting."""
        rate = self.config.learning_rate
        if self.config.schedule == "cosine":
            rate *= 0.01 + 0.99 * (1 + math.cos(math.pi * self.phase_step / self.config.steps)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss and mean absolute error on the validation part; remembers the best weights, with their band calibrated."""
        past, known, future = self.validation
        self.network.eval()
        out, wanted = self.network.normalised(past, known), self.network.normalise_future(past, future)
        loss = pinball(out, wanted, QUANTILES).item()
        error = (self.network.denormalise(past, out)[..., 1] - future).abs().nanmean().item()
        if loss < self.best_loss:
            self.network.calibrate(out, wanted, BAND)
            self.best_loss, self.best_step, self.worse, self.best = loss, self.phase_step, 0, self._weights()
        else:
            self.worse += 1
        self.network.train()
        return {"val/loss": loss, "val/mae": error}

    def due(self) -> bool:
        """Whether this step is to be validated: every so often, and at the last one."""
        return self.phase == "select" and (self.phase_step % self.config.validate_every == 0 or self.phase_step == self.config.steps)

    def finish_phase(self) -> None:
        """When steps or patience have run out: refit for as long as was best, or be done."""
        if self.phase == "select" and self.config.refit and self.best_step:
            self.phase, self.total = "refit", self.step + self.best_step
            self.begin(self.parts.validation)
            for name in ("margin", "least"):  # the refit learns from the validation part: the band stays as calibrated before
                getattr(self.network, name).copy_(self.best[name])
            return
        if self.phase == "refit":
            self.best = self._weights()
        self.phase, self.total = "done", self.step

    def phase_over(self) -> bool:
        """Whether this phase has had its steps, or its patience is gone."""
        limit = self.config.steps if self.phase == "select" else self.best_step
        return self.phase_step >= limit or (self.phase == "select" and self.worse >= self.config.patience)

    @torch.no_grad()
    def _calibrate_unseen(self) -> None:
        past, known, future = self.validation
        self.network.eval()
        self.network.calibrate(self.network.normalised(past, known), self.network.normalise_future(past, future), BAND)
        self.network.train()
        self.best = self._weights()

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    # what the page and the disk get

    @torch.no_grad()
    def sample(self) -> dict[str, np.ndarray]:
        """The forecast from the start of the validation part, as it stands: (horizon, targets, 3) float32."""
        past, known, _ = (part[:1] for part in self.windows.at(torch.tensor([self.parts.train]), self.parts.validation))
        self.network.eval()
        forecast = self.network(past, known)[0].float().cpu().numpy()
        self.network.train()
        return {
            "forecast": forecast,
            "origin": np.array([self.parts.train]),
            "refit": np.array([self.config.refit and self.phase != "select"]),
        }

    def checkpoint(self) -> Checkpoint:
        """Everything, so that `restore` goes on as if nothing had happened."""
        if self.phase == "select" and not self.best_step:  # not validated yet: the newest weights are the best there are
            self._calibrate_unseen()
        tensors = {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"model.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        names = ("step", "phase_step", "total", "phase", "best_loss", "best_step", "worse", "until")
        state: dict[str, Any] = {name: getattr(self, name) for name in names}
        live = {"learning_rate": self.config.learning_rate, "clip": self.config.clip}
        return Checkpoint(tensors, state | {"live": live})

    def restore(self, saved: Checkpoint) -> None:
        """Take over a checkpoint of the same settings and data. Raises `UserError` if it does not fit."""
        try:
            self.begin(int(saved.state["until"]))
            for name in ("step", "phase_step", "total", "phase", "best_loss", "best_step", "worse"):
                setattr(self, name, saved.state[name])
            self.network.load_state_dict(saved.part("model"))
            self.best = {name: value.to(self.device) for name, value in saved.part("best").items()}
            self.config = self.config.updated(saved.state["live"])
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in saved.part("optimiser").items():
                index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
            self.optimiser.load_state_dict({"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]})
            torch.set_rng_state(saved.tensors["random.cpu"])
            if self.device.type == "cuda" and "random.cuda" in saved.tensors:
                torch.cuda.set_rng_state(saved.tensors["random.cuda"], self.device)
        except (KeyError, IndexError, RuntimeError, ValueError, TypeError, OverflowError):
            raise UserError("The checkpoint does not fit these settings, so the run can't be resumed.") from None
