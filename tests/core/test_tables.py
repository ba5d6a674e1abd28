"""Uploads in the shapes that people really have them, and any bytes at all."""

import io
import time

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import columns, tables
from core.errors import UserError
from core.forecasting import tidy

HOURS = pd.date_range("2024-03-30 09:00", periods=40, freq="h")
MONTHS = pd.date_range("2020-01-01", periods=40, freq="MS")


def csv(values=None, times=MONTHS, style="%Y-%m-%d", separator=",", header=("date", "sales")):
    values = range(100, 100 + len(times)) if values is None else values
    return "\n".join([separator.join(header), *(f"{t.strftime(style)}{separator}{v}" for t, v in zip(times, values, strict=True))])


def read(content, **options):
    table = tables.parse(content if isinstance(content, bytes) else content.encode(), **options)
    return table, tidy.tidy(table, tidy.Choices(), "x")


@pytest.mark.parametrize(
    "style",
    ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%Y年%m月%d日", "%d-%b-%Y", "%b %Y", "%Y%m%d", "%Y-%m", "%m/%d/%y"],
)
def test_date_formats_are_found(style):
    table, series = read(csv(style=style))
    assert table.times() == ["date"]
    assert series.frame.index[0] == MONTHS[0] and series.frame.index[-1] == MONTHS[-1] and series.step == "MS"


def test_day_and_month_are_told_apart_by_the_steadier_step():
    days = pd.date_range("2024-01-01", periods=11, freq="D")  # 01/02 reads both ways
    assert read(csv(times=days, style="%d/%m/%Y", values=range(11)))[1].step == "D"
    assert read(csv(times=days, style="%m/%d/%Y", values=range(11)))[1].step == "D"


def test_quarters_years_and_unix_seconds():
    assert read("q,x\n" + "\n".join(f"{y}Q{q},{y + q}" for y in range(2000, 2005) for q in (1, 2, 3, 4)))[1].step == "QS"
    assert read("year,x\n" + "\n".join(f"{y},{y % 7}" for y in range(1950, 1990)))[1].step == "YS"
    assert read("\n".join(f"{y},{y % 7}" for y in range(1950, 1990)))[1].frame.index[0].year == 1950  # no header
    assert read("time,x\n" + "\n".join(f"{1_700_000_000 + 3600 * n},{n}" for n in range(30)))[1].step == "h"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("cp932", "Shift-JIS (cp932)")],
)
def test_encodings_are_found(encoding, told):
    table, series = read(csv(style="%Y/%m/%d", header=("年月", "売上")).encode(encoding))
    assert table.facts["encoding"] == told
    assert series.targets == ("売上",)


def test_western_text_is_not_taken_for_japanese():
    table, series = read(csv(header=("date", "été")).encode("cp1252"))
    assert series.targets == ("été",)
    assert "Shift" not in table.facts["encoding"]


@pytest.mark.parametrize(
    ("separator", "cells", "value"),
    [
        (",", "1234.5", 1234.5),
        (";", "1234,5", 1234.5),
        (";", "1.234,5", 1234.5),
        (",", '"1,234.5"', 1234.5),
        (",", '"1,235"', 1235),
        ("\t", "1 234,5", 1234.5),
        ("|", "1'234.5", 1234.5),
        (",", "$1234.5", 1234.5),
        (",", "-1.5e3", -1500),
    ],
)
def test_numbers_in_every_notation(separator, cells, value):
    values = [cells, *(cells.replace("5", str(n % 10)) for n in range(1, 40))]
    _, series = read(csv(values=values, separator=separator))
    assert series.values()[0, 0] == value


def test_a_decimal_comma_does_not_spoil_dates_with_points():
    _, series = read(csv(style="%d.%m.%Y", separator=";", values=[f"{n},25" for n in range(40)]))
    assert series.frame.index[1] == MONTHS[1] and series.values()[3, 0] == 3.25


