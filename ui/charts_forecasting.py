"""Charts of the forecasting page: arrays -> Plotly's JSON (see `charts.py`)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ui.charts import NETWORK, QUIET, RIVAL, THIRD, Axis, Chart, add_band, add_line, add_region, axis, figure, heat

if TYPE_CHECKING:
    import pandas as pd

CELL_COLORS = {"rnn": RIVAL, "lstm": NETWORK, "gru": THIRD}
LIT = "#F2C14E"  # around what is looked at, on dark boxes
MOST_POINTS = 1000  # of a long series in a picture


def series_chart(times: pd.Index, values: np.ndarray, names: Sequence[str], *, parts: Sequence[int] = (), title: str = "") -> Chart:
    """A series with its training, validation and test part.  # values (length, targets)"""
    chart = figure(title=title, height=280, showlegend=len(names) > 1)
    keep = np.unique(np.linspace(0, len(values) - 1, MOST_POINTS).astype(int))
    for n, name in enumerate(names):
        add_line(chart, times[keep], values[keep, n], name, color=QUIET if len(names) == 1 else None)
    if parts:
        train, validation, length = parts
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        axis(chart, "yaxis", range=[low - 0.05 * (high - low), high + 0.25 * (high - low)])  # with room for the words above the curve
        add_region(chart, times[train], times[validation - 1], "validation", color="#E69F00")
        add_region(chart, times[validation], times[length - 1], "test", color="#CC79A7", row=1)
    return chart


def forecast_chart(
    times: Axis,
    values: np.ndarray,
    begin: int,
    forecast: np.ndarray,
    *,
    title: str,
    rivals: Mapping[str, np.ndarray] | None = None,
    before: int = 60,
    revision: str = "",
) -> Chart:
    """What was forecast from step `begin`, against what came.

    values (length,), forecast (horizon, 3) quantiles, rivals {name: (horizon,)}; `before` steps of history are shown.
    """
    chart = figure(title=title, height=360, uirevision=revision)
    horizon = len(forecast)
    ahead = times[begin : begin + horizon]
    add_band(chart, ahead, forecast[: len(ahead), 0], forecast[: len(ahead), 2], "80 % band")
    shown = slice(max(0, begin - before), min(len(values), begin + horizon))
    add_line(chart, times[shown], values[shown], "actual", color=QUIET)
    for name, rival in (rivals or {}).items():
        add_line(chart, ahead, rival[: len(ahead)], name, color=RIVAL, dash="dot")
    add_line(chart, ahead, forecast[: len(ahead), 1], "forecast", color=NETWORK)
    return chart


def by_step_chart(by_step: Mapping[str, np.ndarray], names: Mapping[str, str], *, best: str, measure: str) -> Chart:
    """One measure at each step of the horizon: the network, the best referee, and the others faintly."""
    chart = figure(title=f"{measure} by step of the horizon", height=380)
    dashes = itertools.cycle(("dash", "dashdot", "longdash", "4px,1px", "1px,4px"))  # greys are told apart by their dashes
    for key, errors in by_step.items():
        color = NETWORK if key == "network" else RIVAL if key == best else QUIET
        steps = np.arange(1, len(errors) + 1)
        dash = "solid" if key == "network" else "dot" if key == best else next(dashes)
        add_line(chart, steps, errors, names[key], color=color, dash=dash, opacity=1 if color != QUIET else 0.8)
    axis(chart, "xaxis", title="steps ahead")
    axis(chart, "yaxis", title=measure)
    return chart


def hidden_chart(times: pd.Index, past: np.ndarray, hidden: np.ndarray, *, title: str) -> Chart:
    """The hidden state over time, aligned under the series it was reading.  # past (time,), hidden (time, units)"""
    chart = figure(title=title, height=420, top=48, showlegend=False, hovermode="closest")
    add_line(chart, times, past, "series", color=QUIET, yaxis="y2")
    chart["data"].append(heat(hidden, times, signed=True, rows="unit"))
    axis(chart, "yaxis", title="unit", domain=[0, 0.68])
    axis(chart, "yaxis2", domain=[0.73, 1])
    return chart


def gates_chart(times: pd.Index, gates: Mapping[str, np.ndarray], *, names: Mapping[str, str]) -> Chart:
    """Every gate over time, one heat map each.  # gates {name: (time, units)}"""
    count = len(gates)
    chart = figure(height=170 * count + 40, top=28, hovermode="closest")
    axis(chart, "xaxis", anchor=f"y{count}" if count > 1 else "y")  # under the last map
    for row, (name, values) in enumerate(gates.items()):
        suffix = "" if row == 0 else str(row + 1)
        trace = heat(values, times, signed=name in {"g", "n", "a"}, rows="unit")
        chart["data"].append(trace | {"showscale": False, "yaxis": f"y{suffix}"})
        top = 1 - row / count
        axis(chart, f"yaxis{suffix}", domain=[top - 1 / count + 0.02, top - 0.05])
        label = {"text": names[name], "x": 0, "y": top - 0.05, "xref": "paper", "yref": "paper", "showarrow": False}
        chart["layout"]["annotations"].append(label | {"xanchor": "left", "yanchor": "bottom", "font": {"size": 13}})
    return chart


