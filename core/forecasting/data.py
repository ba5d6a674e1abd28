"""The dataset of this capability: a regular series of one or more targets; built-in series; save and load."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import UserError

FILES = ("series.parquet", "series.json")  # what `save` writes into a run folder
TEMPLATE = Path(__file__).parent / "builtin" / "airline.csv"  # offered for download: time column, one column a target

MOST_ROWS, MOST_COLUMNS = 2_500_000, 32  # of a stored series

# pandas alias of a time step -> its name for people, steps until the pattern usually repeats
STEPS = {
    "YS": ("year", 1),
    "QS": ("quarter", 4),
    "MS": ("month", 12),
    "W": ("week", 52),
    "D": ("day", 7),
    "B": ("working day", 5),
    "h": ("hour", 24),
    "min": ("minute", 60),
    "s": ("second", 60),
    "row": ("row", 1),
}


@dataclass(frozen=True)
class Series:
    """A series with a regular time step.

    frame:      one row a step; float64 columns `targets + covariates`. Index: DatetimeIndex with `freq`, or a
                RangeIndex where there is no time. Targets have no gaps; rows after their end hold covariates
                known in advance.
    season:     steps after which the pattern repeats; 1 where there is none.
    step:       pandas alias of the time step ("MS", "15min"), or "row".
    notes:      what was changed on the way in, in sentences.
    filled:     rows whose targets were missing and filled: never scored, and never told by what came after a part.
    """

    name: str
    frame: pd.DataFrame
    targets: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    season: int = 1
    step: str = "row"
    notes: tuple[str, ...] = ()
    filled: tuple[int, ...] = ()

    @cached_property
    def length(self) -> int:
        """Steps with known targets."""
        known = self.frame[list(self.targets)].notna().all(axis=1).to_numpy()
        return int(np.flatnonzero(known)[-1]) + 1 if known.any() else 0

    def values(self) -> np.ndarray:
        """The known targets.  # (length, targets) float64"""
        return self.frame[list(self.targets)].to_numpy(np.float64)[: self.length]

    def times(self, extra: int = 0) -> pd.Index:
        """Time stamps of the known targets and of `extra` steps after them."""
        index = self.frame.index[: self.length]
        if isinstance(index, pd.DatetimeIndex):
            return pd.date_range(index[0], periods=self.length + extra, freq=self.step)
        return pd.RangeIndex(self.length + extra)


def step_name(step: str) -> str:
    """A time step for people: "month", "15 minutes", "week"."""
    if step in STEPS:
        return STEPS[step][0]
    number = step[: len(step) - len(step.lstrip("0123456789"))]
    unit = STEPS.get(step[len(number) :].split("-")[0], (step, 1))[0]
    return f"{number} {unit}s" if number not in {"", "1"} else unit


