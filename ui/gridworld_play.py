"""Use what was learned, and play yourself: episodes of the agent, the visitor's own, and what could be learned from them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.gridworld.env import World, walk, world_of
from core.gridworld.maps import ACTIONS, GridMap
from core.gridworld.play import Game, learned
from core.runs import store
from ui import board, explain, gridworld_views
from ui.gridworld_data import DEMO
from ui.session import cached_call, call, run_stamp

PACES = {"Slow": 500, "Fast": 150, "Instant": 15}


def use(run: store.Run) -> None:
    """An episode of the greedy policy, and the policy to take away."""
    seed = st.number_input("Episode", 0, 10**6, 0, key=f"episode_{run.id[-12:]}", help="Another number, another luck on ice.")
    pace = st.segmented_control("Pace", list(PACES), default="Fast", required=True, key=f"pace_{run.id[-12:]}")
    found = cached_call(gridworld_views.PREDICT, "episode", stamp=run_stamp(run), run_id=run.id, seed=int(seed))
    if found is None:
        return
    world = world_of(gridworld_views.map_of(run, gridworld_views.latest(run.id)))
    sample = gridworld_views.latest(run.id)
    left, right = st.columns([3, 2], gap="large")
    states = found["states"]
    with left:
        passed = board.states_of(world, None, np.bincount(states, minlength=world.states))
        shown = board.view(world, greedy=sample["greedy"], states=passed) if sample else board.view(world)
        cells = [state % world.cells for state in states]
        board.board(shown, key=f"walk_{run.id}", path=cells, walk=f"{seed}-{pace}-{run_stamp(run)}", pace=PACES[str(pace)], trail=cells)
    with right:
        best = store.result(run.id)
        st.metric("This episode earns", f"{found['return']:.4g}", help="One episode, with its luck; the verdict above is the exact mean.")
        st.caption(
            f"{len(found['actions'])} moves; "
            + ("it came to an end." if found["done"] else "it was cut off at the horizon.")
            + (f" On average {best['scores']['network']['return']:.4g}." if best else "")
        )
        rows = [
            {"from": here, "move": ACTIONS[action], "reward": reward}
            for here, action, reward in zip(walk(world, states), found["actions"], found["rewards"], strict=False)
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=220, alt="The moves of this episode")
    _take_away(run, int(seed))


def _take_away(run: store.Run, seed: int) -> None:
    """Policy as CSV, episode as GIF."""
    key = f"away_{run.id[-12:]}"
    with st.container(horizontal=True):
        if st.button("Prepare policy and animation", icon=":material/inventory_2:", key=key):
            st.session_state[f"{key}_ready"] = f"{run_stamp(run)}-{seed}"
        if st.session_state.get(f"{key}_ready") != f"{run_stamp(run)}-{seed}":
            return
        found = call(gridworld_views.PREDICT, "policy", run_id=run.id)
        film = call(gridworld_views.PREDICT, "gif", run_id=run.id, seed=seed)
        if found:
            frame = pd.DataFrame(found["policy"])
            st.download_button(
                "Policy, CSV", explain.safe_csv(frame), "policy.csv", "text/csv", on_click="ignore", icon=":material/download:"
            )
            text = json.dumps(found, indent=1)
            st.download_button("Policy, JSON", text, "policy.json", "application/json", on_click="ignore", icon=":material/download:")
        if film:
            st.download_button("Animation, GIF", film, "episode.gif", "image/gif", on_click="ignore", icon=":material/download:")
    if film:
        st.image(film, caption="The episode as an animation", width=320)


def _game(grid: GridMap) -> Game:
    """The visitor's game on a map, from the moves that the session holds."""
    world, kept = world_of(grid), st.session_state.get("gridworld_game")
    if not kept or kept["map"] != grid.code():
        return Game(world)
    moves = [(int(s), int(a), float(r), int(after), bool(done)) for s, a, r, after, done in kept["moves"]]
    return Game(world, moves=moves, returns=list(kept["returns"]), begun=kept["begun"])


