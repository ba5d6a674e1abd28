"""Columns of text -> points in time, in the date formats that people really write."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import pandas as pd

from core.errors import UserError

MISSING = ["", "na", "NA", "n/a", "N/A", "#N/A", "nan", "NaN", "null", "NULL", "none", "None", "-", "--", "—", "?", "."]

# The date formats that are tried, in this order; "ISO 8601" stands for pandas' own fast reader.
DATE_FORMATS = (
    "ISO 8601",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y.%m.%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%y",
    "%d/%m/%y",
    "%m/%d/%y %H:%M",
    "%d/%m/%y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %Y",
    "%B %Y",
    "%b-%y",
    "%Y/%m",
    "%m/%Y",
    "%Y年%m月%d日",
    "%Y年%m月",
    "%Y年",
    "quarter",  # 1960Q1, 1960-Q1
    "%Y%m%d",
    "%Y%m",
    "%Y",
    "unix seconds",
    "unix milliseconds",
)
MOSTLY = 0.8  # share of a column's cells that are dates, from which the others count as mistakes
_SWAPPED = {"%m/%d/%Y": "%d/%m/%Y", "%m/%d/%y": "%d/%m/%y"}
_PLACE = r" ?\[?([A-Z][A-Za-z_]+/[A-Za-z_/-]+)\]?$"  # Europe/Berlin, also behind an offset
_ZONES = {  # how zones are written that ISO 8601 does not know, behind a time of day -> as it writes them, one after the other
    _PLACE: "",
    r"(:\d{2}(?:\.\d+)?) ?(?:UTC|GMT)$": r"\1+00:00",
    r"(:\d{2}(?:\.\d+)?) ?JST$": r"\1+09:00",
    r"(:\d{2}(?:\.\d+)?) ?([+-]\d{2})$": r"\1\2:00",
    r"(:\d{2}(?:\.\d+)?) ([+-]\d{2}:?\d{2})$": r"\1\2",
    r"^(\d{4})/(\d{2})/(\d{2})(?=.*[+-]\d{2}:?\d{2}$)": r"\1-\2-\3",
}


def read_times(column: pd.Series, wanted: str = "auto", likely: bool = True) -> tuple[pd.Series, str] | None:
    """A column as points in time and the format that fits, or None if it holds none.

    Zones: stamps with one UTC offset keep it; with several they are read as UTC, or on the local clock where only that is regular, and
    the format says so. A place's name (Europe/Berlin) is left out, and its local clock or the offset before it taken. Raises `UserError`
    if only some stamps have a zone.
    """
    text = column.astype("string").str.strip()
    if pd.api.types.is_float_dtype(column):
        text = column.astype("Int64", errors="ignore").astype("string") if (column.dropna() % 1 == 0).all() else text
    text = text.mask(text.isin(MISSING))
    filled = text.dropna()
    if len(filled) == 0:
        return None
    place = None
    if re.match(r"\d{4}[-/]", filled.iloc[0]) and ":" in filled.iloc[0]:
        place = re.search(_PLACE, filled.iloc[0])
        text = _iso_zones(text, filled)
        filled = text.dropna()
    probe = pd.concat([filled.iloc[:50], filled.iloc[-50:], filled.iloc[:: max(1, len(filled) // 100)]])
    formats = DATE_FORMATS if wanted == "auto" else (wanted,)
    for style in formats:
        if style in {"%Y", "%Y%m", "%Y%m%d", "unix seconds", "unix milliseconds"} and not likely:
            continue
        if not _could_be(filled.iloc[0], style) or _read_style(probe, style) is None:
            continue
        times = _read_style(text, style)
        if times is None:
            continue
        other = _SWAPPED.get(style.split(" ")[0])
        if other and wanted == "auto":  # 03/04/2024 reads both ways: take the one with the steadier step
            rival_style = style.replace(style.split(" ")[0], other)
            rival = _read_style(text, rival_style)
            if rival is not None and _unsteady(rival) < _unsteady(times):
                times, style = rival, rival_style
        words = _zone_words(filled, times) if style == "ISO 8601" else ""
        if place and times.dt.tz is None:
            words += f", by the local clock of {place[1]}"
        return times, style + words
    return None


def nearly_times(column: pd.Series, wanted: str = "auto") -> tuple[pd.Series, str] | None:
    """A column of text most of whose cells are dates of one format, as points in time: NaT for the others; and the format.

    None if it is no such column.
    """
    text = column.astype("string").str.strip()
    text = text.mask(text.isin(MISSING))
    filled = text.dropna()
    probe = filled.iloc[:: max(1, len(filled) // 100)]
    formats = DATE_FORMATS if wanted == "auto" else (wanted,)
    written = [style for style in formats if style == "ISO 8601" or ("%" in style and re.sub("%.", "", style))]  # no mere digits
    best = max(written, key=lambda style: _some_times(probe, style).notna().sum(), default=wanted)
    if _some_times(probe, best).notna().sum() < MOSTLY * len(probe) or not len(probe):
        return None
    right = _some_times(text, best).notna()
    enough = right.sum() >= MOSTLY * len(filled)
    return read_times(text.where(right), wanted) if enough else None  # it knows of zones, and of days before months


def _some_times(text: pd.Series, style: str) -> pd.Series:
    """Those cells that are of a date format, by UTC if they have a zone; NaT for the others."""
    iso = style == "ISO 8601"
    text = text.where(text.str.match(r"\d{4}-\d{2}").fillna(False)) if iso else text
    try:
        return pd.to_datetime(text, format="ISO8601" if iso else style, errors="coerce", utc=iso).dt.tz_localize(None)
    except (ValueError, OverflowError, TypeError):
        return pd.Series(pd.NaT, index=text.index)


def _could_be(cell: str, style: str) -> bool:
    """Whether one cell is of a format: asked of the first, so that a column of text is not tried forty times."""
    if not style.startswith("%"):
        return any(sign.isdigit() for sign in cell)
    try:
        datetime.strptime(cell, style)
    except ValueError:
        return False
    return True


def _iso_zones(text: pd.Series, filled: pd.Series) -> pd.Series:
    """Stamps with a zone, as ISO 8601 writes them; others as they are."""
    first = filled.iloc[:100]
    for written, iso in _ZONES.items():
        changed = first.str.replace(written, iso, regex=True)
        if not changed.equals(first):  # of a million rows, each look costs a second
            first, text = changed, text.str.replace(written, iso, regex=True)
    return text


def _read_style(text: pd.Series, style: str) -> pd.Series | None:
    """All cells of a column in one date format, or None if one does not fit."""
    filled = text.dropna()
    try:
        if style == "ISO 8601":
            if not filled.str.match(r"\d{4}-\d{2}").all():
                return None
            zoned = filled.str.contains(r"(?:[+-]\d{2}:?\d{2}|Z)$", regex=True) & filled.str.contains(":", regex=False)
            if zoned.any() and not zoned.all():
                row = int(np.flatnonzero(~zoned.to_numpy())[0]) + 1
                raise UserError(f"Some time stamps carry a time zone and some don't (row {row}: '{filled.iloc[row - 1]}').")
            if zoned.any():
                return _zoned(text, filled)
            return pd.to_datetime(text, format="ISO8601")
        if style == "quarter":
            if not filled.str.fullmatch(r"\d{4}[- ]?Q[1-4]").all():
                return None
            periods = pd.PeriodIndex(filled.str.replace(r"[- ]", "", regex=True), freq="Q")
            return pd.Series(periods.to_timestamp(), index=filled.index).reindex(text.index)
        if style.startswith("unix"):
            digits = 10 if style.endswith(" seconds") else 13
            if not filled.str.fullmatch(rf"\d{{{digits}}}").all():
                return None
            return pd.to_datetime(pd.to_numeric(text), unit="s" if digits == 10 else "ms")
        if style == "%Y%m%d" and not filled.str.fullmatch(r"\d{8}").all():
            return None
        if style == "%Y%m" and not filled.str.fullmatch(r"(1[5-9]\d\d|2[01]\d\d)(0[1-9]|1[0-2])").all():
            return None
        if style == "%Y" and not filled.str.fullmatch(r"1[5-9]\d\d|2[01]\d\d").all():
            return None
        return pd.to_datetime(text, format=style)
    except (ValueError, OverflowError, TypeError):
        return None


def _offsets(filled: pd.Series) -> list[str]:
    """The different UTC offsets of stamps, as +09:00."""
    found = (re.search(r"([+-]\d{2}):?(\d{2})$|Z$", tail) for tail in filled.str[-6:].unique())
    return list(dict.fromkeys(f"{match[1]}:{match[2]}" if match[1] else "+00:00" for match in found if match))


def _zone_words(filled: pd.Series, times: pd.Series) -> str:
    """What is said of the zone of stamps, behind their format."""
    if not filled.str.contains(":", regex=False).any():
        return ""
    offsets = _offsets(filled)
    if len(offsets) > 1:
        return f", {len(offsets)} UTC offsets: " + (
            "taken as UTC" if isinstance(times.dtype, pd.DatetimeTZDtype) else "taken by the local clock"
        )
    return f", UTC{offsets[0]}" if len(offsets) and offsets[0] != "+00:00" else ""


def _zoned(text: pd.Series, filled: pd.Series) -> pd.Series:
    """Stamps with UTC offsets: with theirs, if it is one; else in UTC, or on the local clock where only that is regular (days, months)."""
    offsets = _offsets(filled)
    times = pd.to_datetime(text, format="ISO8601", utc=True)
    if len(offsets) == 1 and offsets[0] != "+00:00":
        return times.dt.tz_convert(f"UTC{offsets[0]}")
    if len(offsets) > 1:
        local = pd.to_datetime(text.str.replace(r"([+-]\d{2}:?\d{2}|Z)$", "", regex=True), format="ISO8601")
        midnights = bool((local.dropna() == local.dropna().dt.normalize()).all())  # months are uneven in UTC as on the local clock
        if (midnights or _unsteady(local) < _unsteady(times)) and not local.dropna().duplicated().any():
            return local
    return times


def _unsteady(times: pd.Series) -> float:
    """How uneven the steps of a column are: 0 for a steady one."""
    gaps = times.dropna().astype("int64").to_numpy().astype(np.float64)
    gaps = np.diff(np.sort(gaps) if len(gaps) else gaps)
    backwards = float((np.diff(times.dropna().astype("int64").to_numpy()) < 0).mean()) if len(gaps) else 0.0
    return float(np.std(gaps) / (np.mean(np.abs(gaps)) + 1e-9)) + backwards if len(gaps) else 0.0
