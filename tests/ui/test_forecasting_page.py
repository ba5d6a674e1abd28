"""The forecasting page in the hands of a clumsy visitor: files that are wrong, F5, links that are stale."""

import io
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.runs import store
from tests.ui.test_pages import button, opened, texts

ROOT = Path(__file__).resolve().parents[2]
OWN = "Your own file"
GRU = "example-forecasting-airline-gru"
OTHER = {"forecasting": "sunspots", "gan": "moons", "image": "fashion"}
GAPS = "day;shop;price;sales\n" + "\n".join(f"{d:02d}.03.2024;north;{d % 5},5;{d * 7 % 11},25" for d in range(1, 31) if d not in (9, 10))
BAD = {
    "empty": (b"", "empty"),
    "header only": (b"date,sales\n", "row"),
    "one row": (b"date,sales\n2020-01-01,3\n", "row"),
    "no time column": (b"a,b\n" + b"\n".join(b"%d,%d" % (n * 7 % 5, n) for n in range(40)), "row numbers"),
    "no numeric column": (b"date,word\n" + b"\n".join(b"2020-01-%02d,x" % n for n in range(1, 29)), "number"),
    "all missing": (b"date,sales\n" + b"\n".join(b"2020-01-%02d," % n for n in range(1, 29)), "number"),
    "a renamed PNG": (b"\x89PNG\r\n\x1a\n....", "PNG picture"),
}


def again(first, **parameters):
    """The page as after F5: a new session of the same visitor."""
    page = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=90)
    page.session_state["visitor"] = first.session_state["visitor"]
    return opened(page.run(), "forecasting", **parameters)


def brought(app, content, name="sales.csv", **parameters):
    page = opened(app, "forecasting", forecasting_data=OWN, **parameters)
    page.file_uploader[0].upload(name, content, "text/csv").run()
    assert not page.exception, page.exception
    return page


def chosen(page, label):
    return next(widget for widget in [*page.selectbox, *page.multiselect] if widget.label == label)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_a_sentence_and_the_earlier_run_stays(app, case):
    content, word = BAD[case]
    page = brought(app, content, forecasting_run=GRU)
    said = texts([*page.error, *page.warning, *page.caption])
    assert word in said.lower() or word in said, said
    assert page.session_state["linked_forecasting_run"] == GRU
    assert store.result(GRU)["sentence"] in texts([*page.success, *page.warning])


def test_a_sheet_of_an_excel_file_is_chosen_and_kept(app):
    out, months = io.BytesIO(), pd.date_range("2010-01-01", periods=90, freq="MS")
    with pd.ExcelWriter(out) as file:
        for name in ("Sales", "Costs"):
            pd.DataFrame({"day": months, name.lower(): range(90)}).to_excel(file, sheet_name=name, index=False)
    page = brought(app, out.getvalue(), "book.xlsx")
    assert "sheet: **Sales**" in texts(page.caption)
    chosen(page, "Sheet").select("Costs").run()
    assert "sheet: **Costs**" in texts(page.caption)
    fresh = again(page, forecasting_data=OWN, forecasting_upload=page.session_state["linked_forecasting_upload"])
    assert chosen(fresh, "Sheet").value == "Costs" and "sheet: **Costs**" in texts(fresh.caption)


def test_a_transform_that_the_values_do_not_allow_is_told_before_the_training(app):
    rows = b"".join(b"2020-%02d-%02d,%d\n" % (1 + n // 28, 1 + n % 28, n - 30) for n in range(120))
    page = brought(app, b"date,sales\n" + rows, forecasting_transform="log")
    assert "needs positive values, and the smallest is -30" in texts(page.error)
    assert all(button(page, label).disabled for label in ("Train", "Race the three cells"))


def test_what_was_chosen_for_a_file_is_there_after_f5_and_on_the_way_back(app):
    page = brought(app, GAPS.encode())
    chosen(page, "To forecast").select("sales").run()
    chosen(page, "Missing values and steps").select("previous").run()
    chosen(page, "Decimal sign").select(",").run()
    assert not page.exception
    kept = {label: chosen(page, label).value for label in ("To forecast", "Missing values and steps", "Decimal sign", "Time")}
    assert kept == {"To forecast": ["price", "sales"], "Missing values and steps": "previous", "Decimal sign": ",", "Time": "day"}
    upload = page.session_state["linked_forecasting_upload"]
    fresh = again(page, forecasting_data=OWN, forecasting_upload=upload)
    assert {label: chosen(fresh, label).value for label in kept} == kept
    back = opened(opened(page, "runs"), "forecasting")
    assert {label: chosen(back, label).value for label in kept} == kept


def test_another_visitor_of_the_same_file_begins_with_what_was_detected(app):
    page = brought(app, GAPS.encode())
    chosen(page, "Decimal sign").select(".").run()
    page.session_state["visitor"], mine = "another", page.session_state["visitor"]
    assert mine != "another"
    fresh = again(page, forecasting_data=OWN, forecasting_upload=page.session_state["linked_forecasting_upload"])
    assert chosen(fresh, "Decimal sign").value == "auto"


@pytest.mark.parametrize("name", OTHER)
def test_a_link_to_data_that_is_not_there_says_so_until_another_is_chosen(app, name):
    page = opened(app, name, **{f"{name}_data": "Nothing of the kind"})
    assert "names data that this page does not have" in texts(page.warning)
    page.run()
    assert "names data that this page does not have" in texts(page.warning)
    control = next(group for group in page.button_group if group.key == f"{name}_data")
    control.set_value(OTHER[name]).run()
    assert not page.exception
    assert "names data that this page does not have" not in texts(page.warning)
