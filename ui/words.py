"""Words from visitors on the page: names of files, columns and runs are shown as they are, never read as Markdown."""

from __future__ import annotations

import re

import streamlit as st

from core.errors import CallFailed

_MARKS = re.compile(r"([\\`*_\[\](){}#$~:<>!|])")


def plain(text: object) -> str:
    """A visitor's text with every sign escaped that Markdown (or Streamlit's LaTeX, icons and colours) would read."""
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def say_error(error: Exception | str) -> None:
    """A `UserError` on the page: its sentence may quote the visitor's data."""
    icon = ":material/hourglass_disabled:" if isinstance(error, CallFailed) else ":material/error:"
    st.error(plain(error), icon=icon)
