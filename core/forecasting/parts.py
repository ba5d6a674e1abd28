"""Cut a series in time: training, validation and test part, and the starting points of a backtest. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from core.errors import UserError

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
