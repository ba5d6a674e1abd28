"""The blocks under a run: one is shown at a time, and only that one runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import streamlit as st

from core.runs import store
from ui import explain
from ui.config_form import linked_choice

USE, HOW = "Use", "How it works"


def run_blocks(
    run: store.Run,
    prefix: str,
    blocks: Mapping[str, Callable[[store.Run], None]],
    how: Callable[[], None],
    *,
    without_weights: Collection[str] = (),
) -> None:
    """Show the chosen block under its heading, at first the first. The choice is in the link, so a link can open a certain one.

    blocks: what can be done with a run, each drawn as a fragment; how: draws the last block, how it works; without_weights: blocks
    that need nothing learned. Not `st.tabs`: they slow every rerun of their page in the browser.
    """
    chosen = linked_choice(
        "What to do with it",
        {title: title for title in [*blocks, HOW]},
        key=f"{prefix}_tab",
        unknown="The link names a part of the page that is not here. The first is shown instead.",
    )
    st.header(chosen, divider="gray")
    if chosen == HOW:
        how()
    elif chosen not in without_weights and not store.checkpoint_step(run.id):
        st.caption("As soon as something is learned, this is open to you.")
    else:
        st.fragment(blocks[chosen])(run)
        if chosen == USE:
            explain.share(run)
