"""The blocks of the gridworld page that show a run: the live map, the race, the verdict, the scrubber."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import UserError
from core.gridworld import editor, maps
from core.gridworld.config import PLANNERS
from core.gridworld.env import Task, World, check_same_shape, walk, world_of
from core.gridworld.maps import ACTIONS, CELLS, GridMap
from core.gridworld.rules import RULES, numbers
from core.runs import control, store
from core.runs.metrics import Curve
from ui import board, charts_gridworld
from ui.gridworld_data import answer_key
from ui.live_plot import live_plot
from ui.session import cached_call, get_engine, guarded, run_stamp, visitor
from ui.words import plain

INTERPRET, PREDICT = "core.gridworld.interpret", "core.gridworld.predict"
WATCH = {  # how a run begins: pace, and steps of the pace a second (0: as fast as it goes)
    "Watch it learn": ("chunks", 20.0),
    "At once": ("chunks", 0.0),
    "Episode by episode": ("episodes", 5.0),
    "Move by move": ("moves", 5.0),
}
LAYERS = {
    "values": "Values",
    "moves": "Four values",
    "visits": "Visits",
    "error": "TD error",
    "entropy": "Undecided",
    "target": "Target network",
    "replay": "Replay buffer",
    "plain": "Map only",
}
CAPTIONS = {
    "values": "Blue is worth something, orange costs. Arrows are the greedy policy.",
    "visits": "The darker, the more often a move was tried there.",
    "error": "The darker, the more the last updates there were a surprise.",
    "entropy": "0: always the same move; 1.39: all four equally likely.",
    "replay": "The darker, the more moves from there lie in the buffer.",
    "plain": "Arrows are the greedy policy.",
}
WIDE = 8  # columns; a wider map takes the whole width of the page
PAINTS = [".", "#", "G", "H", "C"]  # what a map can be changed to while an agent learns


@st.cache_resource(max_entries=32, show_spinner=False)
def task_of(run_id: str) -> Task:
    """The map of a run as it began, from its folder."""
    return store.dataset(run_id)


def latest(run_id: str) -> dict[str, np.ndarray]:
    """The newest sample of a run; empty if there is none yet."""
    steps = store.sample_steps(run_id)
    return store.sample(run_id, steps[-1]) if steps else {}


def map_of(run: store.Run, sample: dict[str, np.ndarray]) -> GridMap:
    """The map as it stands: changed while it learns, or as it began."""
    code = str(control.wanted(store.folder(run.id))["settings"].get("edit", "")) if run.active else ""
    code = code or (sample["map"].tobytes().decode("ascii", "replace") if "map" in sample else "")
    try:
        return maps.from_code(code) if code else task_of(run.id).map
    except UserError:
        return task_of(run.id).map


def full_pace(run: store.Run) -> dict[str, Any]:
    """The wish that brings a run back from single moves to what its settings say: for Resume and Step."""
    slowed = control.wanted(store.folder(run.id))["settings"].get("pace", run.config["pace"]) != run.config["pace"]
    return {"settings": {"pace": run.config["pace"]}} | ({"speed": 20.0} if slowed else {})


def live(run: store.Run, curves: dict[str, Curve]) -> None:
    """What is drawn while it learns: the map through the agent's eyes, what it earns, the update with its numbers."""
    sample = latest(run.id)
    grid = map_of(run, sample)
    world = world_of(grid)
    mine = run.active and run.owner == store.owner_of(visitor())
    if mine:
        _pace(run)
    wide = world.map.width > WIDE
    left, right = (st.container(), st.container()) if wide else st.columns([5, 4], gap="large")
    with left:
        if sample and len(sample["q"]) == world.states:
            asked = _map(run, sample, world, mine)
            if asked is not None:
                why(run, world, asked)
        else:
            st.skeleton(height=420)
    with right:
        _curves(run, curves, grid, wide)
    if sample:
        _rule(run, sample, world)


