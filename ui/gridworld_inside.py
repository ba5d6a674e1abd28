"""Look inside a learner: its values beside the exact ones, the replay buffer and the lagging network, a table beside a network."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.gridworld.config import DEEP, PLANNERS
from core.gridworld.env import World, walk, world_of
from core.gridworld.maps import from_code
from core.runs import store
from ui import board, charts_gridworld, gridworld_views
from ui.live_plot import live_plot
from ui.session import cached_call, look, reader, run_stamp

SMALL = 6  # columns of a map whose numbers can be read in a third of the page


def inside(run: store.Run) -> None:
    """All blocks."""
    found = cached_call(gridworld_views.INTERPRET, "errors", stamp=run_stamp(run), run_id=run.id)
    if found is None:
        return
    world = world_of(from_code(found["map"]))
    states = gridworld_views.states_shown(world, gridworld_views.latest(run.id), f"inside_held_{run.id[-12:]}")
    st.subheader("Learned beside exact", anchor=False)
    limit = board.usual_size(found["optimal"][world.acting])
    small = world.map.width <= SMALL
    columns = st.columns(3, gap="medium")
    with columns[0]:
        board.board(board.view(world, states=states, moves=found["q"], limit=limit, numbers=small), key=f"learned_{run.id}")
        st.caption(
            "The learner's four values." if run.config["method"] not in DEEP[:3] else "One step of look-ahead from the critic's values."
        )
    with columns[1]:
        board.board(board.view(world, states=states, moves=found["optimal"], limit=limit, numbers=small), key=f"exact_{run.id}")
        st.caption(f"The exact optimum under the same discount ({run.config['gamma']:g}).")
    with columns[2]:
        off = found["q"].max(-1) - found["optimal"].max(-1)
        board.board(board.view(world, states=states, values=off.astype(np.float64), numbers=small), key=f"off_{run.id}_map")
        worst = int(np.abs(np.where(world.acting, off, 0)).argmax())
        st.caption(f"Learned minus exact value of each cell. Farthest off: {walk(world, [worst])[0]}, by {off[worst]:+.3g}.")
    if run.config["method"] == "DQN":
        _table_beside(run, found, world, states)
        _memory(run, world)
    st.subheader("Over time", anchor=False)
    curves = reader(run.id).read()
    left, right = st.columns(2, gap="large")
    with left:
        names = {"train/entropy": "policy entropy", "train/epsilon": "epsilon", "train/temperature": "temperature"}
        live_plot(charts_gridworld.lines_chart(curves, names, title="How undecided it is", revision=run.id), key=f"entropy_{run.id}")
    with right:
        if run.config["method"] in DEEP:
            names = {
                "train/loss": "loss",
                "train/value_loss": "critic's loss",
                "train/lag": "lag of the target network",
                "train/clipped": "clipped",
            }
            live_plot(charts_gridworld.lines_chart(curves, names, title="The network", revision=run.id), key=f"network_{run.id}")
        elif run.config["method"] not in PLANNERS:
            names = {"charts/regret": "regret"}
            live_plot(
                charts_gridworld.lines_chart(curves, names, title="Regret against the exact optimum", revision=run.id),
                key=f"own_regret_{run.id}",
            )


def _table_beside(run: store.Run, found: dict, world: World, states: np.ndarray) -> None:
    """DQN's values beside those of a table that raced it: what approximation costs, cell by cell."""
    tables = [mate for mate in run.mates if store.exists(mate) and look(mate).config["method"] not in DEEP and store.checkpoint_step(mate)]
    if not tables:
        st.caption("Race DQN against a tabular method on the same map, and its table appears here beside the network.")
        return
    mate = look(tables[0])
    other = cached_call(gridworld_views.INTERPRET, "errors", stamp=run_stamp(mate), run_id=mate.id)
    if other is None:
        return
    st.subheader(f"A network beside a table ({mate.config['method']})", anchor=False)
    columns = st.columns(3, gap="medium")
    limit = board.usual_size(found["optimal"][world.acting])
    for column, q, name in ((columns[0], found["q"], "DQN"), (columns[1], other["q"], str(mate.config["method"]))):
        with column:
            board.board(
                board.view(world, states=states, moves=q, limit=limit, numbers=world.map.width <= SMALL), key=f"beside_{name}_{run.id}"
            )
            error = np.abs(q.max(-1) - found["optimal"].max(-1))[world.acting].mean()
            st.caption(f"{name}: off by {error:.3g} on average.")
    with columns[2]:
        gap = (found["q"].max(-1) - other["q"].max(-1)).astype(np.float64)
        board.board(board.view(world, states=states, values=gap, numbers=world.map.width <= SMALL), key=f"gap_{run.id}")
        st.caption("Network minus table, cell by cell: what approximation adds.")


def _memory(run: store.Run, world: World) -> None:
    """The replay buffer, and the target network's lag."""
    sample = gridworld_views.latest(run.id)
    if "replay" not in sample:
        return
    st.subheader("Replay buffer and target network", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        names = walk(world, range(world.states))
        live_plot(
            charts_gridworld.replay_chart(sample["replay"], names, title="Moves in the buffer by state", revision=run.id),
            key=f"replay_{run.id}",
        )
    with right:
        lag = (sample["q"].max(-1) - sample["target_q"].max(-1)).astype(np.float64)
        board.board(board.view(world, values=lag), key=f"lag_{run.id}")
        st.caption("Network minus target network: what was learned since the last copy.")
