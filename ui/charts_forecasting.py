"""Figures of the forecasting page: arrays -> Plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ui.charts import NETWORK, QUIET, RIVAL, THIRD, add_band, add_line, figure, heat

CELL_COLORS = {"rnn": RIVAL, "lstm": NETWORK, "gru": THIRD}
MOST_POINTS = 1000  # of a long series in a picture


def series_chart(times: pd.Index, values: np.ndarray, names: Sequence[str], *, parts: Sequence[int] = (), title: str = "") -> go.Figure:
    """A series with its training, validation and test part.  # values (length, targets)"""
    chart = figure(title=title, height=280)
    keep = np.unique(np.linspace(0, len(values) - 1, MOST_POINTS).astype(int))
    for n, name in enumerate(names):
        add_line(chart, times[keep], values[keep, n], name, color=QUIET if len(names) == 1 else None)
    if parts:
        train, validation, length = parts
        for begin, end, name, color in ((train, validation, "validation", "#E69F00"), (validation, length, "test", "#CC79A7")):
            chart.add_vrect(
                x0=times[begin],
                x1=times[end - 1],
                fillcolor=color,
                opacity=0.14,
                line_width=0,
                annotation_text=name,
                annotation_position="top left",
            )
    chart.update_layout(showlegend=len(names) > 1)
    return chart


def forecast_chart(
    times: pd.Index,
    values: np.ndarray,
    begin: int,
    forecast: np.ndarray,
    *,
    title: str,
    rivals: Mapping[str, np.ndarray] | None = None,
    before: int = 60,
    revision: str = "",
    truth: bool = True,
) -> go.Figure:
    """What was forecast from step `begin`, against what came.

    values (length,), forecast (horizon, 3) quantiles, rivals {name: (horizon,)}; `before` steps of history are shown.
    """
    chart = figure(title=title, height=360, uirevision=revision)
    horizon = len(forecast)
    ahead = times[begin : begin + horizon]
    add_band(chart, ahead, forecast[: len(ahead), 0], forecast[: len(ahead), 2], "80 % band")
    first = max(0, begin - before)
    shown = slice(first, min(len(values), begin + horizon) if truth else begin)
    add_line(chart, times[shown], values[shown], "actual", color=QUIET)
    for name, rival in (rivals or {}).items():
        add_line(chart, ahead, rival[: len(ahead)], name, color=RIVAL, dash="dot")
    add_line(chart, ahead, forecast[: len(ahead), 1], "forecast", color=NETWORK)
    return chart


def by_step_chart(by_step: Mapping[str, Sequence[float]], names: Mapping[str, str], *, best: str, unit: str) -> go.Figure:
    """Error at each step of the horizon: the network, the best referee, and the others faintly."""
    chart = figure(title="Error by step of the horizon", height=360)
    chart.update_layout(margin_t=96)
    for key, errors in by_step.items():
        color = NETWORK if key == "network" else RIVAL if key == best else QUIET
        steps = np.arange(1, len(errors) + 1)
        add_line(
            chart,
            steps,
            np.array(errors),
            names[key],
            color=color,
            dash="solid" if key == "network" else "dot",
            opacity=1 if color != QUIET else 0.45,
        )
    chart.update_xaxes(title_text="steps ahead")
    chart.update_yaxes(title_text=f"mean absolute error ({unit})")
    return chart


def hidden_chart(times: pd.Index, past: np.ndarray, hidden: np.ndarray, *, title: str, signed: bool = True) -> go.Figure:
    """The hidden state (or a gate) over time, aligned under the series it was reading.  # past (time,), hidden (time, units)"""
    chart = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.3, 0.7], vertical_spacing=0.04)
    chart.add_scatter(x=times, y=past.astype(np.float32), mode="lines", line={"color": QUIET}, name="series", row=1, col=1)
    chart.add_trace(go.Heatmap(**heat(hidden, times, signed=signed, rows="unit")), row=2, col=1)
    chart.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0}, height=420, margin={"l": 8, "r": 8, "t": 48, "b": 8}, showlegend=False
    )
    chart.update_yaxes(title_text="unit", row=2, col=1)
    return chart


def gates_chart(times: pd.Index, gates: Mapping[str, np.ndarray], *, names: Mapping[str, str]) -> go.Figure:
    """Every gate over time, one heat map each.  # gates {name: (time, units)}"""
    titles = [names[name] for name in gates]
    chart = make_subplots(rows=len(gates), shared_xaxes=True, vertical_spacing=0.06, subplot_titles=titles)
    for row, (name, values) in enumerate(gates.items(), 1):
        trace = heat(values, times, signed=name in {"g", "n", "a"}, rows="unit") | {"showscale": False}
        chart.add_trace(go.Heatmap(**trace), row=row, col=1)
    chart.update_layout(height=170 * len(gates) + 40, margin={"l": 8, "r": 8, "t": 28, "b": 8})
    return chart


