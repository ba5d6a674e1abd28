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
from core.forecasting import steps
from core.forecasting.data import Series, step_name, usual_season
from core.runs import uploads
from core.stamps import nearly_times, read_times

ROWS = "row numbers"  # choice of a time column: none, count the rows
MAX_TARGETS, MAX_COVARIATES = 8, 16


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


def examine(table: tables.Table, choices: Choices) -> Findings:
    """Look a table over under the visitor's choices. Raises `UserError` if no series can be made of it."""
    time = _time_column(table, choices)
    stamps, style = (None, "") if time == ROWS else _stamps(table, time)
    targets = _targets(table, choices, time)
    problems: list[tuple[str, str]] = []
    frame = table.frame
    missing = {name: int(frame[name].isna().sum()) for name in targets}
    for name in targets:
        infinite = int(np.isinf(frame[name].to_numpy()).sum())
        if infinite:
            problems.append(("missing", f"{count(infinite, 'infinite value')} in '{name}': treated as missing."))
        if missing[name]:
            problems.append(("missing", f"{count(missing[name], 'missing value')} in '{name}'."))
    if stamps is None:
        return Findings(time, targets, "row", problems=tuple(problems))
    lost = int(stamps.isna().sum())
    if lost:
        kind = f" in the format {style} in '{time}'" if style else ""
        problems.append(("drop", f"{count(lost, 'row')} without a time stamp{kind}{_first_without(table.frame[time], stamps)}: left out."))
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
                f"{count(twice, 'row')} with a time stamp that was there before (first: {steps.stamp(index[index.duplicated()][0])}).",
            )
        )
    step, regular = steps.find_step(index.unique().sort_values())
    if choices.step != "auto":
        regular = regular and step == choices.step
        step = choices.step
    if not regular:
        problems.append(("irregular", f"The time stamps are not evenly spaced: they are gathered into steps of one {step_name(step)}."))
    sorted_index = index.unique().sort_values()
    gaps = steps.gaps(sorted_index if regular else steps.into_steps(sorted_index, step), step)
    if len(gaps):
        problems.append(("missing", f"{count(len(gaps), step_name(step))} missing between the rows (first: {steps.stamp(gaps[0])})."))
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
        frame, more = _regular(frame.set_axis(pd.DatetimeIndex(_stamps(table, found.time)[0]), axis=0), found, choices)
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
        mixed: UserError | None = None
        for name in (str(name) for name in table.frame if table.frame[name].dtype == object):
            try:
                if _dates(table, name) is not None:
                    return name
            except UserError as error:
                mixed = mixed or error
        none = f"No column holds dates, as far as can be told. Choose one as the time, or '{ROWS}' if the rows are evenly spaced."
        raise mixed or UserError(none)
    return times[0]


def _first_without(column: pd.Series, stamps: pd.Series) -> str:
    """Which cell could not be read as a time, for people; "" if all that have none are empty."""
    bad = np.flatnonzero((stamps.isna() & column.notna()).to_numpy())
    return f" (first: row {bad[0] + 1:,}, '{str(column.iloc[bad[0]]).strip()[:40]}')" if len(bad) else ""


def _stamps(table: tables.Table, name: str) -> tuple[pd.Series, str]:
    """A column as points in time, also one that was taken for numbers or text; NaT for what is none. Raises `UserError`.

    With it the date format, where it is not among the facts of the table.
    """
    found = (table.frame[name], "") if name in table.times() else _dates(table, name)
    if found is None:
        raise UserError(f"Column '{name}' does not hold dates that can be read. Choose another, or '{ROWS}'.")
    return found


def _dates(table: tables.Table, name: str) -> tuple[pd.Series, str] | None:
    """A column that was not taken for times, as such, or None if it holds none. Raises `UserError` for stamps that don't go together."""
    try:
        for wanted in dict.fromkeys((table.dates, "auto")):
            found = read_times(table.frame[name], wanted) or nearly_times(table.frame[name], wanted)
            if found is not None:
                return found
    except UserError as error:
        raise UserError(f"Column '{name}': {error} Choose another time, or '{ROWS}'.") from None
    return None


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


