import numpy as np
import pandas as pd
import pytest

from core import tables
from core.errors import UserError
from core.forecasting import steps, tidy

DAYS = pd.date_range("2024-01-01", periods=30, freq="D")


def table(times=DAYS, **columns):
    columns = columns or {"x": np.arange(len(times), dtype=float)}
    return tables.Table(pd.DataFrame({"t": times, **columns}))


def problems(found, kind):
    return [text for name, text in found.problems if name == kind]


def test_a_clean_table_needs_nothing():
    found = tidy.examine(table(), tidy.Choices())
    assert (found.time, found.targets, found.step, found.irregular, found.problems) == ("t", ("x",), "D", False, ())
    assert tidy.tidy(table(), tidy.Choices(), "x").notes == ()


@pytest.mark.parametrize(("remedy", "value"), [("interpolate", 4.0), ("previous", 3.0)])
def test_gaps_are_said_and_filled_as_chosen(remedy, value):
    holed = table(DAYS.delete([4]), x=np.delete(np.arange(30.0), 4))
    assert problems(tidy.examine(holed, tidy.Choices()), "missing") == ["1 day missing between the rows (first: 2024-01-05)."]
    series = tidy.tidy(holed, tidy.Choices(missing=remedy), "x")
    assert series.values()[4, 0] == value and series.length == 30
    assert any("1 step with missing values" in note for note in series.notes)
    assert series.filled == (4,)


def test_dropping_counts_rows_instead_of_days():
    series = tidy.tidy(table(DAYS.delete([4]), x=np.delete(np.arange(30.0), 4)), tidy.Choices(missing="drop"), "x")
    assert series.step == "row" and series.length == 29 and any("dropped" in note for note in series.notes)


@pytest.mark.parametrize(("remedy", "value"), [("mean", 1.5), ("sum", 3.0), ("first", 1.0), ("last", 2.0)])
def test_duplicates_are_said_and_merged_as_chosen(remedy, value):
    times = DAYS[[0, 1, 2, 3, 4]].insert(1, DAYS[0])
    doubled = table(times, x=[1.0, 2.0, 5.0, 6.0, 7.0, 9.0])
    assert problems(tidy.examine(doubled, tidy.Choices()), "duplicates")
    series = tidy.tidy(doubled, tidy.Choices(duplicates=remedy), "x")
    assert series.values()[0, 0] == value and series.length == 5
    assert any("merged" in note for note in series.notes)


def test_uneven_stamps_are_gathered_and_nothing_is_lost():
    rng = np.random.default_rng(0)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 40 * 86400, 500)), unit="s")
    uneven = table(times, x=np.ones(500) + np.arange(500) % 2)
    found = tidy.examine(uneven, tidy.Choices())
    assert found.irregular and problems(found, "irregular")
    total = tidy.tidy(uneven, tidy.Choices(aggregate="sum", step="D", duplicates="sum"), "x")
    assert total.step == "D" and total.values().sum() == pytest.approx(750, abs=1e-6)


def test_days_at_different_hours_are_not_taken_for_a_regular_grid():
    times = DAYS + pd.to_timedelta(np.arange(30) % 5, unit="h")
    assert tidy.examine(table(times), tidy.Choices()).irregular


@pytest.mark.parametrize(
    ("frequency", "step"),
    [
        ("MS", "MS"),
        ("ME", "MS"),
        ("QS", "QS"),
        ("YS", "YS"),
        ("BME", "MS"),
        ("W-WED", "W-WED"),
        ("B", "B"),
        ("15min", "15min"),
        ("h", "h"),
        ("7s", "7s"),
        ("YS-APR", "YS-APR"),
        ("QS-FEB", "QS-FEB"),
    ],
)
def test_steps_are_found_with_gaps_too(frequency, step):
    times = pd.date_range("2020-01-01", periods=60, freq=frequency)
    assert steps.find_step(times) == (step, True)
    series = tidy.tidy(table(times.delete([20, 21, 40])), tidy.Choices(), "x")
    assert series.step == step and series.length == 60


