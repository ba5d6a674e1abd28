"""Charts of the GAN page: arrays -> Plotly's JSON (see `charts.py`)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ui.charts import NETWORK, QUIET, RIVAL, THIRD, Chart, add_line, axis, figure
from ui.sheets import png, sheet

MOST_SHOWN = 1200  # points of a cloud in a picture
LAYERS = ("Real samples", "Samples of G", "View of D", "Noise grid", "Arrows")
SHADES = 5  # of the noise grid's density
ZOOM = 3  # screen pixels of a picture's pixel in a sheet


def cloud_chart(
    real: np.ndarray,
    sample: Mapping[str, np.ndarray],
    axes: tuple[np.ndarray, np.ndarray],
    *,
    layers: Sequence[str] = LAYERS[:3],
    title: str = "",
    revision: str = "",
) -> Chart:
    """Points on the plane: real ones, G's, what D thinks of every place, the warped noise, and where D pushes.

    real (n, 2); sample as `core.gan.session.points_view` makes it; axes: x and y of its surface.
    """
    chart = figure(title=title, height=460, uirevision=revision, hovermode="closest")
    chart["layout"]["legend"]["y"] = -0.1
    x, y = axes
    if "View of D" in layers and "surface" in sample:
        chart["data"].append(surface(sample["surface"], x, y))
    if "Noise grid" in layers and "manifold" in sample:
        chart["data"].extend(_cells(sample["manifold"]))
    if "Real samples" in layers:
        chart["data"].append(dots(real[:MOST_SHOWN], "real", QUIET, size=4))
    if "Samples of G" in layers and "fake" in sample:
        chart["data"].append(dots(sample["fake"], "made by G", RIVAL, size=4))
    if "Arrows" in layers and {"fake", "arrows"} <= set(sample):
        chart["data"].append(_arrows(sample["fake"], sample["arrows"], reach=float(np.ptp(x)) / 12))
    axis(chart, "xaxis", range=[float(x[0]), float(x[-1])], zeroline=False, showgrid=False)
    axis(chart, "yaxis", range=[float(y[0]), float(y[-1])], zeroline=False, showgrid=False)
    return chart


def dots(points: np.ndarray, name: str, color: str, *, size: int, **more: object) -> dict[str, Any]:
    """A cloud of points as a trace."""
    place = np.asarray(points, np.float32)
    marker = {"size": size, "color": color, "opacity": 0.65}
    return {"type": "scattergl", "mode": "markers", "x": place[:, 0], "y": place[:, 1], "name": name, "marker": marker, **more}


def surface(logits: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """D's numbers as colours: blue where it says real, orange where it says fake, relative to its middle.  # (y, x)"""
    values = np.asarray(logits, np.float32)
    middle = float(np.median(values))
    limit = max(1e-6, float(np.percentile(np.abs(values - middle), 95)))
    scale = [[0, "rgba(230,97,1,0.55)"], [0.5, "rgba(140,150,165,0.04)"], [1, "rgba(46,134,222,0.55)"]]
    return {
        "type": "heatmap",
        "z": values - middle,
        "x": x,
        "y": y,
        "zmin": -limit,
        "zmax": limit,
        "zsmooth": "best",
        "colorscale": scale,
        "showscale": False,
        "name": "D: blue real, orange fake",
        "showlegend": True,
        "hovertemplate": "D: %{z:.2f}<extra></extra>",
    }


def _cells(grid: np.ndarray) -> list[dict[str, Any]]:
    """The warped noise grid as filled cells: the smaller a cell became, the denser the samples, the darker.  # (rows, columns, 2)"""
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    corners = np.stack([a, b, c, d, a], 2).reshape(-1, 5, 2)
    u, v = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    area = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
    rank = np.argsort(np.argsort(-area)) * SHADES // len(area)  # 0: the largest, thinnest cells
    gap = np.full((len(corners), 1, 2), np.nan, np.float32)
    closed = np.concatenate([corners, gap], 1)
    traces = []
    for shade in range(SHADES):
        path = closed[rank == shade].reshape(-1, 2)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": path[:, 0],
                "y": path[:, 1],
                "fill": "toself",
                "fillcolor": f"rgba(31, 166, 122, {0.06 + 0.1 * shade:.2f})",
                "line": {"color": "rgba(31, 166, 122, 0.45)", "width": 0.7},
                "hoverinfo": "skip",
                "name": "noise grid",
                "legendgroup": "noise",
                "showlegend": shade == SHADES - 1,
            }
        )
    return traces


def _arrows(points: np.ndarray, gradient: np.ndarray, *, reach: float) -> dict[str, Any]:
    """A line from each of the first fakes towards where D would find it more real; the longest is `reach` long."""
    start = points[: len(gradient)]
    longest = max(float(np.linalg.norm(gradient, axis=1).max()), 1e-12)
    end = start + gradient / longest * reach
    path = np.stack([start, end, np.full_like(start, np.nan)], 1).reshape(-1, 2)
    line = {"color": THIRD, "width": 1.5}
    return {"type": "scatter", "mode": "lines", "x": path[:, 0], "y": path[:, 1], "name": "D pushes", "line": line, "hoverinfo": "skip"}


