"""Metrics of agents in a gridworld -> Plotly figures. Knows only arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.runs.metrics import Curve, thin
from ui import charts
from ui.charts import Chart

LEAST = 1e-6  # smaller than this counts as nothing on a log axis


def _band_color(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"


def return_chart(
    runs: Mapping[str, Mapping[str, Curve]], *, possible: float | None, title: str, revision: str, online: bool = False, height: int = 280
) -> Chart:
    """What each run's greedy policy earns: the median of its agents and the band between the quartiles.

    possible: the exact optimum, drawn as a line; online: also what is earned while exploring.
    """
    chart = charts.figure(title=title, height=height, uirevision=revision)
    for (name, curves), color in zip(runs.items(), charts.RACE, strict=False):
        if "charts/greedy_return" not in curves:
            continue
        x, low = thin(curves["charts/greedy_low"], 300)
        high = np.interp(x, *curves["charts/greedy_high"])
        common = {
            "type": "scatter",
            "mode": "lines",
            "x": x.astype(np.int32),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        if not np.allclose(low, high):
            chart["data"].append(common | {"y": low.astype(np.float32), "legendgroup": name})
            chart["data"].append(
                common | {"y": high.astype(np.float32), "fill": "tonexty", "fillcolor": _band_color(color), "legendgroup": name}
            )
        if online and "charts/episodic_return" in curves:
            x, y = thin(curves["charts/episodic_return"], 300)
            charts.add_line(chart, x.astype(np.int32), y, "while exploring", color=charts.QUIET, dash="dot")
        x, y = thin(curves["charts/greedy_return"], 300)
        charts.add_line(chart, x.astype(np.int32), y, name, color=color, legendgroup=name)
    _usual_range(chart, possible)
    if possible is not None:
        chart["layout"]["shapes"].append(
            {
                "type": "line",
                "x0": 0,
                "x1": 1,
                "xref": "x domain",
                "y0": possible,
                "y1": possible,
                "line": {"color": charts.THIRD, "dash": "dash", "width": 1},
            }
        )
        chart["layout"]["annotations"].append(
            {"x": 1, "xref": "x domain", "y": possible, "text": "possible", "showarrow": False, "xanchor": "right", "yanchor": "bottom"}
        )
    return chart


def _usual_range(chart: Chart, possible: float | None) -> None:
    """Start with the axis where most values are: one early policy can earn a thousand times less than all others."""
    values = np.concatenate([np.asarray(trace["y"], np.float64) for trace in chart["data"]] or [np.zeros(0)])
    if not len(values):
        return
    top = float(values.max() if possible is None else max(possible, values.max()))
    low, usual = float(values.min()), float(np.quantile(values, 0.2))
    if top - low > 5 * (top - usual) > 0:
        charts.axis(chart, "yaxis", range=[top - 1.5 * (top - usual), top + 0.1 * (top - usual)])


def lines_chart(
    curves: Mapping[str, Curve], names: Mapping[str, str], *, title: str, revision: str, height: int = 220, log: bool = False
) -> Chart:
    """Some metrics of one run. names: metric -> its name for people; those not measured are left out."""
    chart = charts.figure(title=title, height=height, uirevision=revision)
    for (metric, name), color in zip(names.items(), charts.RACE, strict=False):
        if metric in curves and len(curves[metric][0]):
            x, y = thin(curves[metric], 300)
            charts.add_line(chart, x.astype(np.int32), y, name, color=color)
    if log and any(np.nanmax(np.asarray(trace["y"])) > 0 for trace in chart["data"]):
        for trace in chart["data"]:
            trace["y"] = np.maximum(trace["y"], LEAST)
        charts.axis(chart, "yaxis", type="log", nticks=5, exponentformat="power")
    return chart


def race_chart(curves: Mapping[str, Curve], *, title: str, revision: str) -> Chart:
    """One metric of the runs of a race."""
    chart = charts.figure(title=title, height=240, uirevision=revision)
    for (name, curve), color in zip(curves.items(), charts.RACE, strict=False):
        x, y = thin(curve, 300)
        charts.add_line(chart, x.astype(np.int32), y, name, color=color)
    return chart


def replay_chart(counts: np.ndarray, names: Sequence[str], *, title: str, revision: str) -> Chart:
    """How often each state lies in the replay buffer, the most frequent first."""
    order = np.argsort(-counts, kind="stable")[:30]
    order = order[counts[order] > 0]
    chart = charts.figure(title=title, height=240, uirevision=revision, showlegend=False)
    chart["data"].append(
        {"type": "bar", "x": [names[n] for n in order], "y": counts[order].astype(int), "marker": {"color": charts.NETWORK}}
    )
    charts.axis(chart, "xaxis", type="category", tickangle=-40)
    return chart
