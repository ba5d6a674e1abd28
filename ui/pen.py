"""A square to draw on: the page runs again while it is drawn on, not only when the pen is lifted. Its parts are `pen.js` and `pen.css`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.errors import UserError
from core.pictures import open_picture

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "drawing_pen",
    js=(_HERE / "pen.js").read_text(encoding="utf-8"),
    css=(_HERE / "pen.css").read_text(encoding="utf-8"),
)
BEGINS = "data:image/png;base64,"
SIDE = 280  # pixels, at the most
MOST = 200_000  # characters of a drawing
LEAST = 40  # of 255: fainter is no ink


def pen(*, key: str, label: str) -> np.ndarray | None:
    """Let the visitor draw; what is drawn so far, or None while that is nothing.  # (h, w) uint8, 255 is ink"""
    before = st.session_state.get(key)
    drawing = heard(before.get("drawing")) if before else ""
    found = _mount(key=key, data=[{"label": label, "drawing": drawing}], default={"drawing": ""}, on_drawing_change=lambda: None)
    return ink_of(heard(found.drawing))


def heard(drawing: Any) -> str:
    """What a browser says that was drawn, if it may be that, else ""."""
    return drawing if isinstance(drawing, str) and drawing.startswith(BEGINS) and len(drawing) <= MOST else ""


def ink_of(drawing: str) -> np.ndarray | None:
    """The ink of a drawing, a PNG as a data URL; None for one without ink, or that can't be read.  # (h, w) uint8"""
    if not drawing:
        return None
    try:
        picture = open_picture(base64.b64decode(drawing.removeprefix(BEGINS), validate=True))[0]
    except (UserError, ValueError):
        return None
    ink = np.asarray(picture.convert("L"))
    return ink if max(ink.shape) <= SIDE and ink.max() >= LEAST else None
