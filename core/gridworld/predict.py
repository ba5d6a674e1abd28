"""Use what was learned: the verdict against the exact optimum, episodes, the policy as a table.

Functions that take a run id read everything from the run's folder, so a page can call them by name.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from core.errors import UserError
from core.gridworld import draw, exact
from core.gridworld.config import GridworldConfig
from core.gridworld.env import Task, World, load, world_of
from core.gridworld.maps import ACTIONS, from_code
from core.gridworld.rules import short
from core.gridworld.session import SOLVED, Session
from core.progress import Checkpoint
from core.runs import checkpoints, store

CPU = torch.device("cpu")
NAMES = {"network": "learned policy", "random": "random policy", "shortest": "shortest path", "optimum": "exact optimum"}


def revived(config: GridworldConfig, task: Task, saved: Checkpoint) -> Session:
    """Agents, map and history of a checkpoint. Raises `UserError` if it does not fit."""
    session = Session(config, task, CPU)
    session.restore(saved)
    return session


opened = checkpoints.opener(GridworldConfig, load, revived, keep=3)


# the verdict


def verdict(config: GridworldConfig, data: Task, checkpoint: Checkpoint) -> dict[str, Any]:
    """The greedy policy of every agent, worked out exactly, beside the best possible and two policies that learned nothing.

    Returns JSON-ready facts: `names`, `scores[policy]["return"]`, `every` (of each agent), `solved_at` (step at which each agent
    first earned 95 % of what can be earned over the random policy, 0: never), `beats`, `sentence`.
    """
    return _judged(revived(config, data, checkpoint))


def _judged(run: Session) -> dict[str, Any]:
    world = run.world
    every = [exact.expected_return(world, np.eye(4)[agent.greedy()]) for agent in run.agents]
    scores = {
        "network": float(np.median(every)),
        "random": run.by_chance,
        "shortest": exact.expected_return(world, exact.shortest_path(world)),
        "optimum": run.possible,
    }
    found = {"names": NAMES, "scores": {name: {"return": value} for name, value in scores.items()}, "every": every}
    return found | {"solved_at": run.solved_at, "steps": run.step} | judgement(run.config, scores, every)


def evaluate(run_id: str) -> dict[str, Any]:
    """The verdict of a run, from its folder. The worker calls it when a training ends."""
    return _judged(opened(run_id))


def judgement(config: GridworldConfig, scores: dict[str, float], every: list[float]) -> dict[str, Any]:
    """One sentence with numbers."""
    mine, best = scores["network"], scores["optimum"]
    simple = max(scores["random"], scores["shortest"])
    numbers = f"The greedy policy earns {short(mine)} of {short(best)} possible"
    rivals = f"the random policy earns {short(scores['random'])}, the shortest path {short(scores['shortest'])}"
    beats = mine >= simple - 1e-9
    tail = "" if beats else " It does not beat a policy that learned nothing."
    agents = ""
    if len(every) > 1:
        enough = scores["random"] + SOLVED * (best - scores["random"])
        agents = f" (median of {len(every)} agents; {sum(value >= enough - 1e-9 for value in every)} of {len(every)} within 5 %)"
    if config.method in ("policy iteration", "value iteration") and mine < best - 1e-6:
        tail += f" It is the best for a discount of {config.gamma:g} without end; a policy that looks at the clock earns more in time."
    if config.method == "policy evaluation":
        tail = " Only the random policy was evaluated: the greedy one is what a first improvement would make of it."
    return {"beats": beats, "sentence": f"{numbers}{agents}; {rivals}.{tail}"}


# the answer key of a map, before any training


def answer_key(code: str, gamma: float) -> dict[str, Any]:
    """What is known of a map without learning: what can be earned, and by whom. Raises `UserError` if nothing can be learned.

    `why` says why values under this discount do not exist, "" where they do.
    """
    world = world_of(from_code(code))
    if problem := world.problem():
        raise UserError(problem)
    found: dict[str, Any] = {
        "optimum": exact.possible(world),
        "random": exact.expected_return(world, exact.random_policy(world)),
        "shortest": exact.expected_return(world, exact.shortest_path(world)),
        "why": "",
    }
    try:
        if gamma >= 1:
            exact.check_values_exist(world)
    except UserError as error:
        found["why"] = str(error)
    return found


def best_walk(code: str, gamma: float = 0.99) -> dict[str, Any]:
    """An episode of the best policy of a map under a discount: what an agent that learns well will do."""
    world = world_of(from_code(code))
    return walk(world, exact.q_of(world, exact.optimal_values(world, gamma), gamma).argmax(-1), 0)


# episodes


def walk(world: World, policy: np.ndarray, seed: int) -> dict[str, Any]:
    """One episode of a policy (S,): states, actions, rewards, and whether it came to an end before the horizon."""
    random = np.random.default_rng(seed)
    states, done = [int(random.choice(world.tables.starts))], False
    actions: list[int] = []
    rewards: list[float] = []
    while not done and len(actions) < world.tables.horizon:
        action = int(policy[states[-1]])
        after, reward, ended = world.draw(np.array(states[-1:]), np.array([action]), random)
        states.append(int(after[0]))
        actions.append(action)
        rewards.append(float(reward[0]))
        done = bool(ended[0])
    return {"states": states, "actions": actions, "rewards": rewards, "done": done, "return": float(sum(rewards))}


def episode(run_id: str, seed: int) -> dict[str, Any]:
    """An episode of the watched agent's greedy policy."""
    run = opened(run_id)
    return walk(run.world, run.agents[0].greedy(), seed)


def gif(run_id: str, seed: int) -> bytes:
    """The same episode as an animated GIF."""
    run = opened(run_id)
    return draw.animation(run.world, walk(run.world, run.agents[0].greedy(), seed)["states"])


def policy(run_id: str) -> dict[str, Any]:
    """The greedy policy with its map and what it earns: JSON-ready."""
    run = opened(run_id)
    return {
        "name": store.name(store.read(run_id)),
        "map": json.loads(run.world.map.json_text()),
        "actions": list(ACTIONS),
        "method": run.config.method,
        "steps": run.step,
        "return": exact.expected_return(run.world, np.eye(4)[run.agents[0].greedy()]),
        "possible": run.possible,
        "policy": policy_rows(run_id),
    }


def policy_rows(run_id: str) -> list[dict[str, Any]]:
    """The greedy policy, a row a state that can be met: row and column (from 1), what is carried, the move, four values."""
    run = opened(run_id)
    q, greedy, world = run.agents[0].q(), run.agents[0].greedy(), run.world
    rows = []
    for state in np.flatnonzero(world.acting):
        row, column = world.place(int(state))
        values = {f"q_{name}": float(value) for name, value in zip(ACTIONS, q[state], strict=True)}
        facts = {"row": row + 1, "column": column + 1, "carried": world.carried(int(state)), "move": ACTIONS[greedy[state]]}
        rows.append({"state": int(state), **facts, **values})
    return rows
