"""Table -> Series: choose the columns, find the time step, and mend what is irregular, in words.

`examine` reports what is wrong (duplicates, gaps, missing values, uneven steps); `tidy` applies the chosen
remedies and notes each change. Nothing is dropped, filled or averaged in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from core import columns, tables
from core.errors import UserError
from core.forecasting.data import Series, step_name, usual_season
from core.runs import uploads
from core.stamps import read_times

ROWS = "row numbers"  # choice of a time column: none, count the rows
MAX_TARGETS, MAX_COVARIATES = 8, 16
MOST_STEPS = 2_000_000  # after gaps are filled: one wrong year must not make a billion rows


class Choices(BaseModel):
    """What the visitor decided about a table; "auto" and empty lists leave it to `examine`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: str = "auto"
    targets: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    step: str = "auto"
    duplicates: Literal["mean", "sum", "first", "last"] = "mean"
    missing: Literal["interpolate", "previous", "drop"] = "interpolate"
    aggregate: Literal["mean", "sum"] = "mean"


@dataclass(frozen=True)
class Findings:
    """What a table holds and what is wrong with it.

    irregular: the stamps fit no regular step, so `tidy` averages (or sums) into steps of `step`.
    problems:  sentences, each with its remedy's name in front: ("duplicates", "3 time stamps occur twice ...").
    """

    time: str
    targets: tuple[str, ...]
    step: str
    irregular: bool = False
    problems: tuple[tuple[str, str], ...] = field(default=())


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
    gaps = np.diff(times.as_unit("ns").asi8)
    gap = pd.Timedelta(int(np.median(gaps)), "ns")
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


def _on_grid(times: pd.DatetimeIndex, step: str) -> float:
    """The share of stamps that a regular grid of this step hits; months, quarters and years may hold one stamp each."""
    if _is_calendar(step):
        return float(_snap(times, step).is_unique)
    if (times[-1] - times[0]) / pd.Timedelta(_step_seconds(step), "s") > MOST_STEPS:
        return 0.0
    return float(times.isin(pd.date_range(times[0], times[-1], freq=step)).mean())


def _is_calendar(step: str) -> bool:
    return step.split("-")[0] in {"MS", "QS", "YS"}


