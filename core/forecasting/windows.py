"""The windows that networks read, and what is known in advance: calendar and covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

MOST_VALIDATION = 256  # windows looked at in one validation, evenly spread


def calendar(index: pd.Index, step: str, season: int) -> np.ndarray:
    """Where each step falls in its cycles, as sine and cosine pairs.  # (n, 2 * cycles) float64

    Days for steps shorter than a day, weeks for steps up to a day, years for steps up to a quarter; without
    dates, the position in the season.
    """
    phases: list[Any] = []
    if isinstance(index, pd.DatetimeIndex):
        unit = step.lstrip("0123456789").split("-")[0]
        day = (index.hour * 3600 + index.minute * 60 + index.second) / 86400
        if unit in {"h", "min", "s"}:
            phases.append(day)
        if unit in {"h", "min", "s", "D", "B"}:
            phases.append((index.day_of_week + day) / 7)
        if unit in {"h", "D", "B", "W", "MS", "QS"}:
            phases.append((index.day_of_year - 1) / 365.25)
    if not phases and season > 1:
        phases.append(np.arange(len(index)) / season)
    if not phases:
        return np.zeros((len(index), 0))
    turns = 2 * np.pi * np.stack([np.asarray(phase, np.float64) for phase in phases], -1)
    return np.concatenate([np.sin(turns), np.cos(turns)], -1)


def extend(covariates: np.ndarray, steps: int, season: int) -> np.ndarray:
    """Covariates for `steps` more steps: where they are not known, the last season again.  # (n + steps, covariates)"""
    filled = [*covariates]
    for _ in range(steps):
        filled.append(filled[-season] if len(filled) >= season else filled[-1])
    return np.array(filled).reshape(len(filled), covariates.shape[1])


class Windows:
    """All windows of a series, cut out only when asked for.

    values (length, targets) float64; known (length + horizon, covariates) float64.
    """

    def __init__(self, values: np.ndarray, known: np.ndarray, window: int, horizon: int, device: torch.device) -> None:
        padding = np.full((horizon, values.shape[1]), np.nan)
        self.values = torch.tensor(np.concatenate([values, padding]), device=device)
        self.known = torch.tensor(known, device=device)
        self.window, self.horizon = window, horizon

    def at(self, origins: Tensor, until: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows whose forecasts begin at `origins`, knowing nothing from step `until` on.

        Returns past (n, window, targets), known (n, window + horizon, covariates), future (n, horizon, targets)
        with NaN from `until` on: near the end of a part, only the first steps of the horizon are learned from.
        """
        steps = origins.to(self.values.device).unsqueeze(1) + torch.arange(-self.window, self.horizon, device=self.values.device)
        values = self.values[steps]
        future = values[:, self.window :].masked_fill((steps[:, self.window :] >= until).unsqueeze(-1), torch.nan)
        return values[:, : self.window], self.known[steps], future


def spread(begin: int, end: int, most: int) -> Tensor:
    """At most `most` whole numbers from [begin, end), evenly spread."""
    return torch.unique(torch.linspace(begin, end - 1, min(most, end - begin)).round().long())
