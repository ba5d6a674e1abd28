"""The data block of the image page: digits, clothes, or a zip of the visitor's own pictures."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.errors import UserError
from core.image import cifar
from core.image.config import ImageConfig
from core.image.data import BUILTIN, Pictures, builtin
from core.runs import limits
from ui import config_form
from ui.image_collect import PREFIX, brought
from ui.image_views import data_of
from ui.session import call
from ui.sheets import png, sheet, thin
from ui.words import plain, say_error

FETCHING = 1800.0  # s that a download may take
OWN = "Your own classes"
MOST_SHOWN = 20  # classes
PER_CLASS = 10  # pictures of a class that are shown


def data_block() -> Pictures | None:
    """Let the visitor choose; returns the pictures, or None with a sentence on the page."""
    suit = config_form.link_names_data_alone(ImageConfig, PREFIX)
    chosen = config_form.data_choice(
        PREFIX,
        {name: entry.title for name, entry in BUILTIN.items() if entry.offered},
        [OWN],
        label="Dataset",
        help="The first two come with Manabi and need no network. Or bring pictures of your own.",
        on_change=_suit_settings,
        default="digits",
    )
    found = None
    try:
        found = builtin(chosen) if chosen in BUILTIN else brought()
    except UserError as error:
        say_error(error)
    if suit and config_form.key_of(PREFIX, "network") not in st.session_state:  # no project file brought its own
        config_form.apply_to_link(ImageConfig, PREFIX, _suited(chosen))
    if found and not len(found.values):
        _fetch()
        return None
    if found:
        if chosen in BUILTIN:
            st.caption(BUILTIN[chosen].about)
        _say(found)
    return found


def _suit_settings() -> None:
    """Another dataset brings the settings that suit it."""
    config_form.apply(ImageConfig, PREFIX, _suited(str(st.session_state.get(f"{PREFIX}_data"))))


def _suited(chosen: str) -> ImageConfig:
    """The settings that suit a dataset."""
    return ImageConfig.from_preset(BUILTIN[chosen].preset if chosen in BUILTIN else "Your photos")


def _fetch() -> None:
    """CIFAR-10 is not on this machine: what can be done."""
    st.info(
        f"CIFAR-10 does not come with Manabi; it is a download of {cifar.MEGABYTES} MB from its author. A network that has learned it "
        "does: it is shown below while no run of yours is open, and needs no internet.",
        icon=":material/cloud_download:",
    )
    if limits.demo():
        return
    help = "Needs internet and some minutes. Its checksum is compared; it stays on this server for all."
    if st.button("Download CIFAR-10", icon=":material/download:", help=help):
        with st.spinner("Downloading …", show_time=True):
            call("core.image.cifar", "download", seconds=FETCHING)
        if cifar.there():
            data_of.clear()
            st.rerun()


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
        for kind, name in enumerate(data.classes[:MOST_SHOWN]):
            rows = np.flatnonzero(data.labels == kind)
            small = thin(data.values[rows[:PER_CLASS]], 48)
            st.image(png(sheet(small, 5), zoom), caption=f"{plain(name)}: {len(rows):,}")
    rest = np.bincount(data.labels, minlength=len(data.classes))[MOST_SHOWN:]
    if len(rest):
        st.caption(f"… and {len(rest)} more class{'es' * (len(rest) > 1)}, of {rest.min():,} to {rest.max():,} pictures.")