def test_rows_longer_than_the_header_lose_nothing():
    table = tables.parse(b"date,x\n2020-01-01,1,7\n2020-01-02,2,8\n2020-01-03,3,9\n")
    assert list(table.frame) == ["date", "x", "column 3"] and table.frame["column 3"].tolist() == [7, 8, 9]


def test_what_is_detected_can_be_overridden():
    table = tables.parse(csv(values=[f"{n}.125" for n in range(40)], separator=";").encode(), decimal=",", delimiter=";")
    assert table.frame["sales"].iloc[1] == 1125
    with pytest.raises(UserError, match="not ascii"):
        tables.parse("é".encode() * 20, encoding="ascii")


@pytest.mark.parametrize("write", ["excel", "parquet"])
def test_excel_and_parquet(write):
    out = io.BytesIO()
    frame = pd.DataFrame({"day": MONTHS, "x": np.arange(40), "note": "text"})
    frame.to_excel(out, index=False) if write == "excel" else frame.to_parquet(out)
    table, series = read(out.getvalue())
    assert table.times() == ["day"] and series.length == 40 and series.targets == ("x",)


def test_named_zones_survive_and_offsets_are_read_as_utc():
    hours = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")  # across a clock change
    _, series = read("t,x\n" + "\n".join(f"{t.isoformat()},{n}" for n, t in enumerate(hours)))
    assert series.step == "h" and series.length == 60 and str(series.frame.index.tz) == "UTC"
    days = pd.date_range("2024-03-28", periods=9, freq="D", tz="Europe/Berlin")
    _, series = read("t,x\n" + "\n".join(f"{t.isoformat()},{n}" for n, t in enumerate(days)))
    assert series.step == "D" and series.length == 9
    out = io.BytesIO()
    pd.DataFrame({"x": range(60)}, index=hours).to_parquet(out)
    assert str(read(out.getvalue())[1].frame.index.tz) == "Europe/Berlin"


@pytest.mark.parametrize("zone", [" UTC", " GMT", "+00", " Europe/Berlin", "+00:00[Europe/Berlin]"])
def test_zones_as_databases_write_them(zone):
    table, series = read("t,x\n" + "\n".join(f"{t:%Y-%m-%d %H:%M:%S}{zone},{n}" for n, t in enumerate(HOURS)))
    assert table.times() == ["t"] and series.step == "h" and series.frame.index.tz_localize(None)[0] == HOURS[0]
    assert ("by the local clock of Europe/Berlin" in table.facts["date format"]) == (zone == " Europe/Berlin")


def test_offsets_without_minutes_or_with_slashes_in_the_date():
    for style in ("%Y-%m-%d %H:%M:%S+09", "%Y/%m/%d %H:%M:%S+09:00", "%Y-%m-%d %H:%M:%S JST"):
        _, series = read(csv(times=HOURS, style=style))
        assert str(series.frame.index.tz) == "UTC+09:00" and series.frame.index.tz_localize(None)[0] == HOURS[0]


def test_only_some_stamps_with_a_zone_are_said():
    rows = [f"{t:%Y-%m-%d %H:%M}{'+09' if n % 2 else ''},{n}" for n, t in enumerate(HOURS)]
    with pytest.raises(UserError, match=r"Some time stamps carry a time zone and some don't \(row 1"):
        read("t,x\n" + "\n".join(rows))


