"""The time step of a series: which one its stamps keep to, where it has gaps, what uneven stamps fall into.

Steps are pandas aliases ("MS", "W-SUN", "15min"); stamps are sorted and distinct.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import UserError
from core.forecasting.data import step_name

MOST_STEPS = 2_000_000  # after gaps are filled: one wrong year must not make a billion rows


def find_step(times: pd.DatetimeIndex) -> tuple[str, bool]:
    """The time step of sorted, distinct stamps as a pandas alias, and whether the stamps really keep to it.

    Gaps are allowed. The step is the one on whose grid at least nine in ten stamps lie; regular if all do.
    """
    if len(times) < 2:
        raise UserError("One row is not a series: at least two different time stamps are needed.")
    inferred = pd.infer_freq(times) if len(times) > 2 else None
    if inferred and not inferred.startswith("-"):
        inferred = {"ME": "MS", "BME": "MS", "BMS": "MS", "QE": "QS", "BQE": "QS", "BQS": "QS", "YE": "YS", "BYE": "YS", "BYS": "YS"}.get(
            inferred.split("-")[0], inferred
        )
        if inferred.split("-")[0] in {"YS", "QS"}:
            inferred = inferred.split("-")[0] if times.is_month_start.all() and inferred.split("-")[-1] == "JAN" else inferred
        return inferred, True
    gap = pd.Timedelta(int(np.median(np.diff(times.as_unit("ns").asi8))), "ns")
    days = gap / pd.Timedelta(days=1)
    candidates = []
    if 364 <= days <= 367:
        candidates.append("YS" if times[0].is_year_start else f"YS-{times[0].strftime('%b').upper()}")
    if 89 <= days <= 93:
        candidates.append("QS" if times[0].month % 3 == 1 else f"QS-{times[0].strftime('%b').upper()}")
    if 28 <= days <= 31:
        candidates.append("MS")
    if 6.9 <= days <= 7.1:
        candidates.append(f"W-{times[0].strftime('%a').upper()}")
    if 0.9 <= days <= 1.1 and (times.dayofweek < 5).all() and len(times) > 5:
        candidates.append("B")
    if 0.9 <= days <= 1.1:
        candidates.append("D")
    seconds = max(1, round(gap.total_seconds()))
    if days < 0.9:
        size, unit = (3600, "h") if seconds % 3600 == 0 else (60, "min") if seconds % 60 == 0 else (1, "s")
        candidates.append(f"{seconds // size}{unit}" if seconds // size > 1 else unit)
    for step in candidates:
        share = _on_grid(times, step)
        if share >= 0.9:
            return step, share == 1.0
    return _round_step(seconds), False


def gaps(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex:
    """The steps between the first stamp and the last that have none. Raises `UserError` if there would be too many."""
    grid = snap(times, step)
    if (grid[-1] - grid[0]) / pd.Timedelta(_step_seconds(step), "s") > MOST_STEPS:
        raise UserError(
            f"From {stamp(times[0])} to {stamp(times[-1])} there would be more than {MOST_STEPS:,} steps of one "
            f"{step_name(step)}. Is one of the dates wrong, or the date format?"
        )
    return pd.date_range(grid[0], grid[-1], freq=step).difference(grid)


def into_steps(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex:
    """The steps that uneven stamps fall into. Raises `UserError` if there would be too many."""
    gaps(times, step)
    counts = pd.Series(1, times).resample(step).count()
    return pd.DatetimeIndex(counts.index[counts > 0])


def snap(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex:
    """Stamps at the start of their month, quarter or year, whichever day of it they name; others as they are."""
    if not _is_calendar(step):
        return times
    base, _, first = step.partition("-")
    period = "M"
    if base != "MS":  # a year that starts in April is one that ends in March
        starts = pd.date_range("2001-01-01", periods=12, freq="MS").strftime("%b").str.upper().tolist()
        period = f"{base[0]}-{starts[starts.index(first or 'JAN') - 1]}"
    return times.tz_localize(None).to_period(period).to_timestamp().tz_localize(times.tz)


def stamp(time: pd.Timestamp) -> str:
    """A stamp for people: the day, and the time of day unless it is midnight."""
    return time.strftime("%Y-%m-%d" if time == time.normalize() else "%Y-%m-%d %H:%M:%S")


def _on_grid(times: pd.DatetimeIndex, step: str) -> float:
    """The share of stamps that a regular grid of this step hits; months, quarters and years may hold one stamp each."""
    if _is_calendar(step):
        return float(snap(times, step).is_unique)
    if (times[-1] - times[0]) / pd.Timedelta(_step_seconds(step), "s") > MOST_STEPS:
        return 0.0
    return float(times.isin(pd.date_range(times[0], times[-1], freq=step)).mean())


def _is_calendar(step: str) -> bool:
    return step.split("-")[0] in {"MS", "QS", "YS"}


def _round_step(seconds: int) -> str:
    """The usual step nearest above a median gap: what irregular stamps are gathered into."""
    for limit, step in (
        (1, "s"),
        (60, "min"),
        (900, "15min"),
        (3600, "h"),
        (86400, "D"),
        (7 * 86400, "W-SUN"),
        (31 * 86400, "MS"),
        (92 * 86400, "QS"),
    ):
        if seconds <= limit:
            return step
    return "YS"


def _step_seconds(step: str) -> float:
    offset = pd.tseries.frequencies.to_offset(step)
    start = pd.Timestamp("2001-01-01")
    return max(1.0, ((start + offset + offset) - (start + offset)).total_seconds())