def gradient_chart(by_cell: Mapping[str, Sequence[float]], *, title: str, lowest: float) -> Chart:
    """Gradient norm by lag, relative to the newest step, on a log scale down to `lowest`: one curve per cell."""
    chart = figure(title=title)
    for cell, norms in by_cell.items():
        relative = np.array(norms) / max(norms[0], 1e-30)
        add_line(chart, np.arange(len(relative)), np.maximum(relative, 1e-12), cell.upper(), color=CELL_COLORS[cell])
    axis(chart, "xaxis", title="lag: steps before the forecast")
    decades = max(1, round(-np.log10(lowest) / 5))
    axis(chart, "yaxis", title="share of the newest step's gradient", type="log", exponentformat="power", dtick=decades)
    axis(chart, "yaxis", range=[float(np.log10(lowest)), 0.15])
    return chart


def memory_chart(change: Sequence[float], *, unit: str) -> Chart:
    """How much raising the input at each lag moves the forecast."""
    chart = figure(title="How far back it remembers", showlegend=False, hovermode="closest")
    bars = {"type": "bar", "x": np.arange(len(change)), "y": np.array(change, np.float32), "marker": {"color": NETWORK}}
    chart["data"].append(bars)
    axis(chart, "xaxis", title="lag: steps before the forecast")
    axis(chart, "yaxis", title=f"change of the forecast ({unit})")
    return chart


def unrolled_chart(path: Mapping[str, Any], times: pd.Index, step: int, unit: int) -> Chart:
    """The network unrolled around one step: input, cell and state with the numbers of one unit.

    path: what `core.forecasting.interpret.signal_path` returns; step: 0-based in the window; unit: 0-based.
    """
    hidden = np.asarray(path["h"])
    first = min(max(0, step - 2), max(0, len(hidden) - 5))
    steps = range(first, min(first + 5, len(hidden)))
    chart = figure(height=460, showlegend=False, hovermode=False, margin={"l": 0, "r": 0, "t": 8, "b": 0})
    axis(chart, "xaxis", visible=False, range=[-0.75, len(steps) - 0.25], fixedrange=True)
    axis(chart, "yaxis", visible=False, range=[-0.7, 4.1], fixedrange=True)
    chart["data"].append({"type": "scatter", "x": [0], "y": [0], "mode": "markers", "opacity": 0})
    shapes, labels = chart["layout"]["shapes"], chart["layout"]["annotations"]

    def box(x: float, y: float, text: str, *, lit: bool, color: str, tall: float = 0.28) -> None:
        edges = {"x0": x - 0.4, "x1": x + 0.4, "y0": y - tall, "y1": y + tall}
        look = {"line": {"color": LIT if lit else color, "width": 4 if lit else 1}, "fillcolor": color}
        shapes.append({"type": "rect", "layer": "below"} | edges | look)
        labels.append({"x": x, "y": y, "text": text, "showarrow": False, "font": {"color": "#FFFFFF", "size": 11}})

    def arrow(x0: float, y0: float, x1: float, y1: float) -> None:
        ends = {"x": x1, "y": y1, "ax": x0, "ay": y0, "xref": "x", "yref": "y", "axref": "x", "ayref": "y"}
        labels.append(ends | {"text": "", "showarrow": True, "arrowhead": 2, "arrowwidth": 1.5, "arrowcolor": QUIET})

    for column, t in enumerate(steps):
        lit = t == step
        rows = [f"{name} {values[t][unit]:.2f}" for name, values in path["gates"].items()]  # one a line: a phone is narrow
        if "c" in path:
            rows.append(f"c {path['c'][t][unit]:.2f}")
        box(column, 0, f"x = {path['x'][t][0]:.2f}", lit=lit, color="#5B6472")
        box(column, 1.35, "<br>".join(rows), lit=lit, color="#1F6FB8", tall=0.58)
        box(column, 2.7, f"h = {hidden[t][unit]:.2f}", lit=lit, color="#B8561A")
        arrow(column, 0.29, column, 0.76)
        arrow(column, 1.94, column, 2.41)
        if column:
            arrow(column - 0.59, 1.35, column - 0.41, 1.35)
        if t == len(hidden) - 1:
            arrow(column, 2.99, column, 3.42)
            forecast = f"forecast<br>{path['forecast'][0][0][1]:,.5g}"
            labels.append({"x": column, "y": 3.65, "text": forecast, "showarrow": False, "font": {"size": 12}})
        when = f"<b>{str(times[t])[:10]}</b>" if lit else str(times[t])[:10]
        labels.append({"x": column, "y": -0.5, "text": when, "showarrow": False, "font": {"size": 11}})
    return chart