def usual_season(step: str) -> int:
    """Steps of this length after which most series repeat: 12 months, 7 days, 96 quarter-hours."""
    number = step[: len(step) - len(step.lstrip("0123456789"))]
    season = STEPS.get(step[len(number) :].split("-")[0], ("", 1))[1]
    if number in {"", "1"}:
        return season
    if step.endswith("min"):
        return max(1, 1440 // int(number))  # a day
    return max(1, season // int(number))


def save(series: Series, folder: Path) -> None:
    """Write a series into a folder: its frame as Parquet, the rest as JSON."""
    series.frame.to_parquet(folder / FILES[0])
    facts = {
        "name": series.name,
        "targets": series.targets,
        "covariates": series.covariates,
        "season": series.season,
        "step": series.step,
        "notes": series.notes,
        "filled": series.filled,
    }
    (folder / FILES[1]).write_text(json.dumps(facts), encoding="utf-8")


def load(folder: Path) -> Series:
    """Read what `save` wrote. Raises `UserError` if the files are missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        size = pq.read_metadata(folder / FILES[0])
        if size.num_rows > MOST_ROWS or size.num_columns > MOST_COLUMNS:
            raise ValueError("too large")
        frame = pd.read_parquet(folder / FILES[0])
        facts = json.loads((folder / FILES[1]).read_bytes())
        for key in ("targets", "covariates", "notes", "filled"):
            facts[key] = tuple(facts[key])
        series = Series(frame=frame, **facts)
        frame[[*series.targets, *series.covariates]].astype(np.float64)
        whole = type(series.season) is int and all(type(row) is int for row in series.filled)
        step = 1 if series.step == "row" else getattr(pd.tseries.frequencies.to_offset(series.step), "n", 0)
        if not whole or step < 1 or not 0 <= series.season <= MOST_ROWS or not all(0 <= row < len(frame) for row in series.filled):
            raise ValueError("not of this series")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, pa.ArrowException):
        raise UserError("The dataset of this run is missing or damaged.") from None
    return series


# built in


@dataclass(frozen=True)
class Builtin:
    """A series that comes with Manabi: what it is, where from, and the preset that suits it."""

    title: str
    about: str
    preset: str


BUILTIN = {
    "airline": Builtin(
        "Airline passengers",
        "Passengers of international airlines, thousands a month, 1949 to 1960. The classic: trend and growing seasons.",
        "Airline passengers",
    ),
    "co2": Builtin(
        "CO2 over Mauna Loa",
        "Carbon dioxide in the air, parts per million, weekly, 1958 to 2001, with a few gaps. From statsmodels.",
        "CO2",
    ),
    "sunspots": Builtin(
        "Sunspots",
        "Yearly sunspot numbers, 1700 to 2008: a cycle of about 11 years, never twice the same. From statsmodels.",
        "Sunspots",
    ),
    "nile": Builtin(
        "Nile",
        "Yearly flow of the Nile at Aswan, 1871 to 1970, 10^8 cubic metres: short, noisy, hard to beat. From statsmodels.",
        "Nile",
    ),
    "elnino": Builtin(
        "El Nino",
        "Sea surface temperature of the eastern Pacific, monthly, 1950 to 2010, degrees Celsius. From statsmodels.",
        "El Nino",
    ),
}


def builtin(name: str) -> Series:
    """One of the series that need no network. Raises `UserError` for an unknown name."""
    if name not in BUILTIN:
        raise UserError(f"There is no built-in series called '{name[:40]}'.")
    notes: tuple[str, ...] = ()
    filled: tuple[int, ...] = ()
    if name == "airline":
        frame = pd.read_csv(TEMPLATE, index_col="month", parse_dates=True).asfreq("MS").astype(np.float64)
        step, season = "MS", 12
    elif name == "co2":
        table = pd.read_csv(_statsmodels("co2"), dtype={"date": str})
        index = pd.to_datetime(table["date"], format="%Y%m%d")
        frame = pd.DataFrame({"co2": table["co2"].to_numpy(np.float64)}, index=index)
        frame = frame.asfreq("W-SAT")
        filled = tuple(np.flatnonzero(frame["co2"].isna()).tolist())
        frame = frame.interpolate("time")
        notes = (f"{len(filled)} missing weeks were filled by straight lines between their neighbours.",)
        step, season = "W-SAT", 52
    elif name in {"sunspots", "nile"}:
        table = pd.read_csv(_statsmodels(name)).astype(np.float64)
        column = "sunspots" if name == "sunspots" else "flow"
        index = pd.to_datetime(table.iloc[:, 0].astype(int).astype(str), format="%Y")
        frame = pd.DataFrame({column: table.iloc[:, 1].to_numpy()}, index=index).asfreq("YS")
        step, season = "YS", 11 if name == "sunspots" else 1
    else:
        table = pd.read_csv(_statsmodels(name))
        values = table.iloc[:, 1:].to_numpy(np.float64).ravel()
        months = pd.date_range("1950-01-01", periods=len(values), freq="MS")
        frame = pd.DataFrame({"temperature": values}, index=months)
        step, season = "MS", 12
    frame.index.name = "time"
    return Series(BUILTIN[name].title, frame, tuple(frame.columns), season=season, step=step, notes=notes, filled=filled)


def _statsmodels(name: str) -> Path:
    spec = importlib.util.find_spec("statsmodels")  # found, not imported: the web process stays light
    if spec is None or not spec.submodule_search_locations:
        raise UserError("This series comes with the statsmodels package, which is not installed.")
    return Path(spec.submodule_search_locations[0]) / "datasets" / name / f"{name}.csv"
