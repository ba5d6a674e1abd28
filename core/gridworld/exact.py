"""The answer key: exact values and policies of a map, by dynamic programming on its transition tables.

Two questions, two answers. *What can be earned?* The rewards of an episode, undiscounted, within the map's horizon: solved
backwards from the last move, so the best policy may look at the clock. *What should a learner find?* The discounted values
that every method here estimates: value iteration (Bellman 1957; Sutton and Barto, 2nd ed., 4.4).
"""

from __future__ import annotations

import numpy as np

from core.errors import UserError
from core.gridworld.compiled import lean
from core.gridworld.env import Tables, World

SMALL = 1e-10  # a sweep that changes no value by more has settled
MOST_SWEEPS = 200_000
NO_VALUES = (
    "With a discount (gamma) of 1 the values of this map do not exist: {why}. Choose a gamma below 1, or change the map so that every "
    "way to earn comes to an end."
)


@lean
def looked_ahead(world: Tables, values: np.ndarray, gamma: float, state: int, action: int) -> float:
    """Expected reward of a move plus gamma times the value of where it leads: one step of look-ahead."""
    total = 0.0
    for k in range(world.chance.shape[2]):
        after = 0.0 if world.done[state, action, k] else values[world.next[state, action, k]]
        total += world.chance[state, action, k] * (world.reward[state, action, k] + gamma * after)
    return total


@lean
def best_ahead(world: Tables, values: np.ndarray, gamma: float, state: int) -> float:
    """The value of the best move."""
    best = -np.inf
    for action in range(4):
        best = max(best, looked_ahead(world, values, gamma, state, action))
    return best


@lean
def mean_ahead(world: Tables, values: np.ndarray, gamma: float, state: int, policy: np.ndarray) -> float:
    """The value of a state under a policy (S, 4)."""
    value = 0.0
    for action in range(4):
        if policy[state, action] > 0:
            value += policy[state, action] * looked_ahead(world, values, gamma, state, action)
    return value


@lean
def backwards(world: Tables, acting: np.ndarray, policy: np.ndarray, best: bool, values: np.ndarray, before: np.ndarray) -> None:
    """Fill `values` with what is earned in `horizon` moves, from the last to the first: by the best moves, or by a policy.

    Backward induction. `before` is as large as `values`; both begin as zeros. It stops once one move more changes nothing.
    """
    for _ in range(world.horizon):
        change = 0.0
        for state in range(len(acting)):
            before[state] = values[state]
        for state in range(len(acting)):
            if acting[state]:
                if best:
                    values[state] = best_ahead(world, before, 1.0, state)
                else:
                    values[state] = mean_ahead(world, before, 1.0, state, policy)
                change = max(change, abs(values[state] - before[state]))
        if change < 1e-14:
            break


@lean
def iterate_values(world: Tables, acting: np.ndarray, gamma: float, small: float, most: int, values: np.ndarray) -> float:
    """Value iteration in place, until a sweep changes no value by more than `small`; returns the last change."""
    change = 0.0
    for _ in range(most):
        change = 0.0
        for state in range(len(acting)):
            if acting[state]:
                best = best_ahead(world, values, gamma, state)
                change = max(change, abs(best - values[state]))
                values[state] = best
        if change <= small:
            break
    return change


def _earned(world: World, policy: np.ndarray, best: bool) -> float:
    values = np.zeros(world.states)
    backwards(world.tables, world.acting, policy, best, values, np.zeros(world.states))
    return float(values[world.tables.starts].mean())


def possible(world: World) -> float:
    """The most that any policy can earn on average in one episode: the exact optimum within the horizon."""
    return _earned(world, np.zeros((world.states, 4)), True)


def expected_return(world: World, policy: np.ndarray) -> float:
    """What a policy earns on average in one episode, exactly. policy: (S, 4) probabilities."""
    return _earned(world, policy, False)


def q_of(world: World, values: np.ndarray, gamma: float) -> np.ndarray:
    """The value of each move, from the values of states.  # (S,) -> (S, 4)"""
    table = world.tables
    after = np.where(table.done, 0.0, values[table.next])
    q = (table.chance * (table.reward + gamma * after)).sum(-1)
    q[~world.acting] = 0.0
    return q


def optimal_values(world: World, gamma: float) -> np.ndarray:
    """V* under a discount.  # (S,) Raises `UserError` where the values do not exist."""
    if gamma >= 1:
        check_values_exist(world)
    values = np.zeros(world.states)
    iterate_values(world.tables, world.acting, gamma, SMALL, MOST_SWEEPS, values)
    return values


def check_values_exist(world: World) -> None:
    """With a gamma of 1, rewards are added up for ever. Raises `UserError` if they add up to no number."""
    ends = (world.tables.done & (world.tables.chance > 0)).any(-1) & world.acting[:, None]
    if not ends.any():
        raise UserError(NO_VALUES.format(why="no move ends an episode"))
    least = 50 * world.states + 1000  # sweeps in which every path without a loop is long over
    values = np.zeros(world.states)
    first = iterate_values(world.tables, world.acting, 1.0, SMALL, least, values)
    second = iterate_values(world.tables, world.acting, 1.0, SMALL, least, values) if first > SMALL else 0.0
    if second > first / 2:  # what settles slowly settles geometrically; what has no end grows by the same amount
        raise UserError(NO_VALUES.format(why="an agent could go round in circles and the rewards would add up without end"))


def greedy(q: np.ndarray) -> np.ndarray:
    """The policy that takes the best move, the first of equals.  # (S, 4) -> (S, 4)"""
    return np.eye(4)[q.argmax(-1)]


def random_policy(world: World) -> np.ndarray:
    """Each move equally likely.  # (S, 4)"""
    return np.full((world.states, 4), 0.25)


def shortest_path(world: World) -> np.ndarray:
    """The policy that walks the shortest way to a goal as if no move ever slipped: what a navigator knows without learning.

    Breadth-first search backwards from the goals, past pits, over the way that each move is meant to go. Deaf to rewards.
    """
    meant = world.tables.chance.argmax(-1)  # (S, 4) the likeliest outcome of each move ...
    if world.tables.chance.shape[2] == 3:
        meant = np.where(world.tables.chance[..., 1] > 0, 1, meant)  # ... on ice the way meant, in the middle, where it can happen
    after = np.take_along_axis(world.tables.next, meant[..., None], 2)[..., 0]
    far = np.where(world.goal, 0, np.iinfo(np.int64).max)
    while True:
        steps = np.where(far[after] < np.iinfo(np.int64).max, far[after] + 1, far[after])
        nearer = np.where(world.terminal, far, np.minimum(far, steps.min(-1)))
        if (nearer == far).all():
            return np.eye(4)[steps.argmin(-1)]
        far = nearer
