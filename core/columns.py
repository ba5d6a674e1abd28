"""Columns of cells as a file holds them -> times, numbers or text; and which cells keep a column from being numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.stamps import MISSING, read_times

THOUSANDS = {",": "comma", ".": "point", " ": "space", "'": "apostrophe", "none": "none"}  # what may stand between thousands
NEARLY = 0.8  # share of a column's cells that are numbers, above which the others are told
LOOK = 1000  # cells by which a column is judged at first sight
_TIME_NAMES = re.compile(r"date|time|stamp|month|year|week|day|quarter|period|^ds$|^t$|日付|日時|年月|年|時刻", re.I)


class Notation(NamedTuple):
    """How numbers are written: the decimal sign, and what stands between thousands ("auto": a space, or the other of comma and point)."""

    decimal: str = "."
    thousands: str = "auto"


def typed(frame: pd.DataFrame, dates: str, notation: Notation) -> tuple[pd.DataFrame, dict[str, str]]:
    """Give every column one of three types: time, number, text. Returns the frame and what was detected, for people.

    dates: "auto" or one of `stamps.DATE_FORMATS`.
    """
    columns: dict[str, pd.Series] = {}
    facts: dict[str, str] = {}
    for name in map(str, frame.columns):
        column = frame[name]
        if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
            columns[name] = column
            continue
        first = name == frame.columns[0] and column.is_unique and column.is_monotonic_increasing
        likely = bool(_TIME_NAMES.search(name)) or first
        if likely or not pd.api.types.is_numeric_dtype(column):
            parsed = read_times(column, dates if likely or dates != "auto" else "auto", likely)
            if parsed is not None:
                columns[name], facts["date format"] = parsed
                continue
        columns[name] = _numbers(column, notation)
    return pd.DataFrame(columns, index=frame.index), facts


def _numbers(column: pd.Series, notation: Notation) -> pd.Series:
    """A column as float64 if every cell that says something is a number, else as it is."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.astype("float64") if column.dtype.kind != "c" else column.astype(str)
    if _share(column, notation) < 0.5:  # of text, a look at some cells is enough
        return column.astype("object")
    text = _said(column)
    numbers = _as_numbers(text, notation)
    return numbers if numbers.notna().sum() == text.notna().sum() else column.astype("object")


def _said(column: pd.Series) -> pd.Series:
    """Cells as text, NA for those that say nothing."""
    text = column.astype("string").str.strip()
    return text.mask(text.isin(MISSING))


def _share(column: pd.Series, notation: Notation) -> float:
    """Which share of the first cells that say something are numbers; NaN if none says anything."""
    some = _said(column.dropna().iloc[:LOOK]).dropna()
    return float(_as_numbers(some, notation).notna().mean()) if len(some) else float("nan")


def _as_numbers(text: pd.Series, notation: Notation) -> pd.Series:
    """Cells as float64, without signs of currency and between thousands; NaN for what is no number."""
    plain = text.str.replace(r"^[$€£¥￥]\s*|\s*[%€円]$", "", regex=True)
    other, point = (",", r"\.") if notation.decimal == "." else (".", ",")
    between = {"auto": " " + other, "none": ""}.get(notation.thousands, notation.thousands)
    if " " in between or "'" in between:
        plain = plain.str.replace(rf"(?<=\d)[{between.strip(other)}](?=\d{{3}}\b)", "", regex=True)
    groups = rf"\d{{1,3}}({re.escape(other)}\d{{3}})+|" if other in between else ""
    usual = plain.str.fullmatch(rf"[-+]?({groups}\d+)({point}\d+)?").fillna(True)
    if usual.mean() > NEARLY:
        read = plain.str.replace(other, "", regex=False).str.replace(point, ".", regex=True)
        plain = read.where(usual, plain) if notation.decimal == "." else read.where(usual)
    return pd.to_numeric(plain, errors="coerce").astype("float64")


def nearly_numbers(frame: pd.DataFrame, notation: Notation) -> list[str]:
    """What must be said of columns that would be numbers but for a few cells, or with the other decimal sign."""
    notes: list[str] = []
    for name in map(str, frame.columns):
        column = frame[name]
        if column.dtype != object or not column.notna().any() or len(notes) == 4:
            continue
        other = "," if notation.decimal == "." else "."
        if _share(column, notation) > NEARLY:
            bad = first_bad_cell(column, notation)
            notes += [f"Column '{name}' is nearly all numbers, but row {bad[0]} holds '{bad[1]}': so it is taken as text."] if bad else []
        elif _share(column, Notation(other)) > NEARLY:
            notes.append(f"Column '{name}' would be numbers with a decimal {THOUSANDS[other]}: so far it is taken as text.")
    return notes


def first_bad_cell(column: pd.Series, notation: Notation) -> tuple[int, str] | None:
    """Row (1 = the first after the header) and text of the first cell that is not a number in this notation."""
    text = _said(column)
    bad = np.flatnonzero((_as_numbers(text, notation).isna() & text.notna()).to_numpy())
    return (int(bad[0]) + 1, str(text.iloc[bad[0]])[:40]) if len(bad) else None
