"""The blocks under a run: one is shown at a time, and only that one runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

HOW = "How it works"


def block_choice(prefix: str, titles: Sequence[str]) -> str:
    """The chosen one of the blocks, under its heading; at first the first. It is in the link, so a link can open a certain one.

    Not `st.tabs`: they slow every rerun of their page in the browser.
    """
    chosen = st.segmented_control(
        "What to do with it",
        titles,
        default=titles[0],
        required=True,
        wrap=True,
        key=f"{prefix}_tab",
        bind="query-params",
        label_visibility="collapsed",
    )
    chosen = chosen or titles[0]  # a link may name nothing
    st.header(chosen, divider="gray")
    return chosen
