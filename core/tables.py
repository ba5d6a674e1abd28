"""Uploads -> tables: CSV, TSV, Excel and Parquet in the shapes that people really have them.

Nothing is guessed in silence: encoding, delimiter, decimal sign, thousands and date format are detected, told in
`Table.facts`, and can be overridden. Whatever the bytes are, the outcome is a table or a `UserError`.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from core import columns, detection
from core.errors import UserError
from core.stamps import MISSING

MAX_BYTES = 50 * 1024 * 1024
MAX_ROWS = 1_000_000
MAX_COLUMNS = 500
MAX_UNPACKED = 400 * 1024 * 1024  # of an Excel file, which is a zip

_BETWEEN = {"auto": "\u00a0\u202f'’", " ": "\u00a0\u202f", "'": "'’"}  # signs between thousands that are nothing else

_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file; save it as .xlsx or .csv",
    b"7z\xbc\xaf": "a 7z archive",
    b"RIFF": "a sound or a picture",
}


@dataclass(frozen=True)
class Table:
    """An upload as a table, its columns by what they hold, and how it was read.

    frame: columns of float64 (numbers), datetime (times, zone-aware where the file was) or object (text).
    facts: what was detected, for people: encoding, delimiter, decimal sign, date format, ...
    notes: what was changed on the way in.
    notation: how its numbers were read.
    sheets: names of the sheets of an Excel file that hold data.
    dates: the date format that was asked for.
    """

    frame: pd.DataFrame
    facts: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    notation: columns.Notation = columns.USUAL
    sheets: tuple[str, ...] = ()
    dates: str = "auto"

    def times(self) -> list[str]:
        """Columns that hold points in time."""
        return [str(c) for c in self.frame if isinstance(self.frame[c].dtype, pd.DatetimeTZDtype) or self.frame[c].dtype.kind == "M"]

    def numbers(self) -> list[str]:
        """Columns of numbers."""
        return [str(c) for c in self.frame if self.frame[c].dtype.kind == "f"]


def parse(
    content: bytes,
    *,
    encoding: str = "auto",
    delimiter: str = "auto",
    decimal: str = "auto",
    thousands: str = "auto",
    dates: str = "auto",
    sheet: str = "auto",
) -> Table:
    """Read a file's bytes. The kind of file is told from its content, never from its name.

    decimal: "auto", "." or ","; thousands: "auto" or a key of `columns.THOUSANDS`; dates: "auto" or one of `stamps.DATE_FORMATS`.
    sheet: of Excel, by its name; "auto" takes the one with the most numbers. Raises `UserError`.
    """
    sheets: tuple[str, ...] = ()
    if len(content) > MAX_BYTES:
        raise UserError(f"This file has {len(content) / 2**20:.0f} MB; the limit is {MAX_BYTES // 2**20} MB.")
    if not content.strip(b"\x00\r\n\t \xef\xbb\xbf\xff\xfe"):
        raise UserError("This file is empty.")
    notation = columns.Notation(decimal, thousands)
    if content.startswith(b"PAR1"):
        frame, facts, notes = _parquet(content)
    elif content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        frame, facts, sheets = _excel(content, sheet)
        notes = [f"The file has {len(sheets)} sheets with data; this is '{facts['sheet']}'."] if len(sheets) > 1 else []
    else:
        for magic, what in _MAGIC.items():
            if content.startswith(magic):
                raise UserError(f"This is {what}, not a table, whatever its name says.")
        try:
            frame, facts, notes, notation = _text(content, encoding, delimiter, notation)
        except csv.Error:
            raise UserError("A cell of this file is longer than any number or name is. Is it a table?") from None
    _check_size(frame)
    if notation.decimal == "auto":  # numbers as text in the cells of Excel and Parquet
        some = pd.concat([frame.iloc[: detection.SAMPLE], frame.iloc[detection.SAMPLE :: len(frame) // detection.SAMPLE + 1]])
        cells = [[cell for cell in column if isinstance(cell, str)] for _, column in some.select_dtypes(["object", "string"]).items()]
        notation = columns.Notation(detection.find_decimal(cells, thousands), thousands)
        facts |= {"decimal sign": columns.THOUSANDS[","]} if notation.decimal == "," else {}
    frame, more = _name_columns(frame)
    frame, kinds = columns.typed(frame, dates, notation)
    return Table(frame, facts | kinds, (*notes, *more, *columns.nearly_numbers(frame, notation)), notation, sheets, dates)


# the three kinds of file


def _parquet(content: bytes) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if file.metadata.num_rows > MAX_ROWS or file.metadata.num_columns > MAX_COLUMNS:
            raise UserError(_too_large(file.metadata.num_rows, file.metadata.num_columns))
        frame = file.read().to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError):
        raise UserError("This Parquet file is damaged or uses features that can't be read here.") from None
    notes = []
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    plain = [not column.map(lambda cell: isinstance(cell, (list, dict, np.ndarray))).any() for _, column in frame.items()]
    nested = [str(name) for name, kept in zip(frame.columns, plain, strict=True) if not kept]
    if nested:
        frame = frame.loc[:, plain]
        notes.append(f"Columns that hold lists or records were left out: {_some(nested)}.")
    return frame, {"file": "Parquet"}, notes


def _excel(content: bytes, wanted: str) -> tuple[pd.DataFrame, dict[str, str], tuple[str, ...]]:
    """One sheet of an Excel file, and the names of all that hold data."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if not any(info.filename == "xl/workbook.xml" for info in infos):
                raise UserError("This is a zip archive, not a table. Unpack it and bring one file.")
            if len(infos) > 2000 or sum(info.file_size for info in infos) > MAX_UNPACKED:
                raise UserError("This Excel file unpacks to more than can be read here.")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise UserError("This Excel file is damaged.") from None
    try:
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None, dtype=object, engine="calamine", nrows=MAX_ROWS + 1)
    except Exception:  # its reader may raise anything, and any of it means a file that can't be read
        raise UserError("This Excel file is damaged or uses features that can't be read here.") from None
    filled = {str(name): sheet for name, sheet in sheets.items() if len(sheet)}
    if not filled:
        raise UserError("This Excel file has no sheet with a header and at least one row.")
    name = wanted if wanted in filled else max(filled, key=lambda name: _amount_of_numbers(filled[name]))
    return filled[name], {"file": "Excel", "sheet": name}, tuple(filled)