def phase_chart(d_loss: np.ndarray, g_loss: np.ndarray, *, title: str, revision: str = "") -> Chart:
    """D's loss against G's, round by round: a settled game stays in a spot, a cycle shows as a loop."""
    chart = figure(title=title, height=320, uirevision=revision, hovermode="closest", showlegend=False)
    if not len(d_loss):
        return chart
    keep = np.unique(np.linspace(0, len(d_loss) - 1, 500).astype(int))
    smooth = min(25, max(1, len(d_loss) // 40))
    kernel = np.ones(smooth) / smooth
    x, y = (np.convolve(np.pad(v, (smooth - 1, 0), mode="edge"), kernel, "valid")[keep] for v in (d_loss, g_loss))
    marker = {"size": 4, "color": keep, "colorscale": "Viridis", "showscale": False}
    line = {"color": "rgba(138,148,166,0.35)", "width": 1}
    chart["data"].append({"type": "scatter", "mode": "lines+markers", "x": x, "y": y, "marker": marker, "line": line})
    now = {"size": 11, "color": RIVAL, "symbol": "circle-open", "line": {"width": 2}}
    chart["data"].append({"type": "scatter", "mode": "markers", "x": x[-1:], "y": y[-1:], "marker": now, "hoverinfo": "skip"})
    axis(chart, "xaxis", title="loss of D")
    axis(chart, "yaxis", title="loss of G")
    return chart


def sheet_chart(pictures: np.ndarray, *, columns: int = 8, title: str = "", revision: str = "", height: int = 460) -> Chart:
    """A sheet of pictures as a chart, so that it changes in place while G learns."""
    chart = figure(title=title, height=height, uirevision=revision, hovermode=False)
    whole = sheet(pictures, columns)
    source = "data:image/png;base64," + base64.b64encode(png(whole, ZOOM)).decode()
    chart["data"].append({"type": "image", "source": source, "hoverinfo": "skip"})
    axis(chart, "xaxis", visible=False, constrain="domain")
    axis(chart, "yaxis", visible=False, scaleanchor="x", constrain="domain")
    return chart


# the way of one update

_BOXES = {"noise": (0.0, 0.7, "noise"), "G": (1.25, 0.7, "G"), "fake": (2.5, 0.7, "fake"), "real": (2.5, -0.7, "real")}
_BOXES |= {"D": (3.75, 0.0, "D"), "loss": (5.0, 0.0, "loss")}
_FORWARD = (("noise", "G"), ("G", "fake"), ("fake", "D"), ("real", "D"), ("D", "loss"))
PARTS = (
    (("noise",), "1 · Draw noise, and a batch of real samples"),
    (("noise", "G", "fake"), "2 · G makes fakes; it stands still in D's turn"),
    (("fake", "real", "D"), "3 · D judges both"),
    (("D", "loss"), "4 · D's loss: how wrong it was, and what its steepness costs"),
    (("loss", "D"), "5 · The gradient flows back into D only"),
    (("D",), "6 · D's weights take a step"),
    (("noise",), "7 · G's turn: fresh noise"),
    (("noise", "G", "fake"), "8 · G makes fakes"),
    (("fake", "real", "D"), "9 · D judges them; it stands still in G's turn"),
    (("D", "loss"), "10 · G's loss: how well D saw through it"),
    (("loss", "D", "fake", "G"), "11 · The gradient flows back through D into G"),
    (("G",), "12 · G's weights take a step"),
)


def flow_chart(part: int, *, revision: str = "") -> Chart:
    """The two networks and what flows between them, with the part (1 to 12) just done lit; 0: none."""
    lit, words = PARTS[part - 1] if 1 <= part <= len(PARTS) else ((), "One update, part by part")
    back = part in {5, 11}
    chart = figure(title=words, height=230, uirevision=revision, hovermode=False, showlegend=False)
    for start, end in _FORWARD:
        (x0, y0, _), (x1, y1, _) = _BOXES[start], _BOXES[end]
        on = start in lit and end in lit
        if on and back:
            x0, y0, x1, y1 = x1, y1, x0, y0
        arrow = {
            "showarrow": True,
            "arrowhead": 2,
            "arrowwidth": 3 if on else 1.2,
            "arrowcolor": (RIVAL if back else NETWORK) if on else QUIET,
        }
        place = {"ax": x0, "ay": y0, "x": x1, "y": y1, "axref": "x", "ayref": "y", "standoff": 24, "startstandoff": 24, "text": ""}
        chart["layout"]["annotations"].append(arrow | place)
    for name, (x, y, text) in _BOXES.items():
        on = name in lit
        color = (RIVAL if back else NETWORK) if on else QUIET
        box = {
            "type": "rect",
            "x0": x - 0.38,
            "x1": x + 0.38,
            "y0": y - 0.36,
            "y1": y + 0.36,
            "line": {"color": color, "width": 3 if on else 1},
        }
        chart["layout"]["shapes"].append(box | {"fillcolor": color, "opacity": 0.25 if on else 0.08})
        chart["layout"]["annotations"].append({"x": x, "y": y, "text": text, "showarrow": False, "font": {"size": 14}})
    axis(chart, "xaxis", visible=False, range=[-0.5, 5.5], fixedrange=True)
    axis(chart, "yaxis", visible=False, range=[-1.2, 1.2], fixedrange=True)
    chart["data"].append({"type": "scatter", "x": [0], "y": [0], "mode": "markers", "opacity": 0, "hoverinfo": "skip"})
    return chart


def layers_chart(steps: Sequence[int], values: np.ndarray, names: Sequence[str], *, title: str) -> Chart:
    """One number per layer over time.  # values (steps, layers)"""
    chart = figure(title=title, height=300)
    for n, name in enumerate(names):
        add_line(chart, np.asarray(steps, np.int32), values[:, n], name)
    axis(chart, "yaxis", type="log", dtick="D2", tickformat=".2~g")
    return chart
