"""Classes of one's own on the image page: collect them by file or camera, look through them, keep them as a project file."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from core import source
from core.config import read_config
from core.errors import UserError
from core.image import own
from core.image.config import ImageConfig
from core.image.data import Pictures
from core.pictures import bundle
from core.runs import uploads
from ui import config_form
from ui.image_views import OWN, PHOTO_KINDS
from ui.session import cached_call, call, get_engine, link, tell, visitor
from ui.upload import camera, told_apart, uploader
from ui.words import say_error

PREFIX = "image"
LISTED = source.constant("core.image.own", "LISTED")
SECONDS = 60.0  # that a worker may take for a large zip
SHOWN = {"size": 128, "colour": True}  # how pictures are taken if nothing else was chosen
Choices = dict[str, Any]  # left_out, renamed: what was changed by hand; size, colour: how pictures are taken


def brought() -> Pictures | None:
    """A zip, pictures or a project file of the visitor's, or what is collected here; None while there is nothing to tell apart."""
    found = uploader(
        PREFIX,
        label="A zip with a folder for each class, or a project file",
        kinds=["zip", *PHOTO_KINDS],
        help="PNG, JPEG, WebP or HEIC. The name of the folder is the class: cats/1.jpg, cats/2.jpg, dogs/1.jpg. Photos with notes of a "
        "camera (place, time) are kept without them, in 512 pixels.",
        bundle=bundle,
        clean=True,
    )
    upload_id = found[0] if found else ""
    if not upload_id:
        st.download_button(
            "Template file",
            own.template,
            "template.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
            help="A zip of two folders with six pictures each: put your own in their place.",
        )
        st.caption("Or collect them here, class by class. Twenty pictures a class are often enough for the new head on EfficientNet.")
        if before := st.session_state.get(f"{PREFIX}_collected"):
            help = "The pictures that were open before, as they were."
            st.button("Open the last ones again", icon=":material/undo:", help=help, on_click=link, args=(f"{PREFIX}_upload", before))
    else:
        st.session_state[f"{PREFIX}_collected"] = upload_id
        _reopened(upload_id)
    choices = _looked_through(upload_id) if upload_id else {"left_out": [], "renamed": {}}
    kinds = {*_counts(upload_id), *choices["renamed"].values()} if upload_id else set()
    busy = len(kinds) < 2 or bool(st.session_state.get(f"{PREFIX}_added"))
    with st.expander("Add pictures to a class", icon=":material/add_a_photo:", expanded=busy, on_change="rerun") as adding:
        if adding.open:
            st.fragment(_add)(upload_id, choices)
    if not upload_id:
        return None
    if len(kinds) < 2:
        words = "One class so far: add a second above, or bring a zip with a folder for each. Then there is something to tell apart."
        st.info(words, icon=":material/add_a_photo:")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = st.segmented_control(
            "Pixels a side",
            own.SIDES,
            format_func=lambda size: "photos (128)" if size == 128 else str(size),
            required=True,
            key=f"{PREFIX}_size",
            help="Photos for EfficientNet, or small pictures for a network from scratch.",
        )
        colour = st.toggle("Colour", key=f"{PREFIX}_colour")
    _keep(upload_id, choices)
    with st.spinner("Reading pictures …", show_time=True):
        return _from_worker(upload_id, json.dumps({"size": size, "colour": colour} | choices))


@st.cache_resource(max_entries=2, show_spinner=False)  # frozen, and large: copying it at each rerun would cost
def _from_worker(upload_id: str, choices: str) -> Pictures:
    found: Pictures = get_engine().call(OWN, "from_zip", seconds=SECONDS, upload_id=upload_id, **json.loads(choices))
    return found


def _reopened(upload_id: str) -> None:
    """Size and colour as they were left, else as a project file says; it also brings its settings, once."""
    opening = st.session_state.get(f"{PREFIX}_project") != upload_id
    st.session_state[f"{PREFIX}_project"] = upload_id
    found = (opening and call(OWN, "project_in", upload_id=upload_id)) or {}
    said = found | _choices_before(upload_id, now=True)
    for name, default in SHOWN.items():
        key = f"{PREFIX}_{name}"
        if key not in st.session_state or (opening and name in said):
            st.session_state[key] = said.get(name, default)
    if not found:
        return
    try:
        config_form.apply(ImageConfig, PREFIX, read_config(ImageConfig, found["settings"] | {"warm": ""}))
    except UserError as error:
        st.warning(f"The pictures of this project were opened; its settings were not: {error}", icon=":material/warning:")


