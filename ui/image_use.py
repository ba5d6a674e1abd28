"""Use a classifier: recognise a photo, draw a digit, name a zip of pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from core import source
from core.pictures import bundle, cropped
from core.runs import store, uploads
from ui import explain
from ui.image_views import INTERPRET, PREDICT, data_of
from ui.session import cached_call, call, run_stamp
from ui.sheets import overlaid, png, sheet, signed
from ui.upload import uploader
from ui.words import plain

RECOGNISE = "core.image.recognise"
EXAMPLES = {"A temple": "china.jpg", "A flower": "flower.jpg"}  # photos that scikit-learn brings, CC BY 2.0
CANVAS = 280
FAMILIAR = source.constant(RECOGNISE, "FAMILIAR")


@st.cache_data(max_entries=4, show_spinner=False)
def _example(name: str) -> bytes:
    from sklearn.datasets import load_sample_image

    buffer = io.BytesIO()
    Image.fromarray(load_sample_image(name)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def recognise() -> None:
    """Name a photo among a thousand classes, without any training."""
    st.caption("EfficientNet, trained on 1.3 million photos, names what it sees. Nothing is trained here; no network is needed.")
    ways = ["Example", "Your photo", "Camera"]
    way = st.segmented_control("Photo", ways, default=ways[0], required=True, key="image_way", label_visibility="collapsed")
    photo: dict[str, Any] = {}  # what the worker is told: bytes, or the id of an upload, which need not travel
    stamp = ""
    if way == "Example":
        name = st.segmented_control("Which", list(EXAMPLES), default="A flower", required=True, key="image_example")
        photo, stamp = {"content": _example(EXAMPLES[str(name)])}, str(name)
    elif way == "Your photo":
        brought = uploader(
            "image_photo",
            label="A photo",
            kinds=["png", "jpg", "jpeg", "webp"],
            help="PNG, JPEG or WebP; it is cut to the square in its middle.",
        )
        if brought:
            photo, stamp = {"upload_id": brought[0]}, brought[0]
    else:
        shot = st.camera_input("Take a photo", key="image_camera", help="The picture goes to this server only; no file of it is kept.")
        if shot:
            photo, stamp = {"content": shot.getvalue()}, str(shot.file_id)
    if not photo:
        return
    found = cached_call(RECOGNISE, "named", stamp=stamp, **photo)
    if found is not None:
        _named(photo, stamp, found)


def _named(photo: dict[str, Any], stamp: str, found: dict[str, Any]) -> None:
    for note in found["notes"]:
        st.caption(f":material/build: {plain(note)}")
    left, middle, right = st.columns([1, 1, 2], gap="large")
    best = found["top"][0]
    with left:
        st.image(png(sheet(found["photo"][None], 1)), caption="As the network sees it")
    with right:
        if not found["familiar"]:
            st.warning("This does not look like anything I know: the names below are guesses.", icon=":material/question_mark:")
        st.markdown(f"**{plain(best['name'])}**: {plain(best['meaning'])}")
        frame = pd.DataFrame(
            [{"class": entry["name"], "chance": entry["chance"], "what it is": entry["meaning"]} for entry in found["top"]]
        )
        bar = st.column_config.ProgressColumn("chance", min_value=0, max_value=1, format="percent")
        st.dataframe(frame, hide_index=True, column_config={"chance": bar}, alt="The five likeliest classes")
        st.caption(f"Familiarity (energy): {found['energy']:.1f}; below {FAMILIAR:g} it says that it does not know.")
        names = [entry["name"] for entry in found["top"]]
        kind = st.selectbox("Where does it see", names, key="image_why", help="Grad-CAM for one of the five.")
    with middle:
        number = found["top"][names.index(kind)]["class"]
        heat = cached_call(RECOGNISE, "why", stamp=f"{stamp}-{number}", kind=number, **photo)
        if heat is not None:
            st.image(png(sheet(overlaid(found["photo"], heat["maps"]["Grad-CAM"])[None], 1)), caption=f"What speaks for {plain(kind)}")


def draw(run: store.Run) -> None:
    """Draw, and see what the run's network makes of it as you draw."""
    from streamlit_drawable_canvas import st_canvas

    data = data_of(run.id)
    if data.shape[0] != 1:
        st.caption("This network learned coloured pictures; drawing is for grey ones, such as the digits.")
        return
    left, right = st.columns([1, 2], gap="large")
    with left:
        drawing = st_canvas(
            stroke_width=26,
            stroke_color="#ffffff",
            background_color="#000000",
            height=CANVAS,
            width=CANVAS,
            key="image_canvas",
            return_image_data=True,
        )
    with right:
        if drawing.image_data is None or not drawing.json_data or not drawing.json_data.get("objects"):
            st.info("Draw a digit. The network names it as you draw.", icon=":material/draw:")
            return
        small = as_digit(np.asarray(drawing.image_data)[..., :3].mean(-1), data.shape[1])
        found = call(PREDICT, "classify", run_id=run.id, values=small)
        if found is None:
            return
        chances = found["chances"][0]
        frame = pd.DataFrame({"class": [plain(name) for name in found["classes"]], "chance": chances})
        best = int(chances.argmax())
        st.markdown(f"**{plain(found['classes'][best])}**, {chances[best]:.0%} sure")
        bar = st.column_config.ProgressColumn("chance", min_value=0, max_value=1, format="percent")
        st.dataframe(frame, hide_index=True, column_config={"chance": bar}, alt="Chances of the classes for the drawing")
        st.image(png(sheet(small, 1), max(1, 96 // data.shape[1])), caption="As the network sees it")
        if run.config["network"] != "EfficientNet, new head" and st.toggle(
            "Morph it until the answer flips", key=f"flip_{run.id[-12:]}", help="The smallest edit of the drawing that changes the answer."
        ):
            _flip(run, small, found["classes"])


def _flip(run: store.Run, small: np.ndarray, classes: tuple[str, ...]) -> None:
    """The smallest edit that makes the answer another."""
    found = call(INTERPRET, "flipped", run_id=run.id, values=small)
    if found is None:
        return
    if found["after"] is None:
        st.caption("No edit of up to a quarter of the range changes its mind.")
        return
    zoom = max(1, 96 // small.shape[2])
    moved = found["after"].astype(float).mean(1) - small.astype(float).mean(1)
    columns = st.columns(3)
    columns[0].image(png(sheet(small, 1), zoom), caption=f"{plain(classes[found['said']])}")
    columns[1].image(png(sheet(found["after"], 1), zoom), caption=f"now {plain(classes[found['other']])}")
    columns[2].image(png(sheet(signed(moved), 1), zoom), caption=f"no pixel moved by more than {found['epsilon']:.1%}")


def as_digit(ink: np.ndarray, size: int) -> np.ndarray:
    """A drawing (h, w) of 0 to 255 cut to its ink with a margin, centred, and shrunk, as the digits were.  # (1, 1, size, size) uint8"""
    rows, columns = np.flatnonzero(ink.max(1) > 40), np.flatnonzero(ink.max(0) > 40)
    if not len(rows):
        return np.zeros((1, 1, size, size), np.uint8)
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = int(1.12 * max(cut.shape))
    square = np.zeros((side, side))
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return cropped(Image.fromarray(square.astype(np.uint8)), size, False)[None]


def batch(run: store.Run) -> None:
    """Name every picture of a zip, as a table to take away."""
    data = data_of(run.id)
    brought = uploader(
        "image_batch",
        label="Pictures to name",
        kinds=["zip", "png", "jpg", "jpeg", "webp"],
        help="A zip, or several pictures.",
        bundle=bundle,
    )
    if brought is None:
        return
    content = uploads.content(brought[0])
    found = cached_call(PREDICT, "classify_zip", stamp=f"{run_stamp(run)}-{brought[0]}", run_id=run.id, content=content)
    if found is None:
        return
    for note in found["notes"]:
        st.caption(f":material/build: {plain(note)}")
    frame = pd.DataFrame(
        {"picture": found["names"], "class": [data.classes[n] for n in found["chances"].argmax(1)], "sure": found["chances"].max(1)}
    )
    st.dataframe(frame, hide_index=True, alt="The class of every picture")
    st.download_button("As CSV", explain.safe_csv(frame), "classes.csv", "text/csv", icon=":material/download:", on_click="ignore")


def try_photo(run: store.Run) -> None:
    """One photo, or a shot of the camera, by the run's own classes."""
    if not st.toggle("Show it something with the camera", key=f"image_own_on_{run.id[-12:]}"):
        return
    shot = st.camera_input("A shot", key=f"image_own_camera_{run.id[-12:]}")
    if not shot:
        return
    found = call(PREDICT, "classify_photo", run_id=run.id, content=shot.getvalue())
    if found is not None:
        best = int(found["chances"][0].argmax())
        st.markdown(f"**{plain(found['classes'][best])}**, {found['chances'][0][best]:.0%} sure")
