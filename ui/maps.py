"""Maps of a network on the page: an atlas of all layers to choose a map from, and a window that slides over one.

The parts that run in the browser are `atlas.js` and `window.js`. Arrays come in; of the atlas, the map that was clicked comes out.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from ui.sheets import grey, png, sheet, signed

_HERE = Path(__file__).parent


def _component(name: str) -> Any:
    script, style = ((_HERE / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return st.components.v2.component(f"image_{name}", js=script, css=style)


_atlas, _window = _component("atlas"), _component("window")
STEPS = {
    "BatchNorm2d": "batch normalisation",
    "shortcut": "what passes by is added",
}
POOLS = {"largest": "The largest in the window:", "mean": "The mean of the window:"}


def url(picture: bytes) -> str:
    """A PNG as a data URL."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def card(layer: Mapping[str, Any], pick: bool = True) -> dict[str, Any]:
    """What the atlas shows of a layer: its maps side by side, or its numbers as a square; either can be clicked if `pick`."""
    values, weights = layer["values"], layer["parameters"]
    words = f"{layer['name']} · {' x '.join(map(str, layer['shape']))}" + (f" · {weights:,} parameters" if weights else "")
    if values.ndim == 3 and values.shape[1] > 1:
        across = min(4, len(values)) if len(values) <= 16 else 8
        picture = png(sheet(grey(values), across))
        return {"name": layer["name"], "words": words, "url": url(picture), "count": len(values) if pick else 0, "across": across} | {
            "side": values.shape[1],
            "gap": 1,
        }
    flat = values.ravel()[:1024]
    wide = math.ceil(len(flat) ** 0.5)
    square = np.pad(flat, (0, wide * wide - len(flat))).reshape(1, wide, wide)
    return {"name": layer["name"], "words": words, "url": url(png(sheet(signed(square), 1))), "count": len(flat) if pick else 0} | {
        "across": wide,
        "side": 1,
        "gap": 0,
    }


def heard(event: Any, counts: Mapping[str, int]) -> tuple[str, int] | None:
    """The map that a browser says was clicked, checked against the layers there are; None for anything else."""
    if not isinstance(event, Mapping):
        return None
    layer, number = event.get("layer"), event.get("map")
    return (layer, number) if isinstance(layer, str) and type(number) is int and 0 <= number < counts.get(layer, 0) else None


def atlas(
    layers: list[dict[str, Any]], *, key: str, pick: Container[str], chosen: tuple[str, int], chose: Callable[[str, int], None]
) -> None:
    """All layers on one screen; `chose` is told of the map of a layer to `pick` that was clicked, before the page runs again."""
    cards = [card(layer, layer["name"] in pick) for layer in layers]

    def told() -> None:
        found = heard(st.session_state[key].get("chose"), {shown["name"]: shown["count"] for shown in cards})
        if found:
            chose(*found)

    _atlas(key=key, data={"layers": cards, "chosen": {"layer": chosen[0], "map": chosen[1]}}, on_chose_change=told)


def rounded(values: np.ndarray) -> list[list[float]]:
    """Numbers with five digits: what a browser needs of them."""
    flat = [float(f"{value:.5g}") for value in values.ravel().tolist()]
    wide = values.shape[1]
    return [flat[start : start + wide] for start in range(0, len(flat), wide)]


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    words = STEPS.get(step["what"], step["what"])
    if "factor" in step:
        words += f" × {step['factor']:.3f} {'−' if step['shift'] < 0 else '+'} {abs(step['shift']):.3f}"
    return {"what": words, "values": rounded(step["values"])}


def window(found: Mapping[str, Any], picture: np.ndarray, *, key: str, place: str, name: str, channel: int) -> None:
    """A map of a layer (`core.image.anatomy.computed`), to be gone over number by number; place: what is shown, told apart."""
    others = found["depths"] > 1
    words = {
        "picture": "The picture: framed is all that this number can see",
        "below": f"Map {found['below_map']} of the layer before",
        "window": "The window",
        "kernel": "The filter",
        "products": "Their products",
        "out": f"Map {channel} of {name}: point at a number",
        "help": f"Map {channel} of {name}. Arrow keys move the window.",
        "own": f"Sum of the products{' with this map' if others else ''}",
        "others": f"with the {found['depths'] - 1} other map{'s' if found['depths'] > 2 else ''}" if others else "",
        "bias": "bias",
        "pools": POOLS.get(found.get("pools", ""), ""),
        "row": "Row",
        "column": "column",
        "slide": "Slide",
        "stop": "Stop",
    }
    data = {
        "place": place,
        "words": words,
        "picture": url(png(sheet(picture[None], 1))),
        "size": found["size"],
        "k": found["kernel_size"],
        "stride": found["stride"],
        "padding": found["padding"],
        "field": found["field"],
        "below": rounded(found["below"]),
        "kernel": None if found["kernel"] is None else rounded(found["kernel"]),
        "own": rounded(found["own"]) if found["kernel"] is not None else None,
        "others": rounded(found["others"]) if found["kernel"] is not None else None,
        "bias": found.get("bias", 0.0),
        "sum": rounded(found["sum"]),
        "steps": [_step(step) for step in found["steps"]],
    }
    _window(key=key, data=data)