def _snap(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex:
    """Stamps at the start of their month, quarter or year, whichever day of it they name; others as they are."""
    if not _is_calendar(step):
        return times
    base, _, first = step.partition("-")
    period = "M"
    if base != "MS":  # a year that starts in April is one that ends in March
        starts = pd.date_range("2001-01-01", periods=12, freq="MS").strftime("%b").str.upper().tolist()
        period = f"{base[0]}-{starts[starts.index(first or 'JAN') - 1]}"
    return times.tz_localize(None).to_period(period).to_timestamp().tz_localize(times.tz)


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


def examine(table: tables.Table, choices: Choices) -> Findings:
    """Look a table over under the visitor's choices. Raises `UserError` if no series can be made of it."""
    time = _time_column(table, choices)
    stamps = None if time == ROWS else _stamps(table, time)
    targets = _targets(table, choices, time)
    problems: list[tuple[str, str]] = []
    frame = table.frame
    missing = {name: int(frame[name].isna().sum()) for name in targets}
    for name in targets:
        infinite = int(np.isinf(frame[name].to_numpy()).sum())
        if infinite:
            problems.append(("missing", f"{_count(infinite, 'infinite value')} in '{name}': treated as missing."))
        if missing[name]:
            problems.append(("missing", f"{_count(missing[name], 'missing value')} in '{name}'."))
    if stamps is None:
        return Findings(time, targets, "row", problems=tuple(problems))
    lost = int(stamps.isna().sum())
    if lost:
        problems.append(("drop", f"{_count(lost, 'row')} without a time stamp: left out."))
    index = pd.DatetimeIndex(stamps.dropna())
    for stamp in (index.min(), index.max()):
        if not 1678 <= stamp.year <= 2261:
            raise UserError(f"The year {stamp.year} is among the dates; 1678 to 2261 can be read. Is the date format right?")
    if not index.is_monotonic_increasing:
        problems.append(("sort", "The rows are not in the order of time: they are sorted."))
    twice = int(index.duplicated().sum())
    if twice:
        problems.append(
            (
                "duplicates",
                f"{_count(twice, 'row')} with a time stamp that was there before (first: {_stamp(index[index.duplicated()][0])}).",
            )
        )
    step, regular = find_step(index.unique().sort_values())
    if choices.step != "auto":
        regular = regular and step == choices.step
        step = choices.step
    if not regular:
        problems.append(("irregular", f"The time stamps are not evenly spaced: they are gathered into steps of one {step_name(step)}."))
    sorted_index = index.unique().sort_values()
    gaps = _gaps(sorted_index if regular else _into_steps(sorted_index, step), step)
    if len(gaps):
        problems.append(("missing", f"{_count(len(gaps), step_name(step))} missing between the rows (first: {_stamp(gaps[0])})."))
    return Findings(time, targets, step, not regular, tuple(problems))


def tidy(table: tables.Table, choices: Choices, name: str) -> Series:
    """A regular series under the visitor's choices, each change noted. Raises `UserError`."""
    found = examine(table, choices)
    covariates = tuple(c for c in choices.covariates if c in table.frame and c not in found.targets and c != found.time)
    for column in covariates:
        _check_numbers(table, column)
    if len(covariates) > MAX_COVARIATES:
        raise UserError(f"{len(covariates)} covariates are too many; the limit is {MAX_COVARIATES}.")
    columns = [*found.targets, *covariates]
    frame = table.frame[columns].astype(np.float64).replace([np.inf, -np.inf], np.nan)
    notes = [*table.notes, *(text for kind, text in found.problems if kind in {"drop", "sort"} or "infinite" in text)]
    step = found.step
    if found.time != ROWS:
        frame, more = _regular(frame.set_axis(pd.DatetimeIndex(_stamps(table, found.time)), axis=0), found, choices)
        notes += more
    frame, more, filled = _fill(frame, found.targets, covariates, choices)
    notes += more
    if filled is None:
        frame, step, filled = frame.reset_index(drop=True), "row", ()
    frame.index.name = "time"
    season = usual_season(step)
    series = Series(name, frame, found.targets, covariates, season=season, step=step, notes=tuple(notes), filled=filled)
    for column in found.targets:
        if float(np.ptp(frame[column].dropna())) == 0:
            raise UserError(f"Column '{column}' is constant (always {frame[column].dropna().iloc[0]:g}): there is nothing to forecast.")
    return series


# parts


def _time_column(table: tables.Table, choices: Choices) -> str:
    if choices.time == ROWS:
        return ROWS
    times = table.times()
    if choices.time != "auto":
        if choices.time not in table.frame:
            raise UserError(f"There is no column '{choices.time}' in this file.")
        return choices.time
    if not times:
        raise UserError(f"No column holds dates, as far as can be told. Choose one as the time, or '{ROWS}' if the rows are evenly spaced.")
    return times[0]


def _stamps(table: tables.Table, name: str) -> pd.Series:
    """A column as points in time, also one that was taken for numbers or text. Raises `UserError`."""
    if name in table.times():
        return table.frame[name]
    read = read_times(table.frame[name])
    if read is None:
        raise UserError(f"Column '{name}' does not hold dates that can be read. Choose another, or '{ROWS}'.")
    return read[0]


def _targets(table: tables.Table, choices: Choices, time: str) -> tuple[str, ...]:
    numbers = [name for name in table.numbers() if name != time]
    if not choices.targets:
        filled = [name for name in numbers if table.frame[name].notna().any()]
        if not filled:
            for name in table.frame:
                if name not in {time, *table.times()}:
                    _check_numbers(table, str(name))
            raise UserError("No column holds numbers, so there is nothing to forecast.")
        return (filled[0],)
    if len(choices.targets) > MAX_TARGETS:
        raise UserError(f"{len(choices.targets)} targets are too many; the limit is {MAX_TARGETS}.")
    for name in choices.targets:
        if name not in table.frame:
            raise UserError(f"There is no column '{name}' in this file.")
        if name == time:
            raise UserError(f"Column '{name}' is the time; it can't be forecast as well.")
        _check_numbers(table, name)
    return choices.targets


def _check_numbers(table: tables.Table, name: str) -> None:
    column = table.frame[name]
    if column.dtype.kind != "f":
        bad = columns.first_bad_cell(column, table.notation)
        if bad:
            raise UserError(f"Row {bad[0]:,}, column '{name}': '{bad[1]}' is not a number.")
        raise UserError(f"Column '{name}' does not hold numbers.")
    if not np.isfinite(column.to_numpy()).any():
        raise UserError(f"Column '{name}' is empty: every value is missing.")


def _gaps(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex:
    grid = _snap(times, step)
    if (grid[-1] - grid[0]) / pd.Timedelta(_step_seconds(step), "s") > MOST_STEPS:
        raise UserError(
            f"From {_stamp(times[0])} to {_stamp(times[-1])} there would be more than {MOST_STEPS:,} steps of one "
            f"{step_name(step)}. Is one of the dates wrong, or the date format?"
        )
    return pd.date_range(grid[0], grid[-1], freq=step).difference(grid)


def _into_steps(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex:
    """The steps that uneven stamps fall into. Raises `UserError` if there would be too many."""
    _gaps(times, step)
    counts = pd.Series(1, times).resample(step).count()
    return pd.DatetimeIndex(counts.index[counts > 0])


def _step_seconds(step: str) -> float:
    offset = pd.tseries.frequencies.to_offset(step)
    start = pd.Timestamp("2001-01-01")
    return max(1.0, ((start + offset + offset) - (start + offset)).total_seconds())


def _regular(frame: pd.DataFrame, found: Findings, choices: Choices) -> tuple[pd.DataFrame, list[str]]:
    """Sort, merge duplicates, and lay the rows on a regular grid; missing steps become NaN rows."""
    notes = []
    frame = frame[frame.index.notna()].sort_index(kind="stable")
    if frame.index.has_duplicates:
        before = len(frame)
        groups = frame.groupby(level=0)
        frame = groups.sum(min_count=1) if choices.duplicates == "sum" else getattr(groups, choices.duplicates)()
        notes.append(f"{_count(before - len(frame), 'row')} with a repeated time stamp: merged by {choices.duplicates}.")
    index = pd.DatetimeIndex(frame.index)
    if found.irregular:
        _gaps(index, found.step)
        sampler = frame.resample(found.step)
        frame = sampler.sum(min_count=1) if choices.aggregate == "sum" else sampler.mean()
        notes.append(f"Uneven time stamps were gathered into steps of one {step_name(found.step)} by their {choices.aggregate}.")
        return frame, notes
    _gaps(index, found.step)
    frame = frame.set_axis(_snap(index, found.step), axis=0)
    return frame[~frame.index.duplicated()].asfreq(found.step), notes


def _fill(
    frame: pd.DataFrame, targets: tuple[str, ...], covariates: tuple[str, ...], choices: Choices
) -> tuple[pd.DataFrame, list[str], tuple[int, ...] | None]:
    """Apply the remedy for missing values between the first and the last known row.

    Returns the frame, what was done, and the rows whose targets were filled (None: rows were dropped instead).
    """
    known = frame[list(targets)].notna().all(axis=1).to_numpy()
    if not known.any():
        raise UserError("No row has a value in every target column.")
    first, last = np.flatnonzero(known)[[0, -1]]
    after = frame.iloc[last + 1 :][list(covariates)].notna()
    ahead = bool(covariates) and len(after) > 0 and bool(after.all(axis=None))
    notes = []
    if first:
        notes.append(f"{_count(int(first), 'row')} before the first complete value: left out.")
    if not ahead and last + 1 < len(frame):
        notes.append(f"{_count(len(frame) - int(last) - 1, 'row')} after the last complete value: left out.")
    if covariates:
        names = ", ".join(f"'{name}'" for name in covariates)
        if ahead:
            notes.append(f"{names}: known for {_count(len(after), 'step')} after the end; then those of the last season are taken again.")
        elif after.any(axis=None):
            notes.append(f"Some values of {names} after the end are missing, so none are used: those of the last season are taken again.")
        else:
            notes.append(f"Values of {names} after the end are not in the file: the forecast takes those of the last season again.")
    frame = frame.iloc[first:] if ahead else frame.iloc[first : last + 1]
    inside = frame.iloc[: last - first + 1]
    holes = int(inside.isna().any(axis=1).sum())
    if not holes:
        return frame.copy(), notes, ()
    if choices.missing == "drop":
        notes.append(f"{_count(holes, 'step')} with missing values: dropped, and the rest counted row by row, without dates.")
        return pd.concat([inside.dropna(), frame.iloc[last - first + 1 :]]), notes, None
    filled = inside.ffill() if choices.missing == "previous" else inside.interpolate("linear")
    how = "the value before them" if choices.missing == "previous" else "straight lines between their neighbours"
    notes.append(f"{_count(holes, 'step')} with missing values: filled by {how}.")
    gaps = tuple(np.flatnonzero(inside[list(targets)].isna().any(axis=1)).tolist())
    return pd.concat([filled.bfill(), frame.iloc[last - first + 1 :]]), notes, gaps


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _stamp(time: pd.Timestamp) -> str:
    return time.strftime("%Y-%m-%d" if time == time.normalize() else "%Y-%m-%d %H:%M:%S")


# by upload id: what a page calls in a worker


@lru_cache(maxsize=2)
def table_of(upload_id: str, **reading: str) -> tables.Table:
    """The table of an upload, read as `tables.parse` is told; the last two stay in memory. Raises `UserError`."""
    return tables.parse(uploads.content(upload_id), **reading)


def profile(upload_id: str, reading: dict[str, str]) -> dict[str, Any]:
    """What the page shows of an upload: `facts`, `times`, `numbers`, `columns`, `rows` and the first rows as `head`."""
    table = table_of(upload_id, **reading)
    return {
        "facts": table.facts,
        "times": table.times(),
        "numbers": table.numbers(),
        "columns": [str(c) for c in table.frame],
        "rows": len(table.frame),
        "head": table.frame.head(20),
    }


def findings(upload_id: str, reading: dict[str, str], choices: dict[str, Any]) -> Findings:
    """`examine` for an upload."""
    return examine(table_of(upload_id, **reading), Choices.model_validate(choices))


def series(upload_id: str, reading: dict[str, str], choices: dict[str, Any]) -> Series:
    """`tidy` for an upload."""
    name = PurePath(uploads.title(upload_id)).stem[:60] or "upload"
    return tidy(table_of(upload_id, **reading), Choices.model_validate(choices), name)