def _amount_of_numbers(sheet: pd.DataFrame) -> int:
    """How many of the first cells are numbers: a sheet of notes has few."""
    return int(sheet.iloc[: detection.SAMPLE].map(lambda cell: isinstance(cell, (int, float)) and cell == cell).to_numpy().sum())


def _text(
    content: bytes, encoding: str, delimiter: str, wanted: columns.Notation
) -> tuple[pd.DataFrame, dict[str, str], list[str], columns.Notation]:
    text, encoding = detection.decode(content, encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n\x00 ")
    control = sum(text[:20_000].count(chr(code)) for code in range(32) if code not in {9, 10, 12})
    if control > 2:
        raise UserError("This is not a text file: it holds bytes that no table has.")
    before = detection.some_lines(text)
    text = re.sub(rf"(?<=\d)[{_BETWEEN.get(wanted.thousands, '')}\0](?=\d{{3}})", "", text)  # thousands in French, Swiss, ...
    sample = detection.some_lines(text)
    if delimiter == "auto":
        delimiter = detection.find_delimiter(sample)
    decimal, thousands = wanted
    if decimal == "auto":
        decimal = {",": ".", ".": ","}.get(thousands) or detection.find_decimal(detection.cells_of(sample, delimiter), thousands)
    if decimal == thousands:
        raise UserError("The decimal sign and the sign between thousands can't be the same.")
    first = next(csv.reader(sample[:1], delimiter=delimiter), [])
    header = not all(detection.is_value(cell) for cell in first) and not detection.goes_on(sample, delimiter)
    if header and len(sample) < 2:
        raise UserError("This file has a header but no rows.")
    widths = [len(row) for row in csv.reader(sample[1:100], delimiter=delimiter)]
    first += [""] * (min(widths, default=0) - len(first))  # rows that end in a delimiter have a field more than the header
    if len(first) > MAX_COLUMNS:
        raise UserError(_too_large(text.count("\n"), len(first)))
    if text.count("\n") > MAX_ROWS + 1000:
        raise UserError(_too_large(text.count("\n"), len(first)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop fields that have no header
            frame = pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                decimal=decimal,
                header=None,
                skiprows=1 if header else 0,
                names=_unique(first)[0] if header else [f"column {n + 1}" for n in range(len(first))],
                index_col=False,
                na_values=MISSING,
                keep_default_na=False,
                skipinitialspace=True,
                low_memory=False,
                on_bad_lines="error",
            )
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found:
            line = int(found[2])
            raise UserError(f"Line {line} has {found[3]} fields where the first has {found[1]}. Is the delimiter right?") from None
        raise UserError("The lines of this file don't form a table. Is the delimiter right?") from None
    except pd.errors.ParserWarning:
        raise UserError("Some rows have more fields than the header. Is the delimiter right?") from None
    except (ValueError, OverflowError, csv.Error, IndexError):
        raise UserError("This file can't be read as a table.") from None
    notes = _unique(first)[1] if header else ["The file has no header: its columns were numbered."]
    facts = {
        "file": "text",
        "encoding": encoding,
        "delimiter": detection.DELIMITERS.get(delimiter, delimiter),
        "decimal sign": columns.THOUSANDS[decimal],
        "thousands": columns.THOUSANDS[
            detection.find_thousands(detection.cells_of(before, delimiter), decimal) if thousands == "auto" else thousands
        ],
    }
    return frame, facts, notes, columns.Notation(decimal, thousands)


# columns


def _too_large(rows: int, columns: int) -> str:
    if columns > MAX_COLUMNS:
        return f"This file has {columns:,} columns; the limit is {MAX_COLUMNS}. Keep those you need."
    return f"This file has more than {MAX_ROWS:,} rows (about {rows:,}). Keep the newest, or average over longer steps."


def _check_size(frame: pd.DataFrame) -> None:
    if len(frame) > MAX_ROWS or frame.shape[1] > MAX_COLUMNS:
        raise UserError(_too_large(len(frame), frame.shape[1]))
    if frame.empty:
        raise UserError("This file has a header but no rows.")


def _unique(names: list[Any]) -> tuple[list[str], list[str]]:
    """Names for columns: none empty, none twice; and what had to be changed."""
    seen: dict[str, int] = {}
    unique, notes = [], []
    for number, raw in enumerate(names, 1):
        name = " ".join(str(raw).split())[:80] or f"column {number}"
        if re.fullmatch(r"Unnamed: \d+", name):
            name = f"column {number}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            number = seen[name]
            while (other := f"{name} ({number})") in seen:
                number += 1
            notes.append(f"Several columns are called '{name}'; number {seen[name]} is now '{other}'.")
            name, seen[other] = other, 1
        unique.append(name)
    return unique, notes


def _name_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    names = [
        re.sub(r"(.+)\.\d+$", r"\1", str(c)) if re.sub(r"\.\d+$", "", str(c)) in map(str, frame.columns) else str(c) for c in frame.columns
    ]
    unique, notes = _unique(names)
    return frame.set_axis(unique, axis=1), notes


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(f"'{name}'" for name in names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
