"""Look inside a learner: why an arrow points where it does, the update rule with its numbers, the history, the error of a network.

Functions that take a run id read the run's folder, so a page can call them by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.errors import UserError
from core.gridworld import exact
from core.gridworld.config import PLANNERS
from core.gridworld.env import walk
from core.gridworld.maps import ACTIONS
from core.gridworld.memory import AFTER, ENDED, KEEP, NEW, OLD, RATE, REWARD, STEP, TARGET, TOOK
from core.gridworld.predict import opened
from core.gridworld.rules import numbers


def why(run_id: str, state: int) -> dict[str, Any]:
    """The last updates that moved a state of the watched agent, newest first, and its four values.

    Raises `UserError` if there is no such state.
    """
    run = opened(run_id)
    agent, world = run.agents[0], run.world
    if not 0 <= state < world.states:
        raise UserError("There is no such cell on this map.")
    told = int(agent.log.told[state])
    lines = [agent.log.why[state, n % KEEP] for n in range(told - 1, max(-1, told - 1 - KEEP), -1)]
    updates = []
    for line in lines:
        found: dict[str, Any] = {"rule": numbers(run.config.method, line, run.config.gamma, ACTIONS[int(line[TOOK])])}
        if run.config.method in PLANNERS:
            found |= {"sweep": int(line[STEP]), "old value": float(line[OLD]), "new value": float(line[NEW])}
        else:
            led_to = "the end" if line[ENDED] else walk(world, [int(line[AFTER])])[0]
            found |= {"at move": int(line[STEP]), "move": ACTIONS[int(line[TOOK])], "reward": float(line[REWARD]), "led to": led_to}
            found |= {"old value": float(line[OLD]), "target": float(line[TARGET]), "new value": float(line[NEW])}
            found["step size"] = float(line[RATE])
        updates.append(found)
    return {
        "where": walk(world, [state])[0],
        "updates": updates,
        "told": told,
        "q": agent.q()[state],
        "optimal": exact.q_of(world, run.optimal, run.config.gamma)[state],
        "greedy": ACTIONS[int(agent.greedy()[state])],
        "chances": agent.behaviour()[state],
    }


def history(run_id: str) -> dict[str, np.ndarray]:
    """Snapshots of the whole learning: step (n,), q (n, S, 4) float32, greedy (n, S)."""
    steps, q, greedy = zip(*opened(run_id).history, strict=True)
    return {"step": np.array(steps), "q": np.stack(q), "greedy": np.stack(greedy)}


def errors(run_id: str) -> dict[str, Any]:
    """The learner's values beside the exact ones under the same discount: q, optimal (S, 4), and where they matter (S,) bool."""
    run = opened(run_id)
    optimal = exact.q_of(run.world, run.optimal, run.config.gamma)
    return {
        "q": run.agents[0].q().astype(np.float32),
        "optimal": optimal.astype(np.float32),
        "acting": run.world.acting,
        "greedy": run.agents[0].greedy(),
        "map": run.world.map.code(),
    }
