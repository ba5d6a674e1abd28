import itertools
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from core.forecasting.interpret import signal_path
from core.runs import store
from ui import charts, charts_forecasting

TIMES = pd.date_range("2020-01-01", periods=48, freq="MS")
CURVE = (np.arange(2000), np.linspace(5, 0.1, 2000))
THEME = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())["theme"]
VISION = {  # linear RGB as it is seen, by Machado, Oliveira and Fernandes 2009, severity 1
    "all three cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


def linear(color):
    """`#RRGGBB` -> linear RGB."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Linear RGB -> CIE Lab under D65: a distance of 2.3 is just noticed."""
    x, y, z = (
        np.where(v > (6 / 29) ** 3, np.cbrt(v), v * (29 / 6) ** 2 / 3 + 4 / 29) for v in XYZ @ rgb.clip(0, 1) / [0.95047, 1, 1.08883]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    """WCAG's contrast of two colours."""
    light, dark = sorted((float(XYZ[1] @ linear(color)) + 0.05 for color in (one, other)), reverse=True)
    return light / dark


def test_the_yardsticks_of_colour_are_right():
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert lab(linear("#FF0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    red, green = (np.array(VISION["deuteranopia"]) @ linear(color) for color in ("#C00000", "#5A6A00"))
    assert np.linalg.norm(lab(red) - lab(green)) < 0.3 * np.linalg.norm(lab(linear("#C00000")) - lab(linear("#5A6A00")))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    "colors",
    [THEME["light"]["chartCategoricalColors"], THEME["dark"]["chartCategoricalColors"], charts.RACE],
    ids=["light", "dark", "race"],
)
def test_curves_are_told_apart_with_every_kind_of_colour_vision(colors, vision):
    seen = {color: lab(np.array(VISION[vision]) @ linear(color)) for color in colors}
    assert min(np.linalg.norm(seen[a] - seen[b]) for a, b in itertools.combinations(colors, 2)) > 15


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_curves_stand_out_from_the_paper(paper):
    for color in [*THEME[paper]["chartCategoricalColors"], *charts.RACE]:
        assert contrast(color, THEME[paper]["backgroundColor"]) >= 3, color  # WCAG 2.2, 1.4.11
    assert contrast(THEME[paper]["textColor"], THEME[paper]["backgroundColor"]) >= 7


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


def test_what_a_visitor_named_is_no_markup_in_a_chart():
    chart = charts.compare_chart({"<b>x</b> & y": CURVE}, title="<i>z</i>")
    charts.axis(chart, "xaxis", title="a<br>b")
    assert [chart["data"][0]["name"], chart["layout"]["title"]["text"]] == ["&lt;b&gt;x&lt;/b&gt; &amp; y", "&lt;i&gt;z&lt;/i&gt;"]
    assert chart["layout"]["xaxis"]["title"]["text"] == "a&lt;br&gt;b"


def test_greys_are_told_apart_by_their_dashes():
    errors = {name: np.array([1.0, 2.0]) for name in ("network", "ets", "theta", "drift", "last", "naive")}
    chart = charts_forecasting.by_step_chart(errors, {name: name for name in errors}, best="ets", measure="MAE")
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in chart["data"]}) == len(errors)


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