def test_a_mixed_column_that_nobody_needs_stops_nothing():
    rows = [f"{t:%Y-%m-%d},{n},{t:%Y-%m-%d %H:%M}{'+09' if n % 2 else ''}" for n, t in enumerate(MONTHS)]
    table, series = read("day,x,updated\n" + "\n".join(rows))
    assert table.times() == ["day"] and series.targets == ("x",)
    with pytest.raises(UserError, match="Column 'updated': Some time stamps carry a time zone"):
        tidy.examine(table, tidy.Choices(time="updated"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_months_of_a_place_with_summer_time_stay_where_they_are(zone):
    months = pd.date_range("2010-01-01", periods=150, freq="MS", tz=zone)
    table, series = read("t,x\n" + "\n".join(f"{t.isoformat()},{n}" for n, t in enumerate(months)))
    assert series.step == "MS" and str(series.frame.index[0]) == "2010-01-01 00:00:00" and series.length == 150
    assert "taken by the local clock" in table.facts["date format"]


@pytest.mark.parametrize(("style", "bad"), [("%Y-%m-%d", "2022-02-30"), ("%d.%m.%Y", "Total"), ("%b %d, %Y", "31 of May")])
@pytest.mark.parametrize("time", ["auto", "day"])
def test_a_cell_that_is_no_date_is_named_and_left_out(style, bad, time):
    cells = [f"{t:{style}}" for t in MONTHS]
    cells[7] = bad
    table = tables.parse(("day;x\n" + "\n".join(f"{cell};{n}" for n, cell in enumerate(cells))).encode())
    found = tidy.examine(table, tidy.Choices(time=time))
    told = {"%Y-%m-%d": "ISO 8601"}.get(style, style)
    assert (
        found.time == "day"
        and ("drop", f"1 row without a time stamp in the format {told} in 'day' (first: row 8, '{bad}'): left out.") in found.problems
    )
    series = tidy.tidy(table, tidy.Choices(time=time), "x")
    assert series.length == len(MONTHS) and series.frame.index[0] == MONTHS[0]  # the gap is filled like any other


def test_beside_a_cell_that_is_no_date_days_before_months_are_still_told_by_the_steadier_step():
    rows = [f"{t:%d/%m/%Y};{n}" for n, t in enumerate(MONTHS)] + ["Total;66"]
    _, series = read("day;x\n" + "\n".join(rows))
    assert series.step == "MS" and series.length == 40 and series.frame.index[1] == MONTHS[1]


def test_the_format_that_is_asked_for_holds_beside_a_cell_that_is_no_date():
    rows = [f"{t:%d/%m/%Y};{n}" for n, t in enumerate(MONTHS[:12])] + ["Total;66"]  # 01/02: also twelve days of a January
    content = ("day;x\n" + "\n".join(rows)).encode()
    for style, step in (("%d/%m/%Y", "MS"), ("%m/%d/%Y", "D")):
        found = tidy.examine(tables.parse(content, dates=style), tidy.Choices())
        assert found.step == step and f"a time stamp in the format {style} in 'day' (first: row 13, 'Total')" in found.problems[0][1]
    other = tidy.examine(tables.parse(content, dates="%Y%m"), tidy.Choices())  # none of it is that: read as it would be unasked
    assert other == tidy.examine(tables.parse(content), tidy.Choices())


def test_numbers_with_a_sum_below_are_no_dates():
    rows = "\n".join(f"word,{1900 + n}" for n in range(30)) + "\nword,Total"
    with pytest.raises(UserError, match="No column holds dates"):
        read("a,b\n" + rows)


def test_numbers_are_no_years_because_of_their_name():
    table, series = read(csv(values=range(1600, 1640), header=("date", "monthly_sales")))
    assert table.times() == ["date"] and series.targets == ("monthly_sales",)
    table = tables.parse(b"year,month,x\n" + b"".join(b"%d,%d,%d\n" % (1950 + n, 1700 + n, n) for n in range(20)))
    assert table.times() == ["year"]


def test_dates_written_as_mere_numbers_can_be_named():
    content = "sales,code\n" + "\n".join(f"{n % 7},{t:%Y%m%d}" for n, t in enumerate(MONTHS))
    assert tables.parse(content.encode()).times() == []
    assert tables.parse(content.encode(), dates="%Y%m%d").times() == ["code"]
    series = tidy.tidy(tables.parse(content.encode()), tidy.Choices(time="code"), "x")
    assert series.step == "MS" and series.frame.index[0] == MONTHS[0] and series.targets == ("sales",)


@pytest.mark.parametrize("style", ["%Y-%m-%d", "%d-%b-%Y", "%d.%m.%Y"])
def test_the_first_row_of_a_file_without_a_header_is_kept(style):
    table = tables.parse("\n".join(f"{t.strftime(style)},{n},north" for n, t in enumerate(MONTHS)).encode())
    assert len(table.frame) == len(MONTHS) and "no header" in table.notes[0]


def test_years_as_headers_stay_headers():
    table = tables.parse(b"date,2020,2021\n" + b"".join(b"2024-01-%02d,%d,%d\n" % (n, n, n) for n in range(1, 20)))
    assert list(table.frame) == ["date", "2020", "2021"] and len(table.frame) == 19


def test_an_encoding_that_is_chosen_does_not_keep_the_mark():
    table = tables.parse(csv().encode("utf-8-sig"), encoding="utf-8")
    assert list(table.frame) == ["date", "sales"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "empty"),
        (b"date,x", "header but no rows"),
        (b"date,x\n", "header but no rows"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "PNG picture"),
        (b"\xff\xd8\xff\xe0 jpeg", "JPEG"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04 no zip", "damaged"),
        (b"PAR1 no parquet", "damaged"),
        (b"\xd0\xcf\x11\xe0 old", "xlsx"),
        (bytes(range(32)) * 20, "not a text file"),
        (b"a,b\n1,2\n1,2,3\n", "Line 3 has 3 fields"),
        (b"a" * 140_000 + b"\n1,2\n", "cell of this file is longer"),
        (b",".join(b"c%d" % n for n in range(5000)) + b"\n" + b",".join([b"1"] * 5000), "5,000 columns"),
        (b"x\n" + b"1\n" * 1_002_000, "1,000,000 rows"),
        (b"x" * (tables.MAX_BYTES + 1), "limit is 50 MB"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(content, words):
    with pytest.raises(UserError, match=words):
        tables.parse(content)


def test_a_zip_that_is_no_workbook_and_a_bomb():
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(UserError, match="zip archive"):
        tables.parse(out.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * (tables.MAX_UNPACKED + 1))
    with pytest.raises(UserError, match="unpacks to more"):
        tables.parse(out.getvalue())


def test_columns_of_the_same_name_and_without_one():
    table, series = read("date,sales,sales,\n2020-01-01,1,2,9\n2020-01-02,2,3,9\n2020-01-03,3,9,9")
    assert list(table.frame) == ["date", "sales", "sales (2)", "column 4"]
    assert any("called 'sales'" in note for note in series.notes)


def test_the_first_bad_cell_is_named():
    table = tables.parse(csv(values=[1, 2, "oops", *range(37)]).encode())
    with pytest.raises(UserError, match=r"Row 3, column 'sales': 'oops' is not a number"):
        tidy.tidy(table, tidy.Choices(targets=("sales",)), "x")


def test_a_million_rows_are_read_in_seconds():
    times = pd.date_range("2000", periods=tables.MAX_ROWS, freq="min").strftime("%Y-%m-%d %H:%M:%S")
    content = ("t,x\n" + "\n".join(f"{t},{n % 97}.5" for n, t in enumerate(times))).encode()
    _, series = read(content)
    assert series.length == tables.MAX_ROWS and series.step == "min"


def assert_table_or_sentence(content, **options):
    began = time.process_time()  # of work: a busy neighbour does not count
    try:
        table = tables.parse(content, **options)
        tidy.tidy(table, tidy.Choices(), "x")
        tidy.tidy(table, tidy.Choices(time=tidy.ROWS), "x")
    except UserError as error:
        assert str(error)
    assert time.process_time() - began < 5


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(st.binary(max_size=2000))
def test_any_bytes_give_a_table_or_a_sentence(content):
    assert_table_or_sentence(content)


@FUZZ
@given(st.sampled_from([b"PAR1", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"date,x\n"]), st.binary(max_size=400))
def test_any_bytes_after_a_known_beginning(head, content):
    assert_table_or_sentence(head + content)


CELLS = st.one_of(
    st.sampled_from(
        [
            "",
            "1",
            "-1,5",
            "1.234,5",
            "1e400",
            "inf",
            "nan",
            "2020-01-01",
            "2020-13-45",
            "01/02/2020",
            "0001-01-01",
            "9999-12-31",
            "x",
            "=cmd|' /C calc'!A0",
            "2020Q1",
            '"',
            "12:30",
            "2020-01-01T00:00:00+09:00",
        ]
    ),
    st.text(max_size=8),
    st.floats().map(str),
    st.dates().map(str),
)


@FUZZ
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=12),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-16", "cp932"]),
)
def test_any_table_gives_a_series_or_a_sentence(rows, separator, encoding):
    assert_table_or_sentence("\n".join(separator.join(row) for row in [["date", "x", "y"], *rows]).encode(encoding, errors="replace"))


@FUZZ
@given(st.binary(min_size=1, max_size=40), st.integers(0, 10_000))
def test_a_damaged_excel_or_parquet_file(noise, where):
    for make in ("to_excel", "to_parquet"):
        out = io.BytesIO()
        getattr(pd.DataFrame({"date": MONTHS[:5], "x": range(5)}), make)(out)
        content = bytearray(out.getvalue())
        where %= len(content)
        content[where : where + len(noise)] = noise
        assert_table_or_sentence(bytes(content))


@pytest.mark.parametrize(
    ("cells", "first", "step"),
    [
        ([f"{t:%Y%m}" for t in MONTHS], MONTHS[0], "MS"),
        ([f"{t.year}-{t.month}-{t.day}" for t in MONTHS], MONTHS[0], "MS"),
        ([f"{t:%d.%m.%y}" for t in MONTHS], MONTHS[0], "MS"),
        ([f"{t:%m/%d/%Y %I:%M %p}" for t in HOURS], HOURS[0], "h"),
    ],
    ids=["202401", "2024-1-5", "05.01.24", "AM and PM"],
)
def test_dates_as_other_programs_write_them(cells, first, step):
    _, series = read("date;x\n" + "\n".join(f"{cell};{n % 7}" for n, cell in enumerate(cells)))
    assert (series.frame.index[0], series.step, series.length) == (first, step, 40)


@pytest.mark.parametrize("frequency", ["D", "W-SUN", "MS", "YS"])
def test_stamps_with_one_utc_offset_keep_their_dates(frequency):
    times = pd.date_range("1990-01-01", periods=40, freq=frequency)
    cells = [f"{t:%Y-%m-%dT%H:%M:%S}+09:00" for t in times]
    table, series = read("date,x\n" + "\n".join(f"{cell},{n % 7}" for n, cell in enumerate(cells)))
    assert [str(day) for day in series.times().date] == [str(day) for day in times.date]
    assert series.step == frequency
    assert any("UTC+09:00" in str(fact) for fact in table.facts.values())


def test_several_utc_offsets_are_said():
    hours = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")  # +01:00, then +02:00
    table, series = read("date,x\n" + "\n".join(f"{t.isoformat()},{n % 7}" for n, t in enumerate(hours)))
    assert series.length == 60 and series.step == "h"
    assert any("2 UTC offsets: taken as UTC" in str(fact) for fact in table.facts.values())
    days = pd.date_range("2024-03-15", periods=40, freq="D", tz="Europe/Berlin")  # at midnight there: uneven in UTC
    table, series = read("date,x\n" + "\n".join(f"{t.isoformat()},{n % 7}" for n, t in enumerate(days)))
    assert series.length == 40 and series.step == "D" and str(series.frame.index[0])[:10] == "2024-03-15"
    assert any("local clock" in str(fact) for fact in table.facts.values())


def test_no_name_of_a_column_is_taken_twice():
    out = io.BytesIO()
    arrow = pyarrow.table([pyarrow.array(MONTHS), pyarrow.array(range(40)), pyarrow.array(range(40, 80))], names=["t", "a", "a"])
    pyarrow.parquet.write_table(arrow, out)
    assert list(tables.parse(out.getvalue()).frame) == ["t", "a", "a (2)"]
    table = tables.parse(b"t,a,a,a (2)\n2020-01-01,1,2,3\n2020-01-02,2,3,4\n2020-01-03,2,3,4\n")
    assert len(set(table.frame)) == 4 and table.frame.iloc[0].tolist()[1:] == [1, 2, 3]


def test_the_first_bad_cell_is_found_between_decimal_commas():
    assert columns.first_bad_cell(pd.Series(["1,5", "2.000,25", "n/a", "2,x", *["3,5"] * 20]), columns.Notation(",")) == (4, "2,x")
    assert columns.first_bad_cell(pd.Series(["1.5", "2,000.25", "3.5"]), columns.Notation(".")) is None


def test_a_column_with_the_other_decimal_sign_is_told_of():
    lines = [f"{t:%Y-%m-%d};{n}.5;{n},25" for n, t in enumerate(MONTHS)]
    table = tables.parse(("date;x;odd\n" + "\n".join(lines)).encode())
    assert table.notation.decimal == "." and table.numbers() == ["x"]
    assert any("'odd' would be numbers with a decimal comma" in note for note in table.notes)
    with pytest.raises(UserError, match="Row 1, column 'odd': '0,25' is not a number"):
        tidy.tidy(table, tidy.Choices(targets=("odd",)), "x")


def test_years_with_a_month_are_not_taken_for_days():
    _, series = read("month,x\n" + "\n".join(f"{year}12,{year % 7}" for year in range(1990, 2030)))
    assert str(series.frame.index[0])[:7] == "1990-12" and series.length == 40


@pytest.mark.parametrize(
    ("cell", "separator", "told"),
    [
        ("1,234.5", ";", "comma"),
        ("1.234,5", ";", "point"),
        ("1 234,5", ";", "space"),
        ("1\u202f234,5", ";", "space"),
        ("1'234.5", ",", "apostrophe"),
        ("1234.5", ",", "none"),
    ],
)
def test_what_stands_between_thousands_is_told(cell, separator, told):
    table, series = read(csv(values=[cell.replace("5", str(n % 9)) for n in range(40)], separator=separator))
    assert table.facts["thousands"] == told and series.values()[3, 0] == 1234.3


def test_what_stands_between_thousands_can_be_chosen():
    content = csv(values=[f"{n % 7 + 1}.234" for n in range(40)], separator=";").encode()
    assert tables.parse(content).frame["sales"].iloc[0] == 1.234
    assert tables.parse(content, thousands=".").frame["sales"].iloc[0] == 1234
    commas = csv(values=[f"{n % 7 + 1},234" for n in range(40)], separator=";").encode()
    assert tables.parse(commas, decimal=".").frame["sales"].iloc[0] == 1234
    assert tables.parse(commas, decimal=".", thousands="none").numbers() == []
    with pytest.raises(UserError, match="can't be the same"):
        tables.parse(commas, decimal=",", thousands=",")
    assert tables.parse(commas, thousands="none").frame["sales"].iloc[0] == 1.234


@pytest.mark.parametrize(("decimal", "between"), [(",", "."), (".", ",")])
def test_a_first_thousand_far_down_is_still_one(decimal, between):
    sales = [f"{n:,}".replace(",", between) for n in range(700, 1700)]
    lines = [f"{n % 7}{decimal}5;{cell}" for n, cell in enumerate(sales)]
    table = tables.parse(("price;sales\n" + "\n".join(lines)).encode())
    assert table.frame["sales"].tolist() == list(range(700, 1700)) and not table.notes
    assert table.frame["price"].iloc[1] == 1.5


def test_two_signs_between_thousands_in_one_file():
    lines = [f"{75_000 + n:,}".replace(",", " ") + f";{1000 + n:,}.5" for n in range(30)]
    table = tables.parse(("post;x\n" + "\n".join(lines)).encode())
    assert table.frame["post"].iloc[1] == 75_001 and table.frame["x"].iloc[1] == 1001.5


def test_a_column_that_begins_with_numbers_is_not_called_nearly_all_numbers():
    table = tables.parse(("x;y\n" + "\n".join(f"{n if n < 1200 else 'off'};1" for n in range(4000))).encode())
    assert table.numbers() == ["y"] and not table.notes


def test_of_several_sheets_the_one_with_the_numbers_is_read_and_another_can_be_chosen():
    out = io.BytesIO()
    with pd.ExcelWriter(out) as file:
        pd.DataFrame({"notes": ["made in", "by", "hand"], "year": [2020, None, None]}).to_excel(file, sheet_name="Read me", index=False)
        pd.DataFrame({"day": MONTHS, "x": range(40)}).to_excel(file, sheet_name="Sales", index=False)
        pd.DataFrame({"day": MONTHS, "y": range(40)}).to_excel(file, sheet_name="Costs", index=False)
    table = tables.parse(out.getvalue())
    assert table.facts["sheet"] == "Sales" and table.sheets == ("Read me", "Sales", "Costs")
    assert any("3 sheets with data; this is 'Sales'" in note for note in table.notes)
    assert tables.parse(out.getvalue(), sheet="Costs").numbers() == ["y"]
    assert tables.parse(out.getvalue(), sheet="none of them").facts["sheet"] == "Sales"


def test_japanese_headers_of_one_sign_are_japanese_and_french_ones_french():
    assert list(tables.parse("日,値\n2020-01-01,1\n2020-02-01,2\n".encode("cp932")).frame) == ["日", "値"]
    assert list(tables.parse("année,données,été\n2020-01-01,1,2\n".encode("cp1252")).frame) == ["année", "données", "été"]


def test_numbers_kept_as_text_in_excel_are_read_in_the_chosen_notation():
    out = io.BytesIO()
    pd.DataFrame({"day": MONTHS, "x": [1.25 if n % 2 else "1.000,5" for n in range(40)]}).to_excel(out, index=False)
    assert tables.parse(out.getvalue(), decimal=".").numbers() == []
    for decimal in ("auto", ","):
        table = tables.parse(out.getvalue(), decimal=decimal)
        assert table.frame["x"].iloc[:2].tolist() == [1000.5, 1.25]
    assert tables.parse(out.getvalue()).facts["decimal sign"] == "comma"


@pytest.mark.parametrize(
    ("cells", "last"),
    [
        ([*map(str, range(900, 1000)), *(f"1.{n:03d}" for n in range(200))], 1199.0),  # grows past a thousand
        ([f"1.{n:03d}.000" for n in range(100, 200)], 1199000.0),
        ([*map(str, range(300)), *(["7"] * 400), "1.250"], 1250.0),  # late
        ([*map(str, range(500)), *(["7"] * 400), "3,1"], 3.1),
        ([*map(str, range(500, 1000)), *(["7"] * 400), "12,345"], 12345.0),
        ([f"1.{n:03d}" for n in range(100, 300)], 1.299),  # a decimal sign: nothing speaks against it
        ([*(f"0.{n:03d}" for n in range(100, 300)), "100"], 100.0),
        ([*(f"1.{n:03d}" for n in range(100, 300)), "100", "2.5"], 2.5),
        ([*(f"1.{n:03d}" for n in range(100, 300)), "2500"], 2500.0),  # a thousand without its sign
        ([*(f"1.{n:03d}" for n in range(100, 300)), "2"], 2.0),  # no number near a thousand
    ],
)
def test_a_point_between_thousands_is_told_from_a_decimal_one(cells, last):
    table = tables.parse("\n".join(["day;x", *(f"{n};{cell}" for n, cell in enumerate(cells))]).encode(), delimiter=";")
    assert table.frame["x"].iloc[-1] == pytest.approx(last) and table.numbers() == ["day", "x"]