def _curves(run: store.Run, curves: dict[str, Curve], grid: GridMap, wide: bool) -> None:
    """What it earns, how far it is from the exact values, how long its episodes are."""
    planning = run.config["method"] in PLANNERS
    columns = st.columns(2 if planning else 3) if wide else [st.container() for _ in range(3)]
    with columns[0]:
        live_plot(
            charts_gridworld.return_chart(
                {"greedy policy": curves}, possible=possible(grid), title="Return of an episode", revision=run.id, online=True
            ),
            key=f"returns_{run.id}",
        )
    with columns[1]:
        names = {"charts/distance": "distance to the optimal values", "train/td_error": "change of a sweep" if planning else "TD error"}
        live_plot(
            charts_gridworld.lines_chart(curves, names, title="Distance and surprise", revision=run.id, log=True), key=f"off_{run.id}"
        )
    if not planning:
        with columns[2]:
            length = {"charts/episodic_length": "moves"}
            live_plot(charts_gridworld.lines_chart(curves, length, title="Moves of an episode", revision=run.id), key=f"length_{run.id}")


def possible(grid: GridMap) -> float | None:
    """The exact optimum of a map, None if it has none."""
    key = answer_key(grid.code())
    return float(key["optimum"]) if key else None


def _pace(run: store.Run) -> None:
    """Moves and episodes one by one, by the click or by themselves."""

    @guarded
    def ask(**wish: Any) -> None:
        get_engine().ask(run.id, **wish)

    if run.config["method"] in PLANNERS:
        return
    with st.container(horizontal=True):
        for text, icon, wish, words in (
            (
                "Step a move",
                ":material/footprint:",
                {"steps": 1, "settings": {"pace": "moves"}},
                "One move and what is learned from it, then pause.",
            ),
            (
                "Step an episode",
                ":material/flag:",
                {"steps": 1, "settings": {"pace": "episodes"}},
                "To the end of the episode, then pause.",
            ),
            (
                "Play moves",
                ":material/slow_motion_video:",
                {"state": "running", "speed": 5.0, "settings": {"pace": "moves"}},
                "Five moves a second. Resume goes back to full pace.",
            ),
            (
                "Full pace",
                ":material/fast_forward:",
                {"state": "running", "speed": 0.0, "settings": {"pace": "chunks"}},
                "As fast as this machine learns.",
            ),
        ):
            st.button(text, icon=icon, help=words, key=f"{text}_{run.id[-12:]}", on_click=ask, kwargs=wish, disabled=run.status == "queued")


def states_shown(world: World, sample: dict[str, np.ndarray], key: str) -> np.ndarray:
    """Which state stands for each cell: asked where the map has things to carry, the most visited one if nothing is chosen."""
    if not world.items:
        return board.states_of(world)
    words: dict[int | None, str] = {None: "what was visited most", 0: "nothing"}
    words |= {held: " and ".join(item for n, item in enumerate(world.items) if held >> n & 1) for held in range(1, 1 << len(world.items))}
    held = st.selectbox(
        "Carried",
        list(words),
        format_func=lambda bits: words[bits],
        key=key,
        width=240,
        help="The same cell means something else once a key or a parcel is carried.",
    )
    return board.states_of(world, held, sample.get("visits"))


def shown_layer(sample: dict[str, np.ndarray], world: World, layer: str, states: np.ndarray) -> dict[str, Any]:
    """The board's picture of one layer of a sample, with the arrows of the greedy policy."""
    arrows = board.ties(sample["q"])
    if not (arrows[np.arange(len(arrows)), sample["greedy"]][world.acting]).all():
        arrows = sample["greedy"]  # a policy of its own, not the best of the values
    if layer == "moves":
        return board.view(world, states=states, moves=sample["q"])
    if layer == "target" and "target_q" in sample:
        return board.view(world, states=states, moves=sample["target_q"])
    values = {
        "values": lambda: sample["q"].max(-1),
        "visits": lambda: sample["visits"].astype(np.float64),
        "error": lambda: sample["error"],
        "replay": lambda: sample["replay"],
        "entropy": lambda: -(np.maximum(sample["behaviour"], 1e-12) * np.log(np.maximum(sample["behaviour"], 1e-12))).sum(-1),
    }
    if layer == "plain":
        return board.view(world, greedy=arrows, states=states)
    return board.view(world, states=states, values=np.asarray(values[layer](), np.float64), greedy=arrows)


