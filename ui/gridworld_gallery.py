"""The gallery of reward hacking on the gridworld page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.gridworld.maps import ABOUT, BUILTIN, HACKS, GridMap
from core.gridworld.rules import short
from ui import board
from ui.session import cached_call


def gallery(choose: Callable[[GridMap], None]) -> None:
    """What the best policy makes of a reward that was meant well; `choose` is told of a map that is taken."""
    with st.expander(
        "Gallery of reward hacking", icon=":material/sentiment_very_dissatisfied:", key="gridworld_gallery", on_change="rerun"
    ) as shown:
        if not shown.open:
            return
        st.caption("In each, the best policy walks as it does because it pays. Take one, train on it, then mend the reward.")
        for column, name in zip(st.columns(len(HACKS), gap="large"), HACKS, strict=True):
            walk = cached_call("core.gridworld.predict", "best_walk", stamp=name, code=name)
            with column:
                st.markdown(f"**{BUILTIN[name].name}**")
                if walk is not None:
                    cells = [state % (BUILTIN[name].height * BUILTIN[name].width) for state in walk["states"]]
                    board.board(
                        board.map_view(BUILTIN[name].model_dump()), key=f"gridworld_hack_{name}", path=cells[:60], walk=name, pace=350
                    )
                    st.caption(f"{ABOUT[name].removeprefix('Reward hacking. ')} It earns {short(walk['return'])}.")
                st.button("Take this map", key=f"gridworld_hack_take_{name}", on_click=choose, args=(BUILTIN[name],))
