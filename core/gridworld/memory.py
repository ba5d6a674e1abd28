"""What a learning agent carries, as plain arrays, and the few moves that all methods share. Compiled by numba.

The methods in `methods/` are written with these, one file a family, and read like the textbook. S states, A = 4 actions,
K outcomes of a move.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables

# places in `Memory.now`
STATE, ACTION, MOVES, STEPS, EPISODES, FRESH, KNOWN = range(7)
NONE = -1  # no action chosen ahead
TRAIL = 400  # states of the way that are drawn
KEEP = 8  # last updates of each state that are remembered
EPISODE_LOG = 4096  # ended episodes of one chunk
STEP, WHICH, TOOK, REWARD, AFTER, OLD, TARGET, NEW, RATE, ENDED = range(10)  # columns of an update written down


class Memory(NamedTuple):
    """One agent's tables and where it stands."""

    q: np.ndarray  # (S, A) what each move is thought to be worth
    q2: np.ndarray  # (S, A) the second opinion of Double Q-learning; zero for others
    visits: np.ndarray  # (S, A) int64: times tried (Monte Carlo: first visits)
    trace: np.ndarray  # (S, A) eligibility
    now: np.ndarray  # (7,) int64: STATE, ACTION, MOVES in this episode, STEPS in all, EPISODES, FRESH, KNOWN pairs
    earned: np.ndarray  # (1,) return of this episode so far
    chance: np.ndarray  # (A,) scratch: the chances of the moves
    path_state: np.ndarray  # (horizon + 1,) int32: this episode
    path_action: np.ndarray  # (horizon + 1,) int32
    path_reward: np.ndarray  # (horizon + 1,)
    first: np.ndarray  # (S, A) int32: when a pair was first met in this episode
    model_count: np.ndarray  # (S, A, K) int64: the learned model: how often each outcome was seen,
    model_next: np.ndarray  # (S, A, K) int32
    model_reward: np.ndarray  # (S, A, K)
    model_done: np.ndarray  # (S, A, K) bool
    known: np.ndarray  # (S * A,) int32: pairs that were tried, in order
    priority: np.ndarray  # (S, A): how urgently a pair wants to be swept


class Knobs(NamedTuple):
    """The settings of a run as numbers. Each schedule goes from the first to the second in a straight line over its span."""

    gamma: float
    alpha: float
    alpha_end: float
    span: float  # steps over which alpha falls
    epsilon: float
    epsilon_end: float
    temperature: float
    temperature_end: float
    explore: float  # steps over which epsilon and the temperature fall
    softmax: bool
    average: bool
    bonus: float
    tables: float  # 2 for Double Q-learning, which adds two tables up, else 1
    n: int
    trace: float
    planning: int
    one_episode: bool  # stop when an episode ends


class Log(NamedTuple):
    """What happened in a chunk, and what the pictures need."""

    returns: np.ndarray  # (EPISODE_LOG,) of the episodes that ended
    lengths: np.ndarray  # (EPISODE_LOG,)
    tally: np.ndarray  # (3,) int64: episodes that ended, updates made, length of the trail
    surprise: np.ndarray  # (1,) sum of |TD error| in this chunk
    error: np.ndarray  # (S,) running average of |TD error| by state
    last: np.ndarray  # (10,) the last update: STEP, WHICH, TOOK, ...
    why: np.ndarray  # (S, KEEP, 10) the last updates of each state, a ring
    told: np.ndarray  # (S,) int64: updates of each state so far
    trail: np.ndarray  # (TRAIL,) int32: the states of this episode's way


def fresh_memory(states: int, outcomes: int, horizon: int, initial: float, acting: np.ndarray) -> Memory:
    """An agent that knows nothing. acting: (S,) bool; elsewhere every value is and stays 0."""
    q = np.where(acting[:, None], initial, 0.0) * np.ones((1, 4))
    pairs, kinds = (states, 4), (states, 4, outcomes)
    now = np.zeros(7, np.int64)
    now[FRESH], now[ACTION] = 1, NONE
    return Memory(
        q,
        np.zeros(pairs),
        np.zeros(pairs, np.int64),
        np.zeros(pairs),
        now,
        np.zeros(1),
        np.zeros(4),
        np.zeros(horizon + 1, np.int32),
        np.zeros(horizon + 1, np.int32),
        np.zeros(horizon + 1),
        np.full(pairs, NONE, np.int32),
        np.zeros(kinds, np.int64),
        np.zeros(kinds, np.int32),
        np.zeros(kinds),
        np.zeros(kinds, bool),
        np.zeros(states * 4, np.int32),
        np.zeros(pairs),
    )


def fresh_log(states: int) -> Log:
    """Empty pages."""
    return Log(
        np.zeros(EPISODE_LOG),
        np.zeros(EPISODE_LOG),
        np.zeros(3, np.int64),
        np.zeros(1),
        np.zeros(states),
        np.full(10, np.nan),
        np.full((states, KEEP, 10), np.nan),
        np.zeros(states, np.int64),
        np.zeros(TRAIL, np.int32),
    )


