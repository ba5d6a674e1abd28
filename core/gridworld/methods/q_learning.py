"""Q-learning (Watkins 1989) and Double Q-learning (van Hasselt 2010): learn of the best policy while following another."""

from __future__ import annotations

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables
from core.gridworld.memory import STATE, Knobs, Log, Memory, arrive, begin, choose, highest, move, note, rate


@lean
def q_learning(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Q(s, a) moves towards r + gamma max Q(s', .): off-policy, for the target takes the best move, not the next one.

    Makes up to `budget` moves and returns how many. Sutton and Barto, 2nd ed., 6.5.
    """
    q = memory.q
    for taken in range(budget):
        begin(world, memory, log, random)
        state = memory.now[STATE]
        action = choose(memory, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        memory.visits[state, action] += 1

        old, alpha = q[state, action], rate(memory, knobs, state, action)
        target = reward + (0.0 if done else knobs.gamma * highest(q, after))
        q[state, action] += alpha * (target - old)

        note(memory, log, state, action, reward, after, done, old, target, alpha)
        if arrive(world, memory, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget


@lean
def double_q_learning(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Two tables: one names the best next move, the other says what it is worth. Cures the optimism of the maximum.

    The agent acts on the mean of both. Sutton and Barto, 2nd ed., 6.7.
    """
    for taken in range(budget):
        begin(world, memory, log, random)
        state = memory.now[STATE]
        action = choose(memory, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        memory.visits[state, action] += 1

        q, other = (memory.q, memory.q2) if random.random() < 0.5 else (memory.q2, memory.q)
        old, alpha = q[state, action], rate(memory, knobs, state, action)
        target = reward + (0.0 if done else knobs.gamma * other[after, q[after].argmax()])
        q[state, action] += alpha * (target - old)

        note(memory, log, state, action, reward, after, done, old, target, alpha)
        if arrive(world, memory, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget
