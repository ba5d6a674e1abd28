"""How a file of text is written, told from the text itself: encoding, delimiter, decimal sign, thousands, header."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter

from charset_normalizer import from_bytes

from core.errors import UserError
from core.stamps import MISSING

HEAD, SAMPLE = 400, 100  # lines from the top that are looked at to find out how a file is written; and from all over the rest
ENCODINGS = ("utf-8", "utf-16", "cp932", "euc_jp", "cp1252", "iso8859-15", "mac_roman", "cp1251", "gb18030")
_DATE = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}([-/.月]\d{1,4}日?)?([ T][\d:.+Z-]+)?|\d{1,2}[- ][A-Z][a-z]{2,8}[- ]\d{2,4}|[A-Z][a-z]{2,8} \d{1,2}, \d{4}"
)
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def decode(content: bytes, encoding: str) -> tuple[str, str]:
    """A file's text and its encoding, "auto": the one that fits. Raises `UserError` for one that does not."""
    if encoding != "auto":
        try:
            return content.decode(encoding).removeprefix("\ufeff"), encoding
        except (UnicodeDecodeError, LookupError):
            raise UserError(f"This file is not {encoding}.") from None
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(name, errors="replace"), name
    head = content[:4000]
    if head.count(0) > len(head) // 4:  # Latin text in UTF-16 without a mark: every other byte is 0
        name = "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
        return content.decode(name, errors="replace"), name
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        head = content[:100_000]
    # Japanese first: it has patterns that Latin text rarely shows, and its readers meet it daily.
    try:
        text = head[: head.rfind(b"\n") + 1 or None].decode("cp932")
        if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]{2}|^[\u3040-\u30ff\u4e00-\u9fff][,;\t][\u3040-\u30ff\u4e00-\u9fff][,;\t\r\n]", text):
            return content.decode("cp932", errors="replace"), "Shift-JIS (cp932)"
    except UnicodeDecodeError:
        best = from_bytes(head, cp_isolation=list(ENCODINGS)).best()
        return content.decode(best.encoding if best else "cp1252", errors="replace"), best.encoding if best else "cp1252"
    return content.decode("cp1252", errors="replace"), "cp1252"


def find_delimiter(lines: list[str]) -> str:
    """The delimiter that cuts the lines into the same number of fields most often, and into more than one."""

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines[:100], delimiter=delimiter) if row]
        except csv.Error:
            return (0.0, 0)
        usual = max(set(widths), key=widths.count, default=1)
        return (widths.count(usual) / len(widths) if usual > 1 else 0.0, usual)

    best = max(DELIMITERS, key=score)
    return best if score(best)[0] > 0 else ","


def find_decimal(cells: list[list[str]], thousands: str) -> str:
    """Whether 1,5 or 1.5 is meant, from the cells of each column.

    1,234 counts as thousands if a comma may stand between them; 1.234 only where that is the sole way to read the column: 1.234.567
    is in it, or beside 1.234 and its like there are only whole numbers below 1000, as there are where each thousand has its point.
    """
    comma = point = 0
    groups = thousands in {"auto", ","}
    for column in cells:
        column = [re.sub(r"(?<=\d) (?=\d{3}\b)", "", cell.strip()) for cell in column]
        pointed = [cell for cell in column if "." in cell and re.fullmatch(r"[-+]?[\d.]+", cell)]
        if thousands in {"auto", "."} and pointed and all(re.fullmatch(r"[-+]?[1-9]\d{0,2}(\.\d{3})+", cell) for cell in pointed):
            whole = [len(cell.lstrip("-+")) for cell in column if re.fullmatch(r"[-+]?\d+", cell)]
            if max(whole, default=0) == 3 or any(cell.count(".") > 1 for cell in pointed):
                comma += len(pointed)
                continue
        for cell in column:
            grouped = groups and bool(re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+", cell))
            comma += bool(re.fullmatch(r"[-+]?\d{1,3}(\.\d{3})*,\d+|[-+]?\d+,\d+", cell)) and not grouped
            point += bool(re.fullmatch(r"[-+]?\d{1,3}(,\d{3})*\.\d+|[-+]?\d+\.\d+", cell)) or grouped
    return "," if comma > point else "."


def find_thousands(cells: list[list[str]], decimal: str) -> str:
    """What stands between thousands, from the cells themselves."""
    found: Counter[str] = Counter()
    for column in cells:
        for cell in column:
            match = re.fullmatch(rf"\D{{0,3}}\d{{1,3}}([,.'’ \u00a0\u202f])\d{{3}}(\1\d{{3}})*(\{decimal}\d+)?\D{{0,2}}", cell.strip())
            if match and match[1] != decimal:
                found[{"’": "'", "\u00a0": " ", "\u202f": " "}.get(match[1], match[1])] += 1
    return found.most_common(1)[0][0] if found else "none"


def some_lines(text: str) -> list[str]:
    """The first lines, and some from all over the rest: numbers may grow a sign later on."""
    first = text[:200_000].split("\n")[:HEAD]
    rest = text[sum(map(len, first)) + len(first) :]
    far = len(rest) // SAMPLE
    if far < 1000:
        later = rest.split("\n")[1 :: rest.count("\n") // (10 * SAMPLE) + 1]
    else:  # whole lines only
        later = [line for n in range(SAMPLE) for line in rest[n * far : n * far + 20_000].split("\n")[1:-1][:1]]
    return [line for line in [*first, *later] if line.strip()]


def cells_of(lines: list[str], delimiter: str) -> list[list[str]]:
    """The cells of some lines, column by column."""
    rows = csv.reader([*lines[1:SAMPLE], *lines[SAMPLE:HEAD:4], *lines[HEAD:]], delimiter=delimiter)
    return [list(column) for column in itertools.zip_longest(*rows, fillvalue="")]


def is_value(cell: str) -> bool:
    """Whether a first line's cell is a number or a date, not a name."""
    cell = cell.strip()
    return bool(re.fullmatch(r"[-+]?[\d.,]*\d([eE][-+]?\d+)?", cell) or _DATE.fullmatch(cell)) or cell in MISSING[1:]


def goes_on(lines: list[str], delimiter: str) -> bool:
    """Whether the first line holds a date where the next ones do too: it is a row then, whatever else is in it."""
    rows = list(csv.reader(lines[:4], delimiter=delimiter))
    return len(rows) > 1 and any(all(_DATE.fullmatch(cell.strip()) for cell in cells) for cells in zip(*rows, strict=False))
