"""Use a classifier: recognise a photo, draw a digit, name a zip of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from core import source
from core.image.config import HEAD
from core.image.data import PHOTOS, photo
from core.pictures import bundle, cropped
from core.runs import limits, store
from ui import charts, explain
from ui.image_inside import look_into
from ui.image_views import INTERPRET, PHOTO_KINDS, PREDICT, data_of
from ui.live_plot import live_plot
from ui.pen import LEAST, pen
from ui.session import cached_call, call, run_stamp
from ui.sheets import overlaid, png, sheet, signed
from ui.upload import camera, uploader
from ui.words import plain

RECOGNISE = "core.image.recognise"
SECONDS = 120.0  # that naming a large zip may take
FETCHING = 600.0  # s that a download may take
FAMILIAR = source.constant(RECOGNISE, "FAMILIAR")


def recognise() -> None:
    """Name a photo among a thousand classes, without any training."""
    st.caption("EfficientNet, trained on 1.3 million photos, names what it sees. Nothing is trained here, and no internet is needed.")
    ways = ["Example", "Your photo", "Camera"]
    way = st.segmented_control("Photo", ways, default=ways[0], required=True, key="image_way", label_visibility="collapsed")
    given: dict[str, Any] = {}  # what the worker is told: bytes, or the id of an upload, which need not travel
    stamp = ""
    if way == "Example":
        name = st.segmented_control("Which", list(PHOTOS), default="A cat", required=True, key="image_example")
        given, stamp = {"content": photo(str(name))}, str(name)
    elif way == "Your photo":
        brought = uploader(
            "image_photo",
            label="A photo",
            kinds=PHOTO_KINDS,
            help="PNG, JPEG, WebP or HEIC; it is cut to the square in its middle. Place and time that a camera noted are not kept.",
            clean=True,
        )
        if brought:
            given, stamp = {"upload_id": brought[0]}, brought[0]
    else:
        shot = camera("Take a photo", key="image_camera", help="The picture goes to this server only; no file of it is kept.")
        if shot:
            given, stamp = {"content": shot.getvalue()}, str(shot.file_id)
    if not given:
        return
    found = cached_call(RECOGNISE, "named", stamp=stamp, **given)
    if found is not None:
        _named(stamp, found)
        if not limits.demo():
            with st.expander(
                "Ask another network, from the hub", icon=":material/cloud_download:", on_change="rerun", key="image_hub"
            ) as hub:
                if hub.open:
                    _hub(given)


def _hub(given: dict[str, Any]) -> None:
    """A network of timm's from the hub, for who has internet."""
    st.caption(
        "Any network of timm on the Hugging Face hub, in the revision that you name: its weights are fetched once, as safetensors, and "
        "kept by this server. Needs internet. The commit stands on the repository's page under Files, History."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        repository = st.text_input("Repository", placeholder="timm/mobilenetv3_small_100.lamb_in1k", key="image_hub_name", width=320)
        revision = st.text_input("Revision", placeholder="the commit, 40 digits", key="image_hub_revision", width=320, max_chars=40)
        asked = st.button("Fetch and ask", icon=":material/download:", disabled=not (repository and revision))
    if not asked:
        return
    with st.spinner("Fetching and asking …", show_time=True):
        found = call("core.image.hub", "named", seconds=FETCHING, repository=repository, revision=revision, **given)
    if found is None:
        return
    bar = st.column_config.ProgressColumn("chance", min_value=0, max_value=1, format="percent")
    st.dataframe(pd.DataFrame(found["top"]), hide_index=True, column_config={"chance": bar}, alt="The five likeliest classes")
    st.caption(f"{found['weights']:,} weights.")


def _named(stamp: str, found: dict[str, Any]) -> None:
    for note in found["notes"]:
        st.caption(f":material/build: {plain(note)}")
    left, middle, right = st.columns([1, 1, 2], gap="large")
    best = found["top"][0]
    with left:
        st.image(png(sheet(found["photo"][None], 1)), caption="As the network sees it: the square in its middle")
    with right:
        if not found["familiar"]:
            st.warning("This does not look like anything I know: the names below are guesses.", icon=":material/question_mark:")
        st.markdown(f"**{plain(best['name'])}**: {plain(best['meaning'])}")
        frame = pd.DataFrame(
            [{"class": entry["name"], "chance": entry["chance"], "what it is": entry["meaning"]} for entry in found["top"]]
        )
        bar = st.column_config.ProgressColumn("chance", min_value=0, max_value=1, format="percent")
        st.dataframe(frame, hide_index=True, column_config={"chance": bar}, alt="The five likeliest classes")
        st.caption(
            f"Familiarity (energy): {found['energy']:.1f}; below {FAMILIAR:g} it says that it does not know. 95 of 100 photos pass, and so "
            "do some patterns and single things on a plain ground."
        )
        names = [entry["name"] for entry in found["top"]]
        kind = st.selectbox("Where does it see", names, key="image_why", help="Grad-CAM for one of the five.")
    with middle:
        number = found["top"][names.index(kind)]["class"]
        heat = cached_call(RECOGNISE, "why", stamp=f"{stamp}-{number}", kind=number, photo=found["photo"])
        if heat is not None:
            st.image(png(sheet(overlaid(found["photo"], heat)[None], 1)), caption=f"What speaks for {plain(kind)}: tested below")
    with st.expander("Look inside EfficientNet: every layer", icon=":material/layers:", on_change="rerun", key="image_deep") as deep:
        if deep.open:
            classes: tuple[str, ...] = cached_call(RECOGNISE, "classes", stamp="") or ()
            look_into("", "imagenet", found["photo"], classes, None)


def draw(run: store.Run) -> None:
    """Draw, and see what the run's network makes of it as you draw."""
    data = data_of(run.id)
    left, right = st.columns([2, 3], gap="large")
    with left:
        ink = pen(key="image_pen", label="Square to draw on")
    with right:
        if ink is None:
            what = "a digit" if data.builtin == "digits" else f"one of: {', '.join(plain(name) for name in data.classes[:10])}"
            st.info(f"Draw {what}. The network names it as you draw.", icon=":material/draw:")
            return
        small = as_digit(ink, data.shape[1])
        found = call(PREDICT, "classify", run_id=run.id, values=small)
        if found is None:
            return
        chances = found["chances"][0]
        frame = pd.DataFrame({"class": list(found["classes"]), "chance": chances})
        best = int(chances.argmax())
        st.markdown(f"**{plain(found['classes'][best])}**, {chances[best]:.0%} sure")
        bar = st.column_config.ProgressColumn("chance", min_value=0, max_value=1, format="percent")
        st.dataframe(frame, hide_index=True, column_config={"chance": bar}, alt="Chances of the classes for the drawing")
        st.image(png(sheet(small, 1), max(1, 96 // data.shape[1])), caption="As the network sees it")
        if run.config["network"] != HEAD and st.toggle(
            "Morph it until the answer flips",
            key=f"flip_{run.id[-12:]}",
            help="The smallest edit that is found to change the answer, and the way there.",
        ):
            _flip(run, small, found["classes"])


def _flip(run: store.Run, small: np.ndarray, classes: tuple[str, ...]) -> None:
    """The smallest edit that was found to make the answer another, and the pictures on the way to it."""
    found = call(INTERPRET, "flipped", run_id=run.id, values=small)
    if found is None:
        return
    if found["after"] is None:
        st.caption("No edit of up to a quarter of the range changes its mind.")
        return
    zoom = max(1, 96 // small.shape[2])
    last = len(found["way"]) - 1
    place = st.slider(
        "On the way to the edit", 0, last, last, key=f"flip_way_{run.id[-12:]}", help="From your drawing to the picture that flips."
    )
    now, chances = found["way"][place], found["chances"][place]
    best = int(chances.argmax())
    moved = now[None].astype(float).mean(1) - small.astype(float).mean(1)
    shown = (
        (small, f"your drawing: {plain(classes[found['said']])}"),
        (now[None], f"now {plain(classes[best])}, {chances[best]:.0%} sure"),
        (signed(moved), f"no pixel moves by more than {found['epsilon'] * place / last:.1%}"),
    )
    for column, (picture, words) in zip(st.columns(3), shown, strict=True):
        column.image(png(sheet(picture, 1), zoom), caption=words, width=zoom * small.shape[2])  # else a long caption would stretch it
    chart = charts.figure(height=180, uirevision="flip", hovermode="closest")
    for kind, color in ((found["said"], charts.NETWORK), (found["other"], charts.RIVAL)):
        charts.add_line(chart, np.arange(last + 1), found["chances"][:, kind], str(classes[kind]), color=color)
    charts.axis(chart, "yaxis", title="chance", range=[0, 1.02])
    live_plot(chart, key=f"flip_chart_{run.id[-12:]}")


def as_digit(ink: np.ndarray, size: int) -> np.ndarray:
    """A drawing (h, w) of 0 to 255 cut to its ink, centred, and shrunk: the digits fill their rows too.  # (1, 1, size, size) uint8"""
    rows, columns = np.flatnonzero(ink.max(1) > LEAST), np.flatnonzero(ink.max(0) > LEAST)
    if not len(rows):
        return np.zeros((1, 1, size, size), np.uint8)
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(cut.shape)
    square = np.zeros((side, side))
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return cropped(Image.fromarray(square.astype(np.uint8)), size, False)[None]


def use(run: store.Run) -> None:
    """Name pictures and shots by the run's own classes."""
    st.fragment(_batch)(run)
    st.fragment(_try_photo)(run)


def _batch(run: store.Run) -> None:
    """Name every picture of a zip, as a table to take away."""
    data = data_of(run.id)
    brought = uploader(
        "image_batch",
        label="Pictures to name",
        kinds=["zip", *PHOTO_KINDS],
        help="A zip, or several pictures.",
        bundle=bundle,
        clean=True,
    )
    if brought is None:
        return
    stamp = f"{run_stamp(run)}-{brought[0]}"
    with st.spinner("Naming them …", show_time=True):
        found = cached_call(PREDICT, "classify_zip", stamp=stamp, run_id=run.id, upload_id=brought[0], seconds=SECONDS)
    if found is None:
        return
    for note in found["notes"]:
        st.caption(f":material/build: {plain(note)}")
    frame = pd.DataFrame(
        {"picture": found["names"], "class": [data.classes[n] for n in found["chances"].argmax(1)], "sure": found["chances"].max(1)}
    )
    percent = st.column_config.ProgressColumn("sure", min_value=0, max_value=1, format="percent")
    st.dataframe(explain.harmless(frame), hide_index=True, column_config={"sure": percent}, alt="The class of every picture")
    st.caption("It always names one of its classes, whatever it is shown, and may be very sure of it.")
    st.download_button("As CSV", explain.safe_csv(frame), "classes.csv", "text/csv", icon=":material/download:", on_click="ignore")


def _try_photo(run: store.Run) -> None:
    """One photo, or a shot of the camera, by the run's own classes."""
    if not st.toggle("Show it something with the camera", key=f"image_own_on_{run.id[-12:]}"):
        return
    shot = camera("A shot", key=f"image_own_camera_{run.id[-12:]}", help="The picture goes to this server only; no file of it is kept.")
    if not shot:
        return
    found = call(PREDICT, "classify_photo", run_id=run.id, content=shot.getvalue())
    if found is not None:
        best = int(found["chances"][0].argmax())
        st.markdown(f"**{plain(found['classes'][best])}**, {found['chances'][0][best]:.0%} sure")
