"""Cut a series in time: training, validation and test part, and the starting points of a backtest. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from core.errors import UserError
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import Series

LARGEST = 1e30  # beyond it, squares no longer fit the numbers that torch calculates with
MOST_ORIGINS = 25  # starting points of a backtest; a longer test part takes a larger stride


class Split(NamedTuple):
    """Where the parts end. Training is [0, train), validation [train, validation), test [validation, length)."""

    train: int
    validation: int
    length: int


def split(length: int, config: Any) -> Split:
    """The three parts of a series of `length` steps. Raises `UserError` if it is too short for the settings."""
    test = config.test_size or max(config.horizon, length // 10)
    validation = config.validation_size or max(min(config.horizon, (length - test) // 4), (length - test) // 10)
    train = length - test - validation
    if train < config.window + 2 or validation < 1:
        raise UserError(
            f"{length:,} steps are too few: with {test} for the test and {validation} for validation, {max(train, 0)} are left "
            f"for training, and an input window of {config.window} needs at least {config.window + 2}. Choose a shorter window "
            "or horizon, or bring a longer series."
        )
    return Split(train, train + validation, length)


def season_of(config: ForecastingConfig, data: Series) -> int:
    """The season length in force: the setting, or the series' own."""
    return config.season or data.season


def difference_of(config: ForecastingConfig, data: Series) -> str:
    """The difference in force: "auto" takes the last season if there is one and the window holds it."""
    if config.difference != "auto":
        return config.difference
    return "last season" if 2 <= season_of(config, data) <= config.window else "last value"


def check(config: ForecastingConfig, data: Series) -> None:
    """Raises `UserError` if settings and series don't go together, though the series is long enough."""
    season = season_of(config, data)
    difference = difference_of(config, data)
    if "season" in difference and (season < 2 or season > config.window):
        raise UserError(
            f"Difference '{difference}' needs a season of at least 2 steps (it is {season}) that fits into the input "
            f"window of {config.window}. Set the season length, a longer window, or another difference."
        )
    low, high = float(data.values().min()), float(np.abs(data.values()).max())
    if high > LARGEST:
        raise UserError(f"A value of {high:.1e} is among the data; up to {LARGEST:.0e} can be learned from. Is it an error code?")
    if (config.transform == "log" and low <= 0) or (config.transform == "square root" and low < 0):
        raise UserError(f"Transform '{config.transform}' needs positive values, and the smallest is {low:g}. Choose 'none'.")


def known_then(values: np.ndarray, filled: Sequence[int], parts: Split) -> np.ndarray:
    """The values as they could be known at each part's end: a filled gap that reaches over it repeats the value before.

    Elsewhere a gap may be filled by a line between its neighbours; across a boundary, the line would tell the part before
    what the part after holds.  # (length, targets) -> the same shape
    """
    values, gaps = values.copy(), set(filled)
    for end in (parts.train, parts.validation):
        first = end
        while first - 1 in gaps:
            first -= 1
        if first < end and first > 0:
            values[first:end] = values[first - 1]
    return values


def backtest_origins(parts: Split, config: Any) -> list[int]:
    """First steps of the forecasts that are scored: rolling origins over the test part."""
    last = max(parts.validation, parts.length - config.horizon)
    stride = max(config.stride, -(-(last - parts.validation + 1) // MOST_ORIGINS))
    return list(range(parts.validation, last + 1, stride))
