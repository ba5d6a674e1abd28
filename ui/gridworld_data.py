"""The data block of the gridworld page: choose a map, paint on it, bring one, and see what can be earned on it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import streamlit as st

from core.errors import UserError
from core.gridworld import editor, maps
from core.gridworld.env import Task
from core.gridworld.maps import ABOUT, BUILTIN, CELLS, LEAST, MOST, GridMap
from core.gridworld.rules import short
from core.runs import uploads
from ui import board
from ui.gridworld_gallery import gallery
from ui.session import cached_call, guarded, link, linked
from ui.upload import uploader
from ui.words import plain, say_error

PREFIX = "gridworld"
MAP = f"{PREFIX}_map"  # in the link: a built-in name, or a map packed into a word
SHOWN = f"{PREFIX}_shown"  # the map of the run on the page, as a word
DRAFT, UNDO, DEMO = f"{PREFIX}_draft", f"{PREFIX}_undo", f"{PREFIX}_demo"
BRUSHES = ["#", ".", "S", "G", "H", "C", "I", editor.REWARD, "<", "v", ">", "^", "1", "2", "3", "a", "A", "b", "B", "P", "D"]
SHORT = {
    "#": "Wall",
    ".": "Floor",
    "S": "Start",
    "G": "Goal",
    "H": "Pit",
    "C": "Cliff",
    "I": "Ice",
    editor.REWARD: "Reward",
    "<": "←",
    "v": "↓",
    ">": "→",
    "^": "↑",
    "1": "Teleport 1",
    "2": "Teleport 2",
    "3": "Teleport 3",
    "a": "Key a",
    "A": "Door A",
    "b": "Key b",
    "B": "Door B",
    "P": "Parcel",
    "D": "Drop-off",
}
MOST_UNDO = 50
PRESET_MAPS = {  # presets that are made for a map
    "FrozenLake, Q-learning": "frozen4",
    "Cliff walking, Q-learning": "cliff",
    "Cliff walking, SARSA": "cliff",
    "Dyna-Q in a maze": "maze",
}


def current() -> tuple[editor.Draft, GridMap | None]:
    """The map that is being edited: its fields, and the map itself unless it is not whole yet.

    Without one in the link it is that of the run which the page shows, else FrozenLake.
    """
    kept = st.session_state.get(DRAFT)
    if kept:
        return json.loads(kept), None
    code = linked(MAP) or str(st.session_state.get(SHOWN) or "frozen4")
    try:
        grid = maps.from_code(code)
    except UserError as error:
        link(MAP, "")
        st.warning(f"{plain(error)} The page shows FrozenLake.", icon=":material/link_off:")
        grid = BUILTIN["frozen4"]
    return editor.draft_of(grid), grid


def change(draft: editor.Draft) -> None:
    """Take a changed map; one that is not whole yet is kept beside the link. For callbacks."""
    before, _ = current()
    st.session_state[UNDO] = [*st.session_state.get(UNDO, []), json.dumps(before)][-MOST_UNDO:]
    _set(draft)


def _set(draft: editor.Draft) -> None:
    fault = editor.problem(draft)
    st.session_state[DRAFT] = json.dumps(draft) if fault else ""
    if not fault:
        grid = maps.read_map(draft)
        link(MAP, next((name for name, other in BUILTIN.items() if other == grid), grid.code()))


def undo() -> None:
    """Back to the map before the last change."""
    stack = st.session_state.get(UNDO, [])
    if stack:
        st.session_state[UNDO] = stack[:-1]
        _set(json.loads(stack[-1]))


def choose(grid: GridMap) -> None:
    """Take a whole map."""
    change(editor.draft_of(grid))


def preset_taken(name: str) -> None:
    """A preset that is made for a map brings it."""
    if name in PRESET_MAPS:
        choose(BUILTIN[PRESET_MAPS[name]])


def data_block(shown: GridMap | None = None) -> Task | None:
    """Let the visitor choose and paint; returns the task, or None with a sentence on the page. shown: the map of the run on the page."""
    st.session_state[SHOWN] = shown.code() if shown else ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.menu_button(
            "Choose a map",
            list(BUILTIN),
            format_func=lambda name: BUILTIN[name].name,
            key=f"{PREFIX}_choose",
            icon=":material/map:",
            help="Twelve maps come with Manabi; each can be changed.",
            on_click=lambda: choose(BUILTIN[str(st.session_state[f"{PREFIX}_choose"])]),
        )
        _maze()
        _own()
    draft, grid = current()
    name = next((name for name, other in BUILTIN.items() if other == grid), "")
    about = f": {ABOUT[name]}" if name else ""
    st.caption(f"**{plain(draft['name'])}**, {len(draft['rows'])} by {len(draft['rows'][0])} cells{about}")
    left, right = st.columns([3, 2], gap="large")
    with left:
        _edit(draft)
    with right:
        _rules(draft)
        task = _judge(draft, grid)
    gallery(choose)
    return task


def _maze() -> None:
    with st.popover("Random maze", icon=":material/shuffle:"):
        height = st.slider("Rows", 3, MOST, 11, key=f"{PREFIX}_maze_rows")
        width = st.slider("Columns", 3, MOST, 11, key=f"{PREFIX}_maze_columns")
        seed = st.number_input("Seed", 0, 10**6, 1, key=f"{PREFIX}_maze_seed", help="The same seed makes the same maze.")
        openings = st.slider(
            "Openings", 0.0, 1.0, 0.1, 0.05, key=f"{PREFIX}_maze_openings", help="Share of inner walls that fall: more ways."
        )
        st.button(
            "Dig",
            type="primary",
            key=f"{PREFIX}_dig",
            on_click=guarded(lambda: _dig(int(height), int(width), int(seed), float(openings))),
        )


def _dig(height: int, width: int, seed: int, openings: float) -> None:
    """Take a random maze; the next one will be another."""
    choose(maps.maze(height, width, seed, openings))
    st.session_state[f"{PREFIX}_maze_seed"] = seed + 1


def _own() -> None:
    _, grid = current()
    with st.popover("Bring or save", icon=":material/upload:"):
        brought = uploader(
            PREFIX,
            label="A map as plain text or JSON",
            kinds=["txt", "json", "map"],
            help="One letter a cell, one line a row, as FrozenLake's desc (S start, F ice, H hole, G goal), or a map saved here.",
        )
        if brought:
            try:
                found = maps.parse(uploads.content(brought[0]), brought[1].rsplit(".", 1)[0][:60] or "map")
            except UserError as error:
                say_error(error)
            else:
                st.button("Use this map", type="primary", key=f"{PREFIX}_take", on_click=choose, args=(found,))
        if grid:
            st.download_button(
                "As JSON, with its rules", grid.json_text(), "map.json", "application/json", on_click="ignore", icon=":material/download:"
            )
            st.download_button("As plain text", grid.text(), "map.txt", "text/plain", on_click="ignore", icon=":material/download:")
        st.caption("Letters: " + ", ".join(f"`{letter}` {what}" for letter, what in CELLS.items()))


def _edit(draft: editor.Draft) -> None:
    """The board with its brushes."""
    brush = st.pills(
        "Brush",
        BRUSHES,
        format_func=lambda letter: SHORT[letter],
        default="#",
        required=True,
        key=f"{PREFIX}_brush",
        help="Choose what to paint, then drag over the map. Or go with the arrow keys and press a cell's letter.",
        label_visibility="collapsed",
        wrap=True,
    )
    reward = 0.0
    if brush == editor.REWARD:
        reward = st.number_input(
            "Reward on entering", -1e6, 1e6, 1.0, key=f"{PREFIX}_reward", help="Painted on cells; 0 takes it away.", format="%g"
        )

    def did(event: dict[str, Any]) -> None:
        if event.get("kind") == "undo":
            undo()
        elif event.get("kind") == "paint" and str(event.get("letter")) in {*CELLS, editor.REWARD}:
            change(editor.painted(current()[0], event["cells"], str(event["letter"]), float(reward)))

    shown = board.map_view(draft)
    board.board(shown, key=f"{PREFIX}_editor", mode="edit", did=did, brush=str(brush))
    st.button(
        "Undo",
        icon=":material/undo:",
        on_click=undo,
        disabled=not st.session_state.get(UNDO),
        key=f"{PREFIX}_undo_button",
        help="Or Control Z on the map.",
    )


def _rules(draft: editor.Draft) -> None:
    """Size and rules of the map."""
    with st.popover("Size and rules", icon=":material/tune:"):
        with st.form(f"{PREFIX}_rules", border=False):
            with st.grid(2, min_column_width=120):
                height = st.number_input("Rows", LEAST, MOST, len(draft["rows"]))
                width = st.number_input("Columns", LEAST, MOST, len(draft["rows"][0]))
                facts: dict[str, Any] = {}
                for name in ("step_reward", "goal_reward", "pit_reward", "cliff_reward"):
                    info = GridMap.model_fields[name]
                    facts[name] = st.number_input(info.title or name, -1e6, 1e6, float(draft[name]), help=info.description, format="%g")
                facts["horizon"] = st.number_input(
                    "Horizon", 1, 10_000, int(draft["horizon"]), help=GridMap.model_fields["horizon"].description
                )
                facts["slip"] = st.number_input(
                    "Slip", 0.0, 1.0, float(draft["slip"]), help=GridMap.model_fields["slip"].description, format="%.3g"
                )
            facts["slippery"] = st.toggle("Ice everywhere", bool(draft["slippery"]), help=GridMap.model_fields["slippery"].description)
            wind = st.text_input(
                "Wind by column",
                " ".join(map(str, draft["wind"])),
                help="Cells that a move is blown upwards: 0 0 1 2, one number a column.",
            )
            sent = st.form_submit_button("Apply", type="primary")
        if sent:
            try:
                new = editor.resized(draft, int(height), int(width))
                change({**new, **facts, "wind": editor.wind_of(wind, len(new["rows"][0]))})
            except UserError as error:
                say_error(error)
            else:
                st.rerun()


def _judge(draft: editor.Draft, grid: GridMap | None) -> Task | None:
    """What is wrong with the map, or what can be earned on it."""
    if not grid:
        say_error(UserError(editor.problem(draft)))
        return None
    code = grid.code()
    key = answer_key(code)
    if key is None:
        return None
    st.markdown("**What can be earned, on average an episode**")
    with st.grid(3, min_column_width=90):
        for name, label, text in (
            ("optimum", "Best possible", "The exact optimum within the horizon, by dynamic programming."),
            ("shortest", "Shortest path", "Walks straight to the goal as if nothing ever slipped."),
            ("random", "Random", "Every move equally likely."),
        ):
            st.metric(label, short(key[name]), help=text)
    demo = demo_of(code)
    if demo is not None and len(demo):
        st.caption(f":material/sports_esports: {len(demo)} moves of yours on this map go into DQN's replay buffer.")
    return Task(grid, demo)


def answer_key(code: str, gamma: float = 0.99) -> dict[str, Any] | None:
    """What is known of a map without learning; None (and a sentence) if nothing can be learned."""
    found: dict[str, Any] | None = cached_call("core.gridworld.predict", "answer_key", stamp=code, code=code, gamma=gamma)
    return found


def demo_of(code: str) -> np.ndarray | None:
    """Moves that the visitor chose to lend on this map.  # (n, 5)"""
    kept = st.session_state.get(DEMO)
    if not kept or kept["map"] != code:
        return None
    return np.array(kept["moves"], np.float64).reshape(-1, 5)