def _looked_through(upload_id: str) -> Choices:
    """Let the visitor take bad pictures away and put others into the class where they belong."""
    with st.expander("Look through the pictures: take bad ones away, correct their class", icon=":material/checklist:"):
        rows = pd.DataFrame(_listing(upload_id))
        given, before = rows["class"].copy(), _choices_before(upload_id)
        rows["class"] = [before["renamed"].get(str(n), kind) for n, kind in zip(rows["number"], given, strict=True)]
        rows["keep"] = ~rows["number"].isin(before["left_out"])
        files = sum(_counts(upload_id).values())
        if files > len(rows) == LISTED:
            st.caption(f"{LISTED} of {files:,} are shown here, of the classes in turn; the others are taken as they are.")
        edited = st.data_editor(
            rows,
            key=f"{PREFIX}_editor_{upload_id}",
            hide_index=True,
            height=320,
            row_height=64,
            disabled=["number", "picture", "file"],
            column_config={
                "picture": st.column_config.ImageColumn("picture"),
                "class": st.column_config.TextColumn("class", max_chars=40, required=True),
                "file": st.column_config.TextColumn("file", help="As it is called where something is said of it."),
                "keep": st.column_config.CheckboxColumn("keep", help="What is not kept is gone for good once more pictures are added."),
            },
        )
        moved = edited[edited["class"] != given]
        choices = {
            "left_out": [int(n) for n in edited.loc[~edited["keep"], "number"]],
            "renamed": {str(n): str(kind) for n, kind in zip(moved["number"], moved["class"], strict=True)},
        }
        _keep_choices(upload_id, choices | {name: st.session_state[f"{PREFIX}_{name}"] for name in SHOWN})
        return choices


def _choices_before(upload_id: str, now: bool = False) -> Choices:
    """What was changed by hand before this editor: it must begin with the same rows as long as it lives. now: what was kept last."""
    kept = f"{PREFIX}_choices_{upload_id}"
    if kept not in st.session_state or f"{PREFIX}_editor_{upload_id}" not in st.session_state:
        words = uploads.notes(upload_id, visitor())
        st.session_state[kept] = st.session_state[f"{kept}_now"] = json.loads(words) if words else {"left_out": [], "renamed": {}}
    found: Choices = st.session_state[f"{kept}_now" if now else kept]
    return found


def _keep_choices(upload_id: str, choices: Choices) -> None:
    """With the upload, so that they are there after F5."""
    now = f"{PREFIX}_choices_{upload_id}_now"
    if st.session_state[now] != choices:
        try:
            uploads.annotate(upload_id, visitor(), json.dumps(choices))
            st.session_state[now] = choices
        except UserError as error:
            say_error(error)


@st.cache_data(max_entries=16, show_spinner=False)
def _counts(upload_id: str) -> dict[str, int]:
    found: dict[str, int] = get_engine().call(OWN, "counts", upload_id=upload_id)
    return found


@st.cache_data(max_entries=4, show_spinner=False)
def _listing(upload_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get_engine().call(OWN, "listing", seconds=SECONDS, upload_id=upload_id)
    return found


def _add(upload_id: str, choices: Choices) -> None:
    """Files or shots of the camera for one class; each shot is kept at once."""
    counts = _counts(upload_id) if upload_id else {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox(
            "Class",
            sorted(counts),
            index=None,
            key=f"{PREFIX}_kind",
            accept_new_options=True,
            placeholder="Name a class, or choose one",
            width=280,
        )
        way = st.segmented_control("From", ["Files", "Camera"], default="Files", required=True, key=f"{PREFIX}_from")
    if counts:
        st.caption(" · ".join(f"{name}: {count}" for name, count in counts.items()))
    if not kind:
        st.caption("Name the class first; then every picture goes into it.")
        return
    turn = st.session_state.setdefault(f"{PREFIX}_added", 0)
    if way == "Camera":
        help = "Each shot goes into the class at once."
        shot = camera(f"A shot of: {kind}", key=f"{PREFIX}_shot_{turn}", help=help)
        files = [shot] if shot else []
    else:
        help = "PNG, JPEG, WebP or HEIC."
        files = list(
            st.file_uploader(f"Pictures of: {kind}", PHOTO_KINDS, accept_multiple_files=True, key=f"{PREFIX}_more_{turn}", help=help)
        )
    if not files:
        return
    contents = dict(zip(told_apart([file.name for file in files]), [file.getvalue() for file in files], strict=True))
    found = call(OWN, "collected", seconds=SECONDS, upload_id=upload_id, kind=str(kind), contents=contents, **choices)
    if found:
        larger, problems = found
        st.session_state[f"{PREFIX}_added"] = turn + 1
        st.session_state[f"{PREFIX}_project"] = larger  # the settings on the page stay
        if problems:
            tell(f"Left out: {' '.join(problems[:3])}")
        link(f"{PREFIX}_upload", larger)
        st.rerun()


def _keep(upload_id: str, choices: Choices) -> None:
    """The collection as a file, to be opened again and extended."""
    ready = f"{PREFIX}_project_file"
    stamp = json.dumps([upload_id, choices])
    if st.session_state.get(ready) != stamp:
        help = "The pictures in folders, as they were kept and corrected, and the settings. Bring it again to go on."
        st.button(
            "Pack a project file",
            key=f"{ready}_pack",
            icon=":material/inventory_2:",
            help=help,
            on_click=st.session_state.update,
            kwargs={ready: stamp},
        )
        return
    settings = config_form.current(ImageConfig, PREFIX)
    pictures = {name: st.session_state[f"{PREFIX}_{name}"] for name in SHOWN}
    stamp += json.dumps([settings, pictures])
    content = cached_call(OWN, "project", stamp=stamp, seconds=SECONDS, upload_id=upload_id, settings=settings, **pictures, **choices)
    if content:
        name = f"{uploads.title(upload_id).rsplit('.', 1)[0][:40]} project.zip"
        st.download_button(
            "Save the project file", content, name, "application/zip", icon=":material/download:", key=f"{ready}_save", type="primary"
        )