@lean
def falling(start: float, end: float, span: float, step: int) -> float:
    """A schedule: from `start` to `end` over `span` steps, then flat."""
    return start + (end - start) * min(1.0, step / span)


@lean
def begin(world: Tables, memory: Memory, log: Log, random: np.random.Generator) -> None:
    """Put the agent on a start if its last episode has ended."""
    now = memory.now
    if now[FRESH]:
        now[STATE] = world.starts[int(random.random() * len(world.starts))]
        now[ACTION], now[MOVES], now[FRESH], memory.earned[0] = NONE, 0, 0, 0.0
        log.trail[0], log.tally[2] = now[STATE], 1


@lean
def weigh(memory: Memory, knobs: Knobs, state: int) -> None:
    """Fill `memory.chance`: how likely each move is under the agent's behaviour, epsilon-greedy or softmax over values and bonuses."""
    chance, q, q2, visits = memory.chance, memory.q, memory.q2, memory.visits
    for action in range(4):
        chance[action] = (q[state, action] + q2[state, action]) / knobs.tables + knobs.bonus / np.sqrt(visits[state, action] + 1.0)
    best = max(max(chance[0], chance[1]), max(chance[2], chance[3]))
    step = memory.now[STEPS]
    if knobs.softmax:
        heat = falling(knobs.temperature, knobs.temperature_end, knobs.explore, step)
        total = 0.0
        for action in range(4):
            chance[action] = np.exp((chance[action] - best) / heat)
            total += chance[action]
        for action in range(4):
            chance[action] /= total
        return
    epsilon = falling(knobs.epsilon, knobs.epsilon_end, knobs.explore, step)
    equals = 0
    for action in range(4):
        equals += chance[action] == best
    for action in range(4):
        chance[action] = epsilon / 4 + ((1 - epsilon) / equals if chance[action] == best else 0.0)


@lean
def drawn(chance: np.ndarray, random: np.random.Generator) -> int:
    """An action drawn with these chances."""
    rest = random.random()
    for action in range(3):
        rest -= chance[action]
        if rest < 0:
            return action
    return 3


@lean
def highest(q: np.ndarray, state: int) -> float:
    """The largest value of a state's moves."""
    return max(max(q[state, 0], q[state, 1]), max(q[state, 2], q[state, 3]))


@lean
def choose(memory: Memory, knobs: Knobs, state: int, random: np.random.Generator) -> int:
    """The agent's move in a state."""
    weigh(memory, knobs, state)
    return drawn(memory.chance, random)


@lean
def move(world: Tables, state: int, action: int, random: np.random.Generator) -> int:
    """Which outcome k a move has: look it up in `world.next[state, action, k]` and the like."""
    draw, k = random.random(), 0
    while draw >= world.bound[state, action, k]:
        k += 1
    return k


@lean
def rate(memory: Memory, knobs: Knobs, state: int, action: int) -> float:
    """The learning rate of this update."""
    if knobs.average:
        return 1.0 / max(1, memory.visits[state, action])
    return falling(knobs.alpha, knobs.alpha_end, knobs.span, memory.now[STEPS])


@lean
def note(
    memory: Memory, log: Log, state: int, action: int, reward: float, after: int, done: bool, old: float, target: float, alpha: float
) -> None:
    """Write an update down: for "why this arrow?" and for the numbers in the rule."""
    surprise = abs(target - old)
    log.tally[1] += 1
    log.surprise[0] += surprise
    log.error[state] += 0.1 * (surprise - log.error[state])
    line = log.why[state, log.told[state] % KEEP]
    log.told[state] += 1
    line[STEP], line[WHICH], line[TOOK], line[REWARD], line[AFTER] = memory.now[STEPS], state, action, reward, after
    line[OLD], line[TARGET], line[NEW], line[RATE], line[ENDED] = old, target, old + alpha * (target - old), alpha, done
    for column in range(len(line)):
        log.last[column] = line[column]


@lean
def arrive(world: Tables, memory: Memory, log: Log, after: int, reward: float, done: bool) -> bool:
    """The agent stands on the next state; True if the episode is over: a goal, a pit, or the horizon."""
    now = memory.now
    now[STATE] = after
    now[MOVES] += 1
    now[STEPS] += 1
    memory.earned[0] += reward
    log.trail[log.tally[2] % TRAIL] = after
    log.tally[2] += 1
    over = done or now[MOVES] >= world.horizon
    if over:
        n = log.tally[0] % EPISODE_LOG
        log.returns[n], log.lengths[n] = memory.earned[0], now[MOVES]
        log.tally[0] += 1
        now[EPISODES] += 1
        now[FRESH] = 1
    return over
