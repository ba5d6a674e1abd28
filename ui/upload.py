"""Uploader -> spooled file -> id. The bytes leave the web process's memory at once; a worker parses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import streamlit as st

from core.errors import CallFailed, UserError
from core.runs import uploads
from ui.session import get_engine, link, linked
from ui.words import plain, say_error

SECONDS = 60.0  # that a worker may take to go through a large zip


def _cleaned(files: list[Any]) -> list[bytes]:
    """What is kept of each file. Of several, one that can't be opened is said and kept empty: whoever reads them leaves it out."""
    kept: list[bytes] = []
    for file in files:
        try:
            kept.append(get_engine().call("core.pictures", "without_notes", seconds=SECONDS, content=file.getvalue()))
        except UserError as error:
            if len(files) == 1 or isinstance(error, CallFailed):
                raise
            st.toast(f"{plain(PurePath(file.name).name)}: {plain(error)}", icon=":material/error:", duration="long")
            kept.append(b"")
    return kept


def told_apart(names: list[str]) -> list[str]:
    """Names of files as they are, without folders and dots in front; another file of the same name gets a number: cat.jpg, cat (2).jpg."""
    found: dict[str, None] = {}
    for name in names:
        path, number = PurePath(PurePath(name).name.lstrip(".") or "picture"), 1
        free = path.name
        while free in found:
            number += 1
            free = f"{path.stem} ({number}){path.suffix}"
        found[free] = None
    return list(found)


def camera(label: str, *, key: str, help: str) -> Any:
    """A shot of the visitor's camera, None while there is none; and what to do where the camera is refused."""
    shot = st.camera_input(label, key=key, help=help)
    if not shot:
        st.caption("No picture? Allow the camera beside the browser's address line, or bring a file instead.")
    return shot


def uploader(
    capability: str,
    *,
    label: str,
    kinds: list[str],
    help: str,
    bundle: Callable[[dict[str, bytes]], bytes] | None = None,
    clean: bool = False,
) -> tuple[str, str] | None:
    """Let the visitor bring a file; returns its upload id and name, None while there is none.

    bundle: makes one file of several, where several may be brought; clean: of pictures, what a camera notes beside the pixels is not kept.
    The id lives in the link, so the file survives F5. It is not deleted before the retention of the server.
    """
    name = f"{capability}_upload"
    upload_id = linked(name)
    if upload_id:
        try:
            title = uploads.title(upload_id)
        except UserError as error:
            link(name, "")
            st.warning(plain(error), icon=":material/link_off:")
        else:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f":material/description: **{plain(title)}**")
                st.button("Bring another file", key=f"{capability}_another", icon=":material/upload:", on_click=link, args=(name, ""))
            return upload_id, title
    turn = st.session_state.setdefault(f"{capability}_upload_turn", 0)
    try:
        brought = st.file_uploader(label, type=kinds, key=f"{capability}_file_{turn}", help=help, accept_multiple_files=bool(bundle))
    except st.errors.StreamlitAPIException:  # a browser that sends another kind of file than it was asked for
        st.error(f"Please bring one of these: {', '.join(kinds)}.", icon=":material/error:")
        return None
    files: list[Any] = [] if not brought else list(brought) if bundle else [brought]
    if not files:
        most = st.get_option("server.maxUploadSize")
        st.caption(f"At most {most} MB. A file shown in red was not taken: it is larger, or of another kind.")
        return None
    try:
        title = PurePath(files[0].name).name if len(files) == 1 else f"{len(files)} files"
        with st.spinner("Reading …", show_time=True):
            contents = _cleaned(files) if clean else [file.getvalue() for file in files]
        if bundle and len(files) > 1:
            content = bundle(dict(zip(told_apart([file.name for file in files]), contents, strict=True)))
        else:
            content = contents[0]
        upload_id = uploads.save(content, title)
    except UserError as error:
        say_error(error)
        return None
    st.session_state[f"{capability}_upload_turn"] = turn + 1  # a fresh uploader: the old one's memory is freed
    link(name, upload_id)
    st.rerun()
