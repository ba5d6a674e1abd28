"""The data block of the image page: digits, clothes, or a zip of the visitor's own pictures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import UserError
from core.image.config import ImageConfig
from core.image.data import BUILTIN, Pictures, builtin
from core.pictures import bundle
from ui import config_form
from ui.session import get_engine
from ui.sheets import png, sheet
from ui.upload import uploader
from ui.words import plain, say_error

PREFIX = "image"
OWN = "Your own classes"
PER_CLASS = 10  # pictures of a class that are shown


@st.cache_resource(max_entries=2, show_spinner=False)  # frozen, and large: copying it at each rerun would cost
def _from_worker(upload_id: str, choices: str) -> Pictures:
    found: Pictures = get_engine().call("core.image.own", "from_zip", seconds=60, upload_id=upload_id, **json.loads(choices))
    return found


def data_block() -> Pictures | None:
    """Let the visitor choose; returns the pictures, or None with a sentence on the page."""
    chosen = st.segmented_control(
        "Dataset",
        [*BUILTIN, OWN],
        format_func=lambda name: BUILTIN[name].title if name in BUILTIN else name,
        default="digits",
        required=True,
        key=f"{PREFIX}_data",
        bind="query-params",
        help="Two datasets come with Manabi and need no network. Or bring pictures of your own.",
        on_change=_suit_settings,
        label_visibility="collapsed",
    )
    try:
        found = builtin(str(chosen)) if chosen in BUILTIN else _brought()
    except UserError as error:
        say_error(error)
        return None
    if found:
        if chosen in BUILTIN:
            st.caption(BUILTIN[str(chosen)].about)
        _say(found)
    return found


def _suit_settings() -> None:
    """Another dataset brings the settings that suit it."""
    chosen = st.session_state.get(f"{PREFIX}_data")
    preset = BUILTIN[chosen].preset if chosen in BUILTIN else "Your photos"
    config_form.apply(ImageConfig, PREFIX, ImageConfig.from_preset(preset))


def _brought() -> Pictures | None:
    brought = uploader(
        PREFIX,
        label="A zip with a folder for each class",
        kinds=["zip", "png", "jpg", "jpeg", "webp"],
        help="PNG, JPEG or WebP. The name of the folder is the class: cats/1.jpg, cats/2.jpg, dogs/1.jpg.",
        bundle=bundle,
    )
    if brought is None:
        st.caption("Twenty pictures a class are often enough for the new head on EfficientNet, which is chosen for you here.")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Pixels a side",
            [128, 32, 28],
            format_func=lambda size: "photos (128)" if size == 128 else str(size),
            default=128,
            required=True,
            key=f"{PREFIX}_size",
            help="Photos for EfficientNet, or small pictures for a network from scratch.",
        )
        colour = st.toggle("Colour", True, key=f"{PREFIX}_colour")
    choices: dict[str, Any] = {"size": kind, "colour": colour} | _looked_through(brought[0])
    with st.spinner("Reading pictures …", show_time=True):
        found = _from_worker(brought[0], json.dumps(choices))
    return found


def _looked_through(upload_id: str) -> dict[str, Any]:
    """Let the visitor take bad pictures away and put others into the class where they belong."""
    with st.expander("Look through the pictures: take bad ones away, correct their class", icon=":material/checklist:"):
        rows = pd.DataFrame(_listing(upload_id))
        rows["keep"] = True
        edited = st.data_editor(
            rows,
            key=f"{PREFIX}_editor_{upload_id}",
            hide_index=True,
            height=320,
            row_height=64,
            disabled=["number", "picture"],
            column_config={
                "picture": st.column_config.ImageColumn("picture"),
                "class": st.column_config.TextColumn("class", max_chars=40, required=True),
                "keep": st.column_config.CheckboxColumn("keep"),
            },
        )
        moved = edited[edited["class"] != rows["class"]]
        return {
            "left_out": [int(n) for n in edited.loc[~edited["keep"], "number"]],
            "renamed": {str(n): str(kind) for n, kind in zip(moved["number"], moved["class"], strict=True)},
        }


@st.cache_data(max_entries=4, show_spinner=False)
def _listing(upload_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get_engine().call("core.image.own", "listing", seconds=60, upload_id=upload_id)
    return found


def _say(data: Pictures) -> None:
    """What there is: some pictures of each class, and what was changed on the way."""
    held = len(data.values) - data.train
    st.caption(
        f"**{len(data.values):,} pictures** of {data.shape[1]}x{data.shape[2]} pixels, {len(data.classes)} classes; "
        f"{data.train:,} to learn from, {held:,} held out."
    )
    for note in data.notes:
        st.caption(f":material/build: {plain(note)}")
    zoom = max(1, 48 // data.shape[1])
    with st.grid(5, min_column_width=150):
        for kind, name in enumerate(data.classes[:20]):
            rows = np.flatnonzero(data.labels == kind)
            few = data.values[rows[:PER_CLASS]]
            small = few[:, :, :: max(1, data.shape[1] // 48), :: max(1, data.shape[1] // 48)]
            st.image(png(sheet(small, 5), zoom), caption=f"{plain(name)}: {len(rows):,}")
