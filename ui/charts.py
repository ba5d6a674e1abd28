"""Metrics and arrays -> Plotly figures that any page can use. Data first, options keyword-only; knows only arrays.

A chart is Plotly's own JSON as a dict: `{"data": [traces], "layout": {...}}`. Building a `go.Figure` costs 10 to 15 ms of
checking, too much for what is drawn once a second for every visitor; finished figures go through it once, in `finished`.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.runs.metrics import Curve, thin

if TYPE_CHECKING:  # the home page is the first page of a cold server, and draws without pandas
    import pandas as pd

Chart = dict[str, Any]
Axis: TypeAlias = "Sequence[Any] | np.ndarray | pd.Index"  # what stands along the bottom: steps or times

# Told apart with every kind of colour vision, readable on light and dark paper; the themes' palettes begin with the same hues.
NETWORK, RIVAL, THIRD = "#2E86DE", "#E4712A", "#1FA67A"
QUIET = "#8A94A6"  # what is given, not forecast
RACE = (NETWORK, RIVAL, THIRD, "#783DF5", "#995833", QUIET)  # one a run
BAND = "rgba(46, 134, 222, 0.22)"
TITLE = {"font": {"size": 15}, "x": 0, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 10}}


def as_text(words: object) -> str:
    """Words for a chart as they are: Plotly would read tags in what a visitor named."""
    return html.escape(str(words), quote=False)


def figure(*, title: str = "", height: int = 320, top: int = 0, **layout: object) -> Chart:
    """An empty chart with the house's margins: legend below, where it may wrap on a phone; one hover line for all curves."""
    return {
        "data": [],
        "layout": {
            "title": TITLE | {"text": as_text(title)},
            "height": height,
            "margin": {"l": 8, "r": 8, "t": top or (44 if title else 12), "b": 8},
            "legend": {"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0, "xanchor": "left"},
            "hovermode": "x unified",
            "xaxis": {"automargin": True},
            "yaxis": {"automargin": True},
            "shapes": [],
            "annotations": [],
            **layout,
        },
    }


def axis(chart: Chart, name: str, *, title: str = "", **facts: object) -> None:
    """Set facts of an axis ("xaxis", "yaxis", "yaxis2", ...)."""
    facts = ({"title": {"text": as_text(title)}} if title else {}) | facts
    chart["layout"][name] = chart["layout"].get(name, {"automargin": True}) | facts


def add_line(chart: Chart, x: Axis, y: np.ndarray, name: str, *, color: str | None = None, dash: str = "solid", **more: object) -> None:
    """One curve, as float32."""
    line: dict[str, object] = {"dash": dash, "width": 2}
    if color:
        line["color"] = color
    trace = {"type": "scatter", "mode": "lines", "x": x, "y": np.asarray(y, np.float32), "name": as_text(name), "line": line}
    chart["data"].append(trace | more)


def add_band(chart: Chart, x: Axis, low: np.ndarray, high: np.ndarray, name: str) -> None:
    """The area between two curves; a click on its name in the legend hides it."""
    common: dict[str, object] = {"type": "scatter", "legendgroup": name, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": x}
    chart["data"].append(common | {"y": np.asarray(low, np.float32), "showlegend": False})
    chart["data"].append(common | {"y": np.asarray(high, np.float32), "name": name, "fill": "tonexty", "fillcolor": BAND})


def add_vertical(chart: Chart, x: object, text: str) -> None:
    """A dotted vertical line with a word at its top."""
    line = {"color": QUIET, "dash": "dot", "width": 1}
    chart["layout"]["shapes"].append({"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": line})
    label = {"x": x, "y": 1, "yref": "y domain", "text": text, "showarrow": False, "xanchor": "left", "yanchor": "top"}
    chart["layout"]["annotations"].append(label)


def add_region(chart: Chart, x0: object, x1: object, text: str, *, color: str, row: int = 0) -> None:
    """A shaded stretch of the x axis with a word in its corner; neighbours on a narrow screen take different rows."""
    shape = {"type": "rect", "x0": x0, "x1": x1, "y0": 0, "y1": 1, "yref": "y domain", "fillcolor": color, "opacity": 0.14}
    chart["layout"]["shapes"].append(shape | {"line": {"width": 0}})
    label = {"x": x0, "y": 1 - 0.1 * row, "yref": "y domain", "text": text, "showarrow": False, "xanchor": "left", "yanchor": "top"}
    chart["layout"]["annotations"].append(label)


@st.cache_resource(max_entries=400, show_spinner=False)
def _figure(key: str, _build: Callable[[], Chart]) -> go.Figure:
    return go.Figure(_build())


def finished(build: Callable[[], Chart], *, key: str, stamp: str, alt: str) -> None:
    """Show a chart that no longer changes, built once per `stamp`."""
    chart = _figure(f"{key}-{stamp}", build)
    st.plotly_chart(chart, key=key, alt=alt, config={"displaylogo": False})


def loss_chart(curves: Mapping[str, Curve], *, groups: Mapping[str, str], title: str, revision: str = "", refit_from: int = 0) -> Chart:
    """Curves by training step. groups: metric -> its name for people; metrics not measured yet are left out.

    refit_from: the step from which the network trains afresh on more data, 0 if it does not.
    """
    chart = figure(title=title, uirevision=revision, height=360)
    for (metric, name), color in zip(groups.items(), (QUIET, NETWORK, RIVAL, THIRD), strict=False):
        if metric in curves:
            steps, values = thin(curves[metric])
            add_line(chart, steps.astype(np.int32), values, name, color=color)
    axis(chart, "xaxis", title="training step")
    if refit_from:
        add_vertical(chart, refit_from, "refit")
    _loss_axis(chart)
    return chart


def _loss_axis(chart: Chart) -> None:
    """A log axis where the values span more than a factor of four, with ticks at 1, 2 and 5 only."""
    values = np.concatenate([np.asarray(trace["y"], np.float64) for trace in chart["data"]] or [np.ones(1)])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 4 * values.min():
        axis(chart, "yaxis", type="log", dtick="D2", tickformat=".2~g")


def compare_chart(runs: Mapping[str, Curve], *, title: str, revision: str = "") -> Chart:
    """The same metric of several runs, one curve a run; colours follow the theme's palette."""
    chart = figure(title=title, uirevision=revision)
    for name, curve in runs.items():
        steps, values = thin(curve)
        add_line(chart, steps.astype(np.int32), values, name)
    axis(chart, "xaxis", title="training step")
    _loss_axis(chart)
    return chart


def heat(values: np.ndarray, x: Axis, *, signed: bool, rows: str) -> dict[str, object]:
    """A heat map's trace: rows of numbers over time as colours.  # values (time, rows)

    signed: from -limit (blue) over 0 to limit (orange); else from 0 to 1.
    """
    limit = max(1e-6, float(np.nanmax(np.abs(values))))
    scale = [[0, "#2166AC"], [0.5, "#F2F2F2"], [1, "#E66101"]] if signed else [[0, "#F2F2F2"], [1, "#2166AC"]]
    return {
        "type": "heatmap",
        "z": values.T.astype(np.float32),
        "x": x,
        "y": np.arange(1, values.shape[1] + 1),
        "colorscale": scale,
        "zmin": -limit if signed else 0,
        "zmax": limit if signed else 1,
        "colorbar": {"thickness": 10, "len": 0.9, "outlinewidth": 0},
        "hovertemplate": f"%{{x}}<br>{rows} %{{y}}: %{{z:.3f}}<extra></extra>",
    }
