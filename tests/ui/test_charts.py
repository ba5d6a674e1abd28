import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from core.forecasting.interpret import signal_path
from core.runs import store
from ui import charts, charts_forecasting

TIMES = pd.date_range("2020-01-01", periods=48, freq="MS")
CURVE = (np.arange(2000), np.linspace(5, 0.1, 2000))


def all_charts():
    path = signal_path(store.examples("forecasting")[1], 120)
    yield charts.loss_chart({"train/loss": CURVE}, groups={"train/loss": "training", "val/loss": "validation"}, title="t", refit_from=9)
    yield charts.loss_chart({}, groups={"train/loss": "training"}, title="nothing yet")
    yield charts.compare_chart({"a": CURVE, "b": CURVE}, title="t")
    yield charts_forecasting.series_chart(TIMES, np.ones((48, 2)), ["a", "b"], parts=(20, 30, 48))
    yield charts_forecasting.forecast_chart(TIMES, np.ones(48), 40, np.ones((12, 3)), title="t", rivals={"ets": np.ones(12)})
    yield charts_forecasting.by_step_chart(
        {"network": np.array([1, 2]), "ets": np.array([2, np.nan])}, {"network": "N", "ets": "E"}, best="ets", measure="MAE"
    )
    yield charts_forecasting.hidden_chart(TIMES, np.ones(48), np.ones((48, 4)), title="t")
    yield charts_forecasting.gates_chart(TIMES, path["gates"], names=dict.fromkeys("ifgorzna", "gate"))
    yield charts_forecasting.gradient_chart({"rnn": [1, 0.1, 0.0], "gru": [0.0, 0.0, 0.0]}, title="t", lowest=1e-6)
    yield charts_forecasting.memory_chart([1.0, 0.5], unit="x")
    for step in (0, 5, 23):
        yield charts_forecasting.unrolled_chart(path, TIMES[:24], step, 3)


@pytest.mark.parametrize("chart", all_charts(), ids=lambda chart: chart["layout"]["title"]["text"] or "untitled")
def test_every_chart_is_valid_plotly(chart):
    checked = go.Figure(chart)  # raises ValueError for a property that Plotly does not know
    assert len(checked.data) == len(chart["data"])


def test_long_curves_are_thinned_and_small_numbers_sent():
    chart = charts.loss_chart({"train/loss": CURVE}, groups={"train/loss": "training"}, title="t")
    trace = chart["data"][0]
    assert len(trace["x"]) <= 502 and trace["y"].dtype == np.float32


def test_a_loss_that_hardly_moves_gets_a_plain_axis():
    flat = charts.loss_chart({"train/loss": (np.arange(9), np.linspace(1, 1.5, 9))}, groups={"train/loss": "t"}, title="t")
    steep = charts.loss_chart({"train/loss": CURVE}, groups={"train/loss": "t"}, title="t")
    assert "type" not in flat["layout"]["yaxis"] and steep["layout"]["yaxis"]["type"] == "log"


def test_the_parts_of_a_series_are_marked_where_they_are():
    shapes = charts_forecasting.series_chart(TIMES, np.ones((48, 1)), ["a"], parts=(20, 30, 48))["layout"]["shapes"]
    assert [shape["x0"] for shape in shapes] == [TIMES[20], TIMES[30]]