def layers_of(run: store.Run, sample: dict[str, np.ndarray]) -> list[str]:
    """The layers that a run's sample can show."""
    missing = {"visits": "visits" not in sample, "target": "target_q" not in sample, "replay": "replay" not in sample}
    return [name for name in LAYERS if not missing.get(name)]


def _map(run: store.Run, sample: dict[str, np.ndarray], world: World, mine: bool) -> int | None:
    """The map with its layers and brushes. Returns the state whose cell was clicked, if one was."""
    key = run.id[-12:]
    layer = st.segmented_control(
        "Shown",
        layers_of(run, sample),
        format_func=lambda name: LAYERS[name],
        default="values",
        required=True,
        key=f"layer_{key}",
        label_visibility="collapsed",
        wrap=True,
    )
    states = states_shown(world, sample, f"held_{key}")
    painting = (
        mine
        and run.status != "queued"
        and st.toggle(
            "Change the map while it learns",
            key=f"painting_{key}",
            help="Paint walls, floor, pits and goals under its feet, and watch the arrows turn.",
        )
    )
    brush = "#"
    if painting:
        brush = str(
            st.segmented_control(
                "Brush",
                [*PAINTS, editor.REWARD],
                format_func=_brush_name,
                default="#",
                required=True,
                key=f"paint_{key}",
                label_visibility="collapsed",
            )
        )
        if brush == editor.REWARD:
            st.number_input("Reward on entering", -1e6, 1e6, 1.0, key=f"pay_{key}", format="%g")

    def did(event: dict[str, Any]) -> None:
        if event.get("kind") == "look":
            st.session_state[f"cell_{key}"] = int(event["cell"])
        elif event.get("kind") == "paint" and painting:
            _repaint(run.id, [int(cell) for cell in event["cells"]], str(event["letter"]), float(st.session_state.get(f"pay_{key}", 1.0)))

    selected = st.session_state.get(f"cell_{key}")
    trail = [int(state) for state in sample["trail"]]
    moving = run.active and _pace_now(run) == "moves"
    board.board(
        shown_layer(sample, world, layer, states),
        key=f"board_{run.id}",
        mode="edit" if painting else "look",
        did=did,
        brush=brush,
        agent=trail[-1] % world.cells if trail and run.active else None,
        trail=[state % world.cells for state in trail[-60:]] if run.active else [],
        selected=selected,
        path=[state % world.cells for state in trail[-5:]] if moving else [],
        walk=str(sample["now"][2:].tolist()) + str(len(trail)) if moving and "now" in sample else "",
        pace=180,
    )
    ask = "Drag to paint." if painting else "Click a cell to ask why its arrow points there."
    st.caption(f"{CAPTIONS.get(layer, CAPTIONS['values'])} {ask}")
    return None if selected is None or not 0 <= int(selected) < world.cells else int(states[int(selected)])


def _pace_now(run: store.Run) -> str:
    return str(control.wanted(store.folder(run.id))["settings"].get("pace", run.config["pace"]))


def _brush_name(letter: str) -> str:
    return "Reward" if letter == editor.REWARD else CELLS[letter].split(":")[0].capitalize()


@guarded
def _repaint(run_id: str, cells: list[int], letter: str, reward: float) -> None:
    """Change the map of a run that is under way. What cannot be is said."""
    if letter not in {*PAINTS, editor.REWARD}:
        raise UserError("While it learns, cells can become floor, wall, goal, pit or cliff, or pay a reward.")
    run = store.read(run_id)
    if not run.active or run.owner != store.owner_of(visitor()):
        raise UserError("Only a run of your own that is under way can be given another map.")
    grid = map_of(run, latest(run_id))
    draft = editor.painted(editor.draft_of(grid), cells, letter, reward)
    new = maps.read_map({**draft, "name": grid.name})
    world = world_of(new)
    check_same_shape(world, world_of(grid))
    if problem := world.problem():
        raise UserError(problem)
    if run.config["gamma"] == 1 and (key := answer_key(new.code(), 1.0)) and key["why"]:
        raise UserError(str(key["why"]))
    get_engine().ask(run_id, settings={"edit": new.code()})


