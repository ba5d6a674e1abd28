"""What learns: planners and tables here, under the contract that the networks in `methods/` keep too. Needs no torch.

learn(budget) -> moves made (or sweeps)       q() -> (S, 4) values of the moves
greedy() -> (S,) the move that is best        arrays() / restore(arrays): all that it takes to go on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from core.errors import Diverged
from core.gridworld import exact, memory, saving
from core.gridworld.config import GridworldConfig
from core.gridworld.env import World
from core.gridworld.memory import Knobs, Log, Memory
from core.gridworld.methods import dyna, dynamic_programming, monte_carlo, q_learning, sarsa, traces
from core.gridworld.saving import Arrays

NEARLY = 0.999  # a discount that tells sooner from later
SETTLED = 1e-9  # a sweep that changes no value by more is the last
Kernel = Callable[[Any, Memory, Knobs, np.random.Generator, Log, int], int]

KERNELS: dict[str, Kernel] = {
    "Monte Carlo": monte_carlo.monte_carlo,
    "SARSA": sarsa.sarsa,
    "expected SARSA": sarsa.expected_sarsa,
    "Q-learning": q_learning.q_learning,
    "double Q-learning": q_learning.double_q_learning,
    "n-step SARSA": traces.n_step_sarsa,
    "SARSA(lambda)": traces.sarsa_lambda,
    "Dyna-Q": dyna.dyna_q,
    "prioritised sweeping": dyna.prioritised_sweeping,
}


class Learner(Protocol):
    """What a run trains, be it a planner, a table or a network."""

    world: World
    log: Log
    done: bool  # nothing is left to learn

    def learn(self, budget: int) -> int:
        """Make up to `budget` moves (sweeps) and learn from them; returns how many."""

    def q(self) -> np.ndarray:
        """The value of each move.  # (S, 4)"""

    def greedy(self) -> np.ndarray:
        """The move taken when nothing is tried out any more.  # (S,)"""

    def behaviour(self) -> np.ndarray:
        """The chances of the moves while it learns.  # (S, 4)"""

    def facts(self) -> dict[str, float]:
        """Metrics of its own."""

    def pictures(self) -> Arrays:
        """Arrays of its own that the page draws."""

    def change(self, config: GridworldConfig, world: World) -> None:
        """Live settings, or the map, have changed."""

    def arrays(self) -> Arrays:
        """Everything, to go on later."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave. Raises `KeyError` or `ValueError` if it does not fit."""


def bound(world: World, config: GridworldConfig) -> float:
    """No value can be larger: the largest reward on every move for ever (without a discount, on every state or move of an episode),
    or the first guess. What is far beyond it has diverged."""
    most = float(np.abs(world.tables.reward).max())
    far = 1 / (1 - config.gamma) if config.gamma < 1 else float(max(world.tables.horizon, world.states))
    return max(1.0, most * far, abs(config.initial_q))


def check_sane(q: np.ndarray, most: float) -> None:
    """Raises `Diverged` if values are no numbers, or ten times larger than `most`, what anything can be worth."""
    found = float(np.abs(q).max())
    if not np.isfinite(found) or found > 10 * most:
        told = f"{found:.3g}" if np.isfinite(found) else "no number"
        raise Diverged(
            f"A value became {told}, and nothing on this map is worth more than {most:.3g}: the learner has diverged and was stopped. "
            "What it had learned before is kept. A smaller learning rate helps; for DQN, a target network that is copied less often."
        )