def _regular(frame: pd.DataFrame, found: Findings, choices: Choices) -> tuple[pd.DataFrame, list[str]]:
    """Sort, merge duplicates, and lay the rows on a regular grid; missing steps become NaN rows."""
    notes = []
    frame = frame[frame.index.notna()].sort_index(kind="stable")
    if frame.index.has_duplicates:
        before = len(frame)
        groups = frame.groupby(level=0)
        frame = groups.sum(min_count=1) if choices.duplicates == "sum" else getattr(groups, choices.duplicates)()
        notes.append(f"{count(before - len(frame), 'row')} with a repeated time stamp: merged by {choices.duplicates}.")
    index = pd.DatetimeIndex(frame.index)
    if found.irregular:
        steps.gaps(index, found.step)
        sampler = frame.resample(found.step)
        frame = sampler.sum(min_count=1) if choices.aggregate == "sum" else sampler.mean()
        notes.append(f"Uneven time stamps were gathered into steps of one {step_name(found.step)} by their {choices.aggregate}.")
        return frame, notes
    steps.gaps(index, found.step)
    frame = frame.set_axis(steps.snap(index, found.step), axis=0)
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
        notes.append(f"{count(int(first), 'row')} before the first complete value: left out.")
    if not ahead and last + 1 < len(frame):
        notes.append(f"{count(len(frame) - int(last) - 1, 'row')} after the last complete value: left out.")
    if covariates:
        names = ", ".join(f"'{name}'" for name in covariates)
        if ahead:
            notes.append(f"{names}: known for {count(len(after), 'step')} after the end; then those of the last season are taken again.")
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
        notes.append(f"{count(holes, 'step')} with missing values: dropped, and the rest counted row by row, without dates.")
        return pd.concat([inside.dropna(), frame.iloc[last - first + 1 :]]), notes, None
    filled = inside.ffill() if choices.missing == "previous" else inside.interpolate("linear")
    how = "the value before them" if choices.missing == "previous" else "straight lines between their neighbours"
    notes.append(f"{count(holes, 'step')} with missing values: filled by {how}.")
    gaps = tuple(np.flatnonzero(inside[list(targets)].isna().any(axis=1)).tolist())
    return pd.concat([filled.bfill(), frame.iloc[last - first + 1 :]]), notes, gaps


def count(number: int, noun: str) -> str:
    """So many of something, for people."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# by upload id: what a page calls in a worker


@lru_cache(maxsize=2)
def table_of(upload_id: str, **reading: str) -> tables.Table:
    """The table of an upload, read as `tables.parse` is told; the last two stay in memory. Raises `UserError`."""
    return tables.parse(uploads.content(upload_id), **reading)


def profile(upload_id: str, reading: dict[str, str]) -> dict[str, Any]:
    """What the page shows of an upload: `facts`, `times`, `numbers`, `columns`, `rows`, `sheets` and the first rows as `head`."""
    table = table_of(upload_id, **reading)
    return {
        "facts": table.facts,
        "times": table.times(),
        "numbers": table.numbers(),
        "columns": [str(c) for c in table.frame],
        "rows": len(table.frame),
        "sheets": table.sheets,
        "head": table.frame.head(20),
    }


def findings(upload_id: str, reading: dict[str, str], choices: dict[str, Any]) -> Findings:
    """`examine` for an upload."""
    return examine(table_of(upload_id, **reading), Choices.model_validate(choices))


def series(upload_id: str, reading: dict[str, str], choices: dict[str, Any]) -> Series:
    """`tidy` for an upload."""
    name = PurePath(uploads.title(upload_id)).stem[:60] or "upload"
    return tidy(table_of(upload_id, **reading), Choices.model_validate(choices), name)