def test_order_infinities_and_rows_without_a_time():
    times = DAYS[::-1].to_series().reset_index(drop=True)
    times[3] = pd.NaT
    values = np.arange(30.0)
    values[7] = np.inf
    found = tidy.examine(table(times, x=values), tidy.Choices())
    assert {kind for kind, _ in found.problems} == {"sort", "drop", "missing"}
    series = tidy.tidy(table(times, x=values), tidy.Choices(), "x")
    assert np.isfinite(series.values()).all() and len(series.notes) >= 3


def test_several_targets_and_covariates_known_in_advance():
    plan = np.arange(30.0) % 3
    sales = np.where(np.arange(30) < 25, np.arange(30.0), np.nan)
    both = table(x=sales, y=2 * sales, plan=plan)
    series = tidy.tidy(both, tidy.Choices(targets=("x", "y"), covariates=("plan",)), "x")
    assert series.targets == ("x", "y") and series.length == 25 and len(series.frame) == 30
    assert series.values().shape == (25, 2) and series.frame["plan"].notna().all()
    assert any("'plan': known for 5 steps after the end" in note for note in series.notes)


@pytest.mark.parametrize(("rows", "hole", "words"), [(25, None, "are not in the file"), (30, 27, "Some values of 'plan' after the end")])
def test_covariates_that_are_not_known_after_the_end_are_told_and_cut(rows, hole, words):
    plan = np.arange(30.0) % 3
    plan[hole if hole else slice(0)] = np.nan
    sales = np.where(np.arange(30) < 25, np.arange(30.0), np.nan)
    given = table(DAYS[:rows], x=sales[:rows], plan=plan[:rows])
    series = tidy.tidy(given, tidy.Choices(targets=("x",), covariates=("plan",)), "x")
    assert series.length == len(series.frame) == 25 and any(words in note for note in series.notes)


@pytest.mark.parametrize(
    ("given", "choices", "words"),
    [
        (table(DAYS[:1]), {}, "One row is not a series"),
        (table(x=np.full(30, 5.0)), {}, "constant"),
        (table(x=np.full(30, np.nan)), {}, "No column holds numbers|empty"),
        (tables.Table(pd.DataFrame({"x": np.arange(5.0)})), {}, "No column holds dates"),
        (tables.Table(pd.DataFrame({"t": DAYS, "name": ["a"] * 30})), {}, "'a' is not a number"),
        (table(), {"targets": ("t",)}, "is the time"),
        (table(), {"targets": ("nothing",)}, "no column"),
        (table(), {"time": "x"}, "does not hold dates"),
        (table(x=np.full(30, np.nan), y=np.arange(30.0)), {"targets": ("x",)}, "every value is missing"),
        (
            table(pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-03", "2200-01-01"]), x=[1.0, 2, 3, 4]),
            {},
            "steps of one|gathered|first",
        ),
    ],
)
def test_what_makes_no_series_is_said(given, choices, words):
    if "steps of one" in words:
        series = tidy.tidy(given, tidy.Choices(**choices), "x")
        assert series.length > 4
        return
    with pytest.raises(UserError, match=words):
        tidy.tidy(given, tidy.Choices(**choices), "x")


def test_one_wrong_year_does_not_make_a_billion_rows():
    times = pd.date_range("2024-01-01", periods=30, freq="s").append(pd.DatetimeIndex(["2200-01-01"]))
    with pytest.raises(UserError, match="more than 2,000,000 steps"):
        tidy.tidy(table(times), tidy.Choices(), "x")


def test_rows_can_stand_in_for_time():
    series = tidy.tidy(tables.Table(pd.DataFrame({"x": np.arange(9.0)})), tidy.Choices(time=tidy.ROWS), "x")
    assert series.step == "row" and series.length == 9