class Planner:
    """Dynamic programming: the map is known. A step is a sweep over all states."""

    def __init__(self, config: GridworldConfig, world: World) -> None:
        self.config, self.world, self.done = config, world, False
        self.values = np.zeros(world.states)
        self.policy = exact.random_policy(world) if config.method == "policy evaluation" else exact.greedy(np.zeros((world.states, 4)))
        self.log, self.biggest = memory.fresh_log(world.states), 0.0
        self.swept = self.sweeps = 0  # in all, and since the policy was last improved

    def learn(self, budget: int) -> int:
        """One sweep, whatever the budget: there is something to see after each."""
        world, acting, gamma = self.world.tables, self.world.acting, self.config.gamma
        before = self.values.copy()
        if self.config.method == "value iteration":
            self.biggest = dynamic_programming.value_sweep(world, acting, self.values, gamma)
            self.done = self.biggest <= SETTLED
        else:
            self.biggest = dynamic_programming.evaluation_sweep(world, acting, self.policy, self.values, gamma)
            self.sweeps += 1
            settled = self.biggest <= SETTLED
            if self.config.method == "policy evaluation":
                self.done = settled
            elif settled or self.sweeps >= self.config.evaluation_sweeps:
                better = dynamic_programming.improved(world, acting, self.policy, self.values, gamma)
                self.done, self.sweeps = settled and not better, 0
        self.note(before)
        return 1

    def note(self, before: np.ndarray) -> None:
        """Write down each state's change, as the methods that learn from moves do: what its best move is, its old and new value."""
        self.log.error[:] = np.abs(self.values - before)
        self.swept += 1
        for state in np.flatnonzero(self.log.error):
            line = self.log.why[state, self.log.told[state] % memory.KEEP]
            line[:] = self.swept, state, 0, 0, state, before[state], self.values[state], self.values[state], 1, False
            self.log.told[state] += 1
        most = int(self.log.error.argmax())
        self.log.last[:] = self.swept, most, 0, 0, most, before[most], self.values[most], self.values[most], 1, False

    def q(self) -> np.ndarray:
        """One step of look-ahead from the values.  # (S, 4)"""
        return exact.q_of(self.world, self.values, self.config.gamma)

    def greedy(self) -> np.ndarray:
        """The policy that is being improved; for value iteration and evaluation, the one greedy on the values.  # (S,)"""
        if self.config.method == "policy iteration":
            return self.policy.argmax(-1)
        table = self.q().round(9)
        if self.config.gamma == 1:  # where waiting costs nothing, of equal moves the one that does not put the reward off
            table += 1e-6 * exact.q_of(self.world, exact.optimal_values(self.world, NEARLY), NEARLY)
        return table.argmax(-1)

    def behaviour(self) -> np.ndarray:
        """The policy that is evaluated.  # (S, 4)"""
        return exact.greedy(self.q()) if self.config.method == "value iteration" else self.policy

    def facts(self) -> dict[str, float]:
        """The largest change of the sweep."""
        return {"train/td_error": self.biggest}

    def pictures(self) -> Arrays:
        """None of its own."""
        return {}

    def change(self, config: GridworldConfig, world: World) -> None:
        """Another map: the values stay and are mended sweep by sweep."""
        self.config, self.world, self.done = config, world, False
        self.values[~world.acting] = 0.0

    def arrays(self) -> Arrays:
        """Values, policy, sweeps in all and since the last improvement."""
        counted = np.array([self.swept, self.sweeps])
        return {"values": self.values, "policy": self.policy, "sweeps": counted, **saving.why_arrays(self.log)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.values[:], self.policy[:] = arrays["values"], arrays["policy"]
        self.swept, self.sweeps = arrays["sweeps"].tolist()
        saving.restore_why(self.log, arrays)
        saving.check_indices(saving.why_arrays(self.log), self.world.states, self.world.tables.horizon)


def knobs(config: GridworldConfig) -> Knobs:
    """The settings as numbers for compiled code."""
    return Knobs(
        config.gamma,
        config.alpha,
        min(config.alpha, config.alpha_end),  # a schedule falls or stays
        float(config.steps),
        config.epsilon,
        min(config.epsilon, config.epsilon_end),
        config.temperature,
        min(config.temperature, config.temperature_end),
        config.epsilon_share * config.steps,
        config.behaviour == "softmax",
        config.sample_average,
        config.bonus,
        2.0 if config.method == "double Q-learning" else 1.0,
        config.n,
        config.trace,
        config.planning,
        config.pace == "episodes",
    )


class Table:
    """A table of values, learned from moves by one of the compiled methods."""

    def __init__(self, config: GridworldConfig, world: World, seed: int) -> None:
        self.config, self.world, self.done = config, world, False
        self.random = np.random.Generator(np.random.PCG64(seed))
        outcomes = world.tables.chance.shape[2]
        self.memory = memory.fresh_memory(world.states, outcomes, world.tables.horizon, config.initial_q, world.acting)
        if config.method == "double Q-learning":
            self.memory.q2[:] = self.memory.q
        self.log, self.knobs, self.most = memory.fresh_log(world.states), knobs(config), bound(world, config)

    def learn(self, budget: int) -> int:
        """Make up to `budget` moves; fewer if the pace is an episode and one ends."""
        made = KERNELS[self.config.method](self.world.tables, self.memory, self.knobs, self.random, self.log, budget)
        check_sane(self.memory.q, self.most)
        check_sane(self.memory.q2, self.most)
        return made

    def q(self) -> np.ndarray:
        """The table; for Double Q-learning the mean of both.  # (S, 4)"""
        return (self.memory.q + self.memory.q2) / self.knobs.tables

    def greedy(self) -> np.ndarray:
        """The best move, the first of equals.  # (S,)"""
        return self.q().argmax(-1)

    def behaviour(self) -> np.ndarray:
        """Epsilon-greedy or softmax, as it stands now.  # (S, 4)"""
        return behaviour_of(self.memory, self.knobs)

    def facts(self) -> dict[str, float]:
        """The mean surprise of an update, and the schedules as they stand."""
        return {"train/td_error": surprise(self.log)} | schedules(self.knobs, int(self.memory.now[memory.STEPS]))

    def pictures(self) -> Arrays:
        """None of its own."""
        return {}

    def change(self, config: GridworldConfig, world: World) -> None:
        """New live settings; a new map leaves the table as it is: what is no longer true must be unlearned."""
        if world is not self.world:
            fit_to(self.memory, world)
        self.config, self.world, self.knobs, self.most = config, world, knobs(config), max(self.most, bound(world, config))

    def arrays(self) -> Arrays:
        """All of the memory, and the luck."""
        return {**self.memory._asdict(), **saving.why_arrays(self.log), "random": saving.random_state(self.random)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        for name, target in self.memory._asdict().items():
            target[...] = arrays[name]
        saving.restore_why(self.log, arrays)
        saving.check_indices(self.memory._asdict() | saving.why_arrays(self.log), self.world.states, self.world.tables.horizon)
        saving.set_random_state(self.random, arrays["random"])


def behaviour_of(agent: Memory, now: Knobs) -> np.ndarray:
    """The chances of every move in every state.  # (S, 4)"""
    found = np.empty_like(agent.q)
    for state in range(len(found)):
        memory.weigh(agent, now, state)
        found[state] = agent.chance
    return found


def fit_to(agent: Memory, world: World) -> None:
    """Another map: nothing is worth anything where an episode ends now, and whoever stands in a wall begins anew."""
    agent.q[world.terminal] = agent.q2[world.terminal] = 0.0
    if not world.acting[agent.now[memory.STATE]]:
        agent.now[memory.FRESH] = 1
        agent.trace.fill(0)
        agent.first.fill(memory.NONE)


def surprise(log: Log) -> float:
    """The mean |TD error| of the updates of a chunk."""
    return float(log.surprise[0] / max(1, log.tally[1]))


def schedules(now: Knobs, step: int) -> dict[str, float]:
    """Epsilon, or the temperature, at a step."""
    if now.softmax:
        found = {"train/temperature": memory.falling(now.temperature, now.temperature_end, now.explore, step)}
    else:
        found = {"train/epsilon": memory.falling(now.epsilon, now.epsilon_end, now.explore, step)}
    return {name: float(value) for name, value in found.items()}