def gradient_chart(by_cell: Mapping[str, Sequence[float]], *, title: str, lowest: float) -> go.Figure:
    """Gradient norm by lag, relative to the newest step, on a log scale down to `lowest`: one curve per cell."""
    chart = figure(title=title, height=320)
    for cell, norms in by_cell.items():
        relative = np.array(norms) / max(norms[0], 1e-30)
        add_line(chart, np.arange(len(relative)), np.maximum(relative, 1e-12), cell.upper(), color=CELL_COLORS[cell])
    chart.update_xaxes(title_text="lag: steps before the forecast")
    chart.update_yaxes(
        title_text="share of the newest step's gradient", type="log", exponentformat="power", dtick=max(1, round(-np.log10(lowest) / 5))
    )
    chart.update_yaxes(range=[np.log10(lowest), 0.15])
    return chart


def memory_chart(change: Sequence[float], *, unit: str) -> go.Figure:
    """How much raising the input at each lag moves the forecast."""
    chart = figure(title="How far back it remembers", height=320, showlegend=False)
    chart.add_bar(x=np.arange(len(change)), y=np.array(change, np.float32), marker_color=NETWORK)
    chart.update_xaxes(title_text="lag: steps before the forecast")
    chart.update_yaxes(title_text=f"change of the forecast ({unit})")
    return chart


def unrolled_chart(path: Mapping[str, Any], times: pd.Index, step: int, unit: int) -> go.Figure:
    """The network unrolled around one step: input, cell and state with the numbers of one unit.

    path: what `core.forecasting.interpret.signal_path` returns; step: 0-based in the window; unit: 0-based.
    """
    hidden = np.asarray(path["h"])
    first = min(max(0, step - 2), max(0, len(hidden) - 5))
    steps = range(first, min(first + 5, len(hidden)))
    chart = figure(height=400, showlegend=False)
    chart.update_layout(hovermode=False, margin={"l": 0, "r": 0, "t": 8, "b": 0})
    chart.update_xaxes(visible=False, range=[-0.75, len(steps) - 0.25], fixedrange=True)
    chart.update_yaxes(visible=False, range=[-0.7, 4.1], fixedrange=True)

    def box(x: float, y: float, text: str, *, lit: bool, color: str) -> None:
        chart.add_shape(
            type="rect",
            x0=x - 0.36,
            x1=x + 0.36,
            y0=y - 0.36,
            y1=y + 0.36,
            line={"color": color, "width": 3 if lit else 1},
            fillcolor=color,
            opacity=1.0 if lit else 0.55,
            layer="below",
        )
        chart.add_annotation(x=x, y=y, text=text, showarrow=False, font={"color": "#FFFFFF", "size": 12})

    def arrow(x0: float, y0: float, x1: float, y1: float) -> None:
        chart.add_annotation(
            x=x1,
            y=y1,
            ax=x0,
            ay=y0,
            xref="x",
            yref="y",
            axref="x",
            ayref="y",
            text="",
            showarrow=True,
            arrowhead=2,
            arrowwidth=1.5,
            arrowcolor=QUIET,
        )

    for column, t in enumerate(steps):
        lit = t == step
        box(column, 0, f"x = {path['x'][t][0]:.2f}", lit=lit, color="#6B7280")
        numbers = [f"{name} {values[t][unit]:.2f}" for name, values in path["gates"].items()]
        rows = [" · ".join(numbers[n : n + 2]) for n in range(0, len(numbers), 2)]
        if "c" in path:
            rows.append(f"c {path['c'][t][unit]:.2f}")
        box(column, 1.25, "<br>".join(rows), lit=lit, color="#1F6FB8")
        box(column, 2.5, f"h = {hidden[t][unit]:.2f}", lit=lit, color="#B8561A")
        arrow(column, 0.37, column, 0.88)
        arrow(column, 1.62, column, 2.13)
        if column:
            arrow(column - 0.62, 1.25, column - 0.38, 1.25)
        if t == len(hidden) - 1:
            arrow(column, 2.87, column, 3.4)
            chart.add_annotation(x=column, y=3.65, text=f"forecast<br>{path['forecast'][0][0][1]:,.5g}", showarrow=False, font={"size": 12})
        chart.add_annotation(x=column, y=-0.55, text=str(times[t])[:10], showarrow=False, font={"size": 11})
    return chart
