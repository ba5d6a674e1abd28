"""The data block of the GAN page: a built-in dataset, a drawing, or what the visitor brings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import streamlit as st

from core.errors import UserError
from core.gan.config import GanConfig
from core.gan.data import BUILTIN, SIZES, Samples, builtin
from core.gan.own import points_of_ink, template
from core.pictures import bundle
from ui import config_form, explain
from ui.session import get_engine
from ui.upload import uploader
from ui.words import plain, say_error

PREFIX = "gan"
DRAW, OWN = "Draw your own", "Your own files"
KINDS = ["csv", "tsv", "txt", "xlsx", "parquet", "zip", "png", "jpg", "jpeg", "webp"]
CANVAS = 300  # pixels a side


@st.cache_data(max_entries=16, show_spinner=False)
def _from_worker(function: str, upload_id: str, choices: str = "{}") -> Any:
    return get_engine().call("core.gan.own", function, seconds=60, upload_id=upload_id, **json.loads(choices))


def data_block() -> Samples | None:
    """Let the visitor choose; returns the samples, or None with a sentence on the page."""
    chosen = config_form.data_choice(
        PREFIX,
        {name: entry.title for name, entry in BUILTIN.items()},
        [DRAW, OWN],
        label="Dataset",
        help="Ten datasets come with Manabi and need no network. Or draw a shape, or bring points or pictures.",
        on_change=_suit_settings,
        default="ring8",
    )
    if chosen in BUILTIN:
        st.caption(BUILTIN[chosen].about)
        samples = builtin(chosen)
        _say(samples)
        return samples
    try:
        found = _drawn() if chosen == DRAW else _brought()
    except UserError as error:
        say_error(error)
        return None
    if found:
        _say(found)
    return found


def _suit_settings() -> None:
    """Another dataset brings the settings that suit it, unless the visitor has changed some: those stay."""
    before = GanConfig.from_preset(st.session_state.get(f"{PREFIX}_suited", ""))
    fields = {name: st.session_state.get(config_form.key_of(PREFIX, name)) for name in GanConfig.model_fields}
    if all(value in (None, getattr(before, name)) for name, value in fields.items()):
        chosen = st.session_state.get(f"{PREFIX}_data")
        preset = BUILTIN[chosen].preset if chosen in BUILTIN else "Balanced"
        st.session_state[f"{PREFIX}_suited"] = preset
        config_form.apply(GanConfig, PREFIX, GanConfig.from_preset(preset))


def _drawn() -> Samples | None:
    """A canvas; every stroke becomes points."""
    from streamlit_drawable_canvas import st_canvas

    st.caption("Draw with the mouse or a finger: 20,000 points are strewn where there is ink. Without either, bring a picture instead.")
    drawing = st_canvas(
        stroke_width=14,
        stroke_color="#000000",
        background_color="#ffffff",
        height=CANVAS,
        width=CANVAS,
        key=f"{PREFIX}_canvas",
        return_image_data=True,
    )
    if drawing.image_data is None or not drawing.json_data or not drawing.json_data.get("objects"):
        st.info("The canvas is blank. Draw a line, a loop or your name.", icon=":material/draw:")
        return None
    ink = 255.0 - np.asarray(drawing.image_data)[..., :3].mean(-1)
    return points_of_ink(ink, "Drawing")


def _brought() -> Samples | None:
    brought = uploader(
        PREFIX,
        label="Points as a table, one picture to be strewn with points, or many pictures (as a zip or together)",
        kinds=KINDS,
        help="CSV, Excel or Parquet with two columns of numbers; PNG, JPEG or WebP; in a zip, folders name the classes.",
        bundle=bundle,
        clean=True,
    )
    if brought is None:
        st.download_button(
            "Template file",
            template(),
            "points.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="Two columns and a class.",
        )
        return None
    upload_id = brought[0]
    with st.spinner("Reading …", show_time=True):
        profile = _from_worker("profile", upload_id)
    if profile["kind"] == "table":
        return _table(upload_id, profile)
    if profile["kind"] == "picture":
        st.caption("One picture: its dark parts become points. To imitate pictures, bring at least two.")
        with st.spinner("Strewing points …"):
            return _from_worker("points_of_upload", upload_id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = st.segmented_control("Pixels a side", SIZES[1:], default=SIZES[1], required=True, key=f"{PREFIX}_size")
        colour = st.toggle("Colour", key=f"{PREFIX}_colour", help="Three channels instead of one; takes longer to learn.")
    with st.spinner("Cropping pictures …", show_time=True):
        return _from_worker("pictures_of_zip", upload_id, json.dumps({"size": size, "colour": colour}))


def _table(upload_id: str, profile: dict[str, Any]) -> Samples | None:
    numbers = profile["numbers"]
    facts = " · ".join(f"{name}: **{plain(value)}**" for name, value in profile["facts"].items())
    st.caption(f"{facts} · {profile['rows']:,} rows")
    with st.expander("The first rows, as they were read", icon=":material/table:"):
        st.dataframe(explain.harmless(profile["head"]), hide_index=True, alt="The first rows of the uploaded table")
    if len(numbers) < 2:
        raise UserError(f"Two columns of numbers are needed; this table has {len(numbers)}.")
    with st.grid(3, min_column_width=200):
        x = st.selectbox("Across", numbers, key=f"{PREFIX}_x_{upload_id[:8]}")
        y = st.selectbox("Up", [name for name in numbers if name != x], key=f"{PREFIX}_y_{upload_id[:8]}")
        rest = [name for name in profile["labels"] if name not in (x, y)]
        label = st.selectbox("Class", ["none", *rest], key=f"{PREFIX}_label_{upload_id[:8]}", help="For class-conditional networks.")
    return _from_worker("points_of_table", upload_id, json.dumps({"x": x, "y": y, "label": "" if label == "none" else label}))


def _say(samples: Samples) -> None:
    """What there is, and what was changed on the way."""
    what = "points" if samples.points else f"pictures of {samples.shape[1]}x{samples.shape[2]} pixels"
    held = len(samples.values) - samples.train
    classes = f", {len(samples.classes)} {'clusters' if samples.mode_names else 'classes'}" if samples.classes else ""
    apart = f"; {samples.train:,} to learn from, {held:,} held out as the ceiling" if held else ""
    st.caption(f"**{len(samples.values):,} {what}**{classes}{apart}.")
    for note in samples.notes:
        st.caption(f":material/build: {plain(note)}")