def _keep(grid: GridMap, game: Game) -> None:
    st.session_state["gridworld_game"] = {
        "map": grid.code(),
        "moves": [list(move) for move in game.moves],
        "returns": game.returns,
        "begun": game.begun,
    }


def play(run: store.Run) -> None:
    """Play the run's map by the arrow keys; watch values being learned from the play; lend the moves to DQN."""
    grid = gridworld_views.map_of(run, gridworld_views.latest(run.id))
    game = _game(grid)
    world = game.world

    def did(event: dict[str, Any]) -> None:
        if event.get("kind") == "move" and int(event["action"]) in range(4):
            now = _game(grid)
            if now.over:
                now.again()
            else:
                now.step(int(event["action"]))
            _keep(grid, now)

    def again(forget: bool = False) -> None:
        now = Game(world) if forget else _game(grid)
        now.again()
        _keep(grid, now)

    q, words = learned(game, float(run.config["gamma"]))
    st.caption("Click the map, then walk with the arrow keys; or click beside the agent. Every move teaches the table on the right.")
    left, right = st.columns(2, gap="large")
    with left:
        trail = [state % world.cells for state in game.trail]
        board.board(board.view(world), key=f"play_{run.id}", mode="play", did=did, agent=trail[-1], trail=trail)
        with st.container(horizontal=True):
            for action in (0, 3, 1, 2):
                st.button(
                    ("←", "↓", "→", "↑")[action],
                    key=f"go_{action}_{run.id[-12:]}",
                    on_click=did,
                    args=({"kind": "move", "action": action},),
                    help=ACTIONS[action],
                )
            st.button("New episode", icon=":material/replay:", key=f"new_game_{run.id[-12:]}", on_click=again)
            st.button(
                "Forget all", icon=":material/delete:", key=f"forget_{run.id[-12:]}", on_click=again, args=(True,), disabled=not game.moves
            )
    with right:
        made = np.bincount([move[0] for move in game.moves], minlength=world.states)
        board.board(board.view(world, states=board.states_of(world, None, made), moves=q), key=f"own_q_{run.id}")
        st.caption("Your own Q values: what Q-learning makes of your moves.")
    if words:
        st.latex(words)
    _score(run, grid, game, world)


def _score(run: store.Run, grid: GridMap, game: Game, world: World) -> None:
    """Yours against the agent's and the best possible."""
    best, result = gridworld_views.possible(grid), store.result(run.id)
    with st.grid(4, min_column_width=120):
        st.metric("This episode", f"{game.earned:.4g}", help=f"{len(game.trail) - 1} moves of at most {world.tables.horizon}.")
        st.metric("Your mean", f"{np.mean(game.returns):.4g}" if game.returns else "–", help=f"Of {len(game.returns)} episodes.")
        st.metric("The agent's", f"{result['scores']['network']['return']:.4g}" if result else "–", help="Its exact mean.")
        st.metric("Possible", f"{best:.4g}" if best is not None else "–")
    if game.over:
        mine = game.earned
        enough = best is not None and mine >= best - 1e-9
        (st.success if enough else st.info)(
            "No policy earns more on average." if enough else "The episode is over. An arrow key begins the next.", icon=":material/flag:"
        )
    lent = st.session_state.get(DEMO)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Lend these moves to DQN",
            icon=":material/school:",
            key=f"lend_{run.id[-12:]}",
            disabled=not game.moves,
            help="The next DQN that you train on this map begins with your moves in its replay buffer.",
            on_click=lambda: st.session_state.update({DEMO: {"map": grid.code(), "moves": game.demo().tolist()}}),
        )
        if lent and lent["map"] == grid.code():
            st.caption(f":material/check: {len(lent['moves'])} moves are lent: choose this map above, the method DQN, and Train.")
