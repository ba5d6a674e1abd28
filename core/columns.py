"""Columns of cells as a file holds them -> times, numbers or text; and which cells keep a column from being numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.errors import UserError
from core.stamps import MISSING, read_times

THOUSANDS = {",": "comma", ".": "point", " ": "space", "'": "apostrophe", "none": "none"}  # what may stand between thousands
NEARLY = 0.8  # share of a column's cells that are numbers, above which the others are told
LOOK = 1000  # cells by which a column is judged at first sight
_TIME_NAMES = re.compile(
    r"(?<![a-z])(date|time|datetime|timestamp|stamp|month|year|week|day|quarter|period|ds|t|datum|fecha|jahr|monat)(?![a-z])|日|年|時刻",
    re.I,
)
_NUMERIC = re.compile(r"\s*[-+($€£¥￥]{0,2}\s*[.,]?\d")  # how a number begins


class Notation(NamedTuple):
    """How numbers are written: the decimal sign, and what stands between thousands ("auto": a space, or the other of comma and point)."""

    decimal: str = "."
    thousands: str = "auto"


USUAL = Notation()


def typed(frame: pd.DataFrame, dates: str, notation: Notation) -> tuple[pd.DataFrame, dict[str, str]]:
    """Give every column one of three types: time, number, text. Returns the frame and what was detected, for people.

    dates: "auto" or one of `stamps.DATE_FORMATS`. Of columns of mere numbers (years, 20240131), at most one becomes a time, and only
    where no other column is one.
    """
    columns: dict[str, pd.Series] = {}
    facts: dict[str, str] = {}
    digits: dict[str, bool] = {}  # columns of numbers, and whether their name or their order speaks for a time
    dated = False
    for name in map(str, frame.columns):
        column = frame[name]
        if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
            columns[name], dated = column, True
            continue
        first = name == frame.columns[0] and column.is_unique and column.is_monotonic_increasing
        likely = bool(_TIME_NAMES.search(name)) or first
        numeric = pd.api.types.is_numeric_dtype(column)
        try:
            parsed = None if numeric else read_times(column, dates, likely)
        except UserError:  # its stamps can't be read together: said where it is chosen as the time
            parsed = None
        if parsed is not None:
            columns[name], dated = parsed[0], True
            facts.setdefault("date format", parsed[1])
            continue
        columns[name] = _numbers(column, notation)
        if numeric:
            digits[name] = likely
    for name, likely in digits.items():
        if not dated and (likely or dates != "auto") and (parsed := read_times(frame[name], dates)) is not None:
            columns[name], facts["date format"] = parsed
            dated = True
    return pd.DataFrame(columns, index=frame.index), facts


def _numbers(column: pd.Series, notation: Notation) -> pd.Series:
    """A column as float64 if every cell that says something is a number, else as it is."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.astype("float64") if column.dtype.kind != "c" else column.astype(str)
    if _is_text(column) or (len(column) > 20 * LOOK and _share(column, notation) < 0.5):  # of much text, a look at some is enough
        return column.astype("object")
    numbers, said = _read(column, notation)
    return numbers if numbers.notna().sum() == said.sum() else column.astype("object")


def _is_text(column: pd.Series) -> bool:
    """Whether most of a few cells, from all over a column, don't even begin like a number: five hundred columns take a second then."""
    filled = column.dropna()
    cells = [cell for cell in map(str, filled.iloc[:: max(1, len(filled) // 50)]) if cell.strip() not in MISSING]
    return sum(bool(_NUMERIC.match(cell)) for cell in cells) < len(cells) / 2


def _share(column: pd.Series, notation: Notation) -> float:
    """Which share of the first cells that say something are numbers; NaN if none says anything."""
    numbers, said = _read(column.dropna().iloc[:LOOK], notation)
    return float(numbers.notna().sum() / said.sum()) if said.any() else float("nan")


def _read(column: pd.Series, notation: Notation) -> tuple[pd.Series, pd.Series]:
    """Cells as float64, without signs of currency and between thousands, NaN for what is no number; and which say anything."""
    text = column.astype("string").str.strip()
    text = text.mask(text.isin(MISSING))
    plain = text
    if text.str.contains("[$€£¥￥%円]", regex=True).any():  # asking is ten times as fast as replacing
        plain = text.str.replace(r"^[$€£¥￥]\s*|\s*[%€円]$", "", regex=True)
    other = "," if notation.decimal == "." else "."
    between = {"auto": " " + other, "none": ""}.get(notation.thousands, notation.thousands)
    if (" " in between or "'" in between) and plain.str.contains(f"[{between.strip(other)}]", regex=True).any():
        plain = plain.str.replace(rf"(?<=\d)[{between.strip(other)}](?=\d{{3}}\b)", "", regex=True)
    if other in between:
        grouped = plain.str.fullmatch(_grouped(other, notation.decimal)).fillna(False)
        plain = plain.where(~grouped, plain.str.replace(other, "", regex=False))
    if notation.decimal == ",":
        plain = plain.mask(plain.str.contains(".", regex=False).fillna(False)).str.replace(",", ".", regex=False)
    try:
        numbers = plain.astype("Float64").astype("float64")
    except (ValueError, TypeError):  # eight times as slow, and says which are none
        numbers = pd.to_numeric(plain, errors="coerce").astype("float64")
    if column.dtype == object:  # of Excel: some cells are numbers already, whatever their text would look like
        real = column.map(type).isin([int, float])
        numbers = numbers.where(~real, pd.to_numeric(column.where(real), errors="coerce")).astype("float64")
    return numbers, text.notna()


def _grouped(between: str, decimal: str) -> str:
    return rf"[-+]?\d{{1,3}}({re.escape(between)}\d{{3}})+({re.escape(decimal)}\d+)?"


def nearly_numbers(frame: pd.DataFrame, notation: Notation) -> list[str]:
    """What must be said of columns that would be numbers but for a few cells, or with the other decimal sign."""
    notes: list[str] = []
    other = "," if notation.decimal == "." else "."
    for name in map(str, frame.columns):
        column = frame[name]
        if column.dtype != object or not column.notna().any() or len(notes) == 4 or _is_text(column):
            continue
        if _share(column, notation) > NEARLY:
            numbers, said = _read(column, notation)
            bad = first_bad_cell(column, notation)
            if bad and numbers.notna().sum() > NEARLY * said.sum():
                notes.append(f"Column '{name}' is nearly all numbers, but row {bad[0]} holds '{bad[1]}': so it is taken as text.")
        elif _share(column, Notation(other, "none")) > NEARLY:
            some = column.dropna().iloc[:LOOK].astype("string").str.strip()
            if not some[some.str.contains(other, regex=False)].str.fullmatch(_grouped(other, notation.decimal)).all():
                notes.append(f"Column '{name}' would be numbers with a decimal {THOUSANDS[other]}: so far it is taken as text.")
    return notes


def first_bad_cell(column: pd.Series, notation: Notation) -> tuple[int, str] | None:
    """Row (1 = the first after the header) and text of the first cell that is not a number in this notation."""
    numbers, said = _read(column, notation)
    bad = np.flatnonzero((numbers.isna() & said).to_numpy())
    return (int(bad[0]) + 1, str(column.iloc[bad[0]]).strip()[:40]) if len(bad) else None
