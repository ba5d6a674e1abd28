"""Metrics and arrays -> Plotly figures that any page can use. Data first, options keyword-only; knows only arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.runs.metrics import Curve, thin

Axis = Sequence[object] | np.ndarray | pd.Index  # what stands along the bottom: steps or times

# Okabe-Ito colours, told apart with every kind of colour vision; the themes' palettes begin with the same hues.
NETWORK, RIVAL, THIRD = "#2E86DE", "#E6772E", "#1FA67A"
QUIET = "#8A94A6"  # readable on light and dark paper: what is given, not forecast
BAND = "rgba(46, 134, 222, 0.22)"
LINE_WIDTH = 2


def figure(*, title: str = "", height: int = 320, **layout: object) -> go.Figure:
    """An empty figure with the house's margins: legend below the title, one hover line for all curves."""
    chart = go.Figure()
    chart.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 10}},
        height=height,
        margin={"l": 8, "r": 8, "t": 62 if title else 28, "b": 8},
        legend={"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hovermode="x unified",
        **layout,
    )
    return chart


def add_line(
    chart: go.Figure,
    x: Axis,
    y: np.ndarray,
    name: str,
    *,
    color: str | None = None,
    dash: str = "solid",
    **more: object,
) -> None:
    """One curve, as float32."""
    chart.add_scatter(
        x=x, y=np.asarray(y, np.float32), name=name, mode="lines", line={"color": color, "dash": dash, "width": LINE_WIDTH}, **more
    )


def add_band(chart: go.Figure, x: Axis, low: np.ndarray, high: np.ndarray, name: str) -> None:
    """The area between two curves; a click on its name in the legend hides it."""
    group = {"legendgroup": name, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    chart.add_scatter(x=x, y=np.asarray(low, np.float32), showlegend=False, **group)
    chart.add_scatter(x=x, y=np.asarray(high, np.float32), name=name, fill="tonexty", fillcolor=BAND, **group)


def loss_chart(curves: Mapping[str, Curve], *, groups: Mapping[str, str], title: str, revision: str = "", refit_from: int = 0) -> go.Figure:
    """Curves by training step. groups: metric -> its name for people; metrics not measured yet are left out.

    refit_from: the step from which the network trains afresh on more data, 0 if it does not.
    """
    chart = figure(title=title, uirevision=revision)
    for (metric, name), color in zip(groups.items(), (QUIET, NETWORK, RIVAL, THIRD), strict=False):
        if metric in curves:
            steps, values = thin(curves[metric])
            add_line(chart, steps.astype(np.int32), values, name, color=color)
    chart.update_xaxes(title_text="training step")
    if refit_from:
        chart.add_vline(
            x=refit_from, line={"color": QUIET, "dash": "dot", "width": 1}, annotation_text="refit", annotation_position="top right"
        )
    _loss_axis(chart)
    return chart


def _loss_axis(chart: go.Figure) -> None:
    """A log axis where the values span more than a factor of four, with ticks at 1, 2 and 5 only."""
    values = np.concatenate([np.asarray(trace.y, np.float64) for trace in chart.data] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > 4 * values.min():
        chart.update_yaxes(type="log", dtick="D2", tickformat=".2~g")


def compare_chart(runs: Mapping[str, Curve], *, title: str, revision: str = "") -> go.Figure:
    """The same metric of several runs, one curve a run; colours follow the theme's palette."""
    chart = figure(title=title, uirevision=revision)
    for name, curve in runs.items():
        steps, values = thin(curve)
        add_line(chart, steps.astype(np.int32), values, name)
    chart.update_xaxes(title_text="training step")
    _loss_axis(chart)
    return chart


def bars(names: Sequence[str], values: Sequence[float], *, title: str, highlight: str, height: int = 260) -> go.Figure:
    """One bar a name, shortest first on top; the highlighted one in the network's colour."""
    order = np.argsort(values)[::-1]
    chart = figure(title=title, height=height, showlegend=False)
    chart.update_layout(hovermode="closest")
    chart.add_bar(
        x=[values[i] for i in order],
        y=[names[i] for i in order],
        orientation="h",
        marker_color=[NETWORK if names[i] == highlight else QUIET for i in order],
        text=[f"{values[i]:.3g}" for i in order],
        textposition="auto",
    )
    chart.update_yaxes(automargin=True)
    return chart


def heatmap(values: np.ndarray, x: Axis, *, title: str, signed: bool = True, rows: str = "unit", height: int = 320) -> go.Figure:
    """Rows of numbers over time as colours.  # values (time, rows)

    signed: from -1 (blue) over 0 to 1 (orange); else from 0 to 1.
    """
    chart = figure(title=title, height=height)
    chart.add_heatmap(**heat(values, x, signed=signed, rows=rows))
    chart.update_layout(hovermode="closest")
    chart.update_yaxes(title_text=rows)
    return chart


def heat(values: np.ndarray, x: Axis, *, signed: bool, rows: str) -> dict[str, object]:
    """The trace of a `heatmap`, for a figure of several rows."""
    limit = max(1e-6, float(np.nanmax(np.abs(values))))
    scale = [[0, "#2166AC"], [0.5, "#F2F2F2"], [1, "#E66101"]] if signed else [[0, "#F2F2F2"], [1, "#2166AC"]]
    return {
        "z": values.T.astype(np.float32),
        "x": x,
        "y": np.arange(1, values.shape[1] + 1),
        "colorscale": scale,
        "zmin": -limit if signed else 0,
        "zmax": limit if signed else 1,
        "colorbar": {"thickness": 10, "len": 0.9, "outlinewidth": 0},
        "hovertemplate": f"%{{x}}<br>{rows} %{{y}}: %{{z:.3f}}<extra></extra>",
    }