def _rule(run: store.Run, sample: dict[str, np.ndarray], world: World) -> None:
    """The rule of the method, and the last update with its numbers."""
    method = str(run.config["method"])
    with st.container(border=True):
        st.markdown(f"**The last update.** {RULES[method][1]}")
        st.latex(RULES[method][0])
        line = sample["last"]
        if np.isfinite(line).all():
            where = walk(world, [int(line[1])])[0]
            moved = "" if method in PLANNERS else f", moving {ACTIONS[int(line[2])]}"
            st.caption(f"In numbers, at {where}{moved}:")
            st.latex(numbers(method, line.tolist(), float(run.config["gamma"]), ACTIONS[int(line[2])]))


def why(run: store.Run, world: World, state: int) -> None:
    """Why the arrow of a cell points where it does: its values, and the last updates that moved them."""
    if not store.checkpoint_step(run.id):
        st.caption("In a moment: the first checkpoint is not written yet.")
        return
    if not (0 <= state < world.states and world.acting[state]):
        st.caption("No choice is made on this cell.")
        return
    found = cached_call(INTERPRET, "why", stamp=run_stamp(run), run_id=run.id, state=state)
    if found is None:
        return
    with st.container(border=True):
        st.markdown(f"**Why {found['greedy']}?** At {found['where']}, after {found['told']:,} updates of this cell:")
        table = pd.DataFrame({"learned": found["q"], "exact": found["optimal"], "chance now": found["chances"]}, index=list(ACTIONS)).T
        st.dataframe(
            table.style.format("{:.4g}"), alt="The four values of this cell as learned and as they should be, and the chances of the moves"
        )
        if not found["updates"]:
            st.caption("No update has moved this cell yet: its values are the first guess.")
            return
        beyond = (
            " Traces of later surprises moved it a little too; those are not listed." if run.config["method"] == "SARSA(lambda)" else ""
        )
        st.caption(f"The last updates that moved it, the newest first:{beyond}")
        rows = pd.DataFrame(found["updates"]).drop(columns="rule")
        st.dataframe(rows, hide_index=True, alt="The last updates of this cell")


# after the run


def verdict(run: store.Run) -> None:
    """The referee's sentence and the returns beside it."""
    result = store.result(run.id)
    if result is None:
        return
    (st.success if result["beats"] else st.warning)(plain(result["sentence"]), icon=":material/gavel:")
    table = pd.DataFrame({result["names"][key]: found for key, found in result["scores"].items()}).T.rename(
        columns={"return": "return per episode"}
    )
    st.dataframe(table.map(lambda earned: float(f"{earned:.4g}")), alt="What the learned policy, two simple ones and the optimum earn")
    if len(result["every"]) > 1:
        st.caption("Every agent: " + ", ".join(f"{value:.4g}" for value in result["every"]))


def history(run: store.Run) -> None:
    """A scrubber through the whole learning."""
    if not store.checkpoint_step(run.id):
        st.caption("As soon as something is kept, the learning can be replayed here.")
        return
    found = cached_call(INTERPRET, "history", stamp=run_stamp(run), run_id=run.id)
    if found is None or len(found["step"]) < 2:
        st.caption("As soon as there are two snapshots, the learning can be replayed here.")
        return
    steps = found["step"].tolist()
    word = "Sweep" if run.config["method"] in PLANNERS else "Move"
    step = st.select_slider(word, steps, value=steps[-1], key=f"scrub_{run.id}", help="Drag through the whole learning.")
    n = steps.index(step)
    sample = {"q": found["q"][n], "greedy": found["greedy"][n]}
    world = world_of(map_of(run, latest(run.id)))
    states = states_shown(world, latest(run.id), f"scrub_held_{run.id[-12:]}")
    left, right = st.columns(2, gap="large")
    limit = board.usual_size(found["q"][-1][world.acting])
    with left:
        best = board.view(world, states=states, values=sample["q"].max(-1).astype(np.float64), greedy=sample["greedy"], limit=limit)
        board.board(best, key=f"history_{run.id}")
        st.caption(f"Values and policy after {word.lower()} {step:,}.")
    with right:
        board.board(board.view(world, states=states, moves=sample["q"], limit=limit), key=f"history_moves_{run.id}")
        changed = int((found["greedy"][n] != found["greedy"][max(0, n - 1)])[world.acting].sum())
        st.caption(f"Four values a cell. {changed} arrows turned since the snapshot before.")
