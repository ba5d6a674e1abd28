"""SARSA (Rummery and Niranjan 1994) and Expected SARSA (van Seijen et al. 2009): learn of the policy that is followed."""

from __future__ import annotations

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables
from core.gridworld.memory import ACTION, NONE, STATE, Knobs, Log, Memory, arrive, begin, choose, move, note, rate, weigh


@lean
def sarsa(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Q(s, a) moves towards r + gamma Q(s', a'), a' being the move that is really made next: on-policy.

    Makes up to `budget` moves and returns how many. Sutton and Barto, 2nd ed., 6.4.
    """
    q, now = memory.q, memory.now
    for taken in range(budget):
        begin(world, memory, log, random)
        state = now[STATE]
        action = now[ACTION] if now[ACTION] != NONE else choose(memory, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        memory.visits[state, action] += 1
        now[ACTION] = NONE if done else choose(memory, knobs, after, random)

        old, alpha = q[state, action], rate(memory, knobs, state, action)
        target = reward + (0.0 if done else knobs.gamma * q[after, now[ACTION]])
        q[state, action] += alpha * (target - old)

        note(memory, log, state, action, reward, after, done, old, target, alpha)
        if arrive(world, memory, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget


@lean
def expected_sarsa(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Q(s, a) moves towards r + gamma times the mean of Q(s', .) under the agent's own chances: SARSA without the luck of a'.

    Sutton and Barto, 2nd ed., 6.6.
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
        target = reward
        if not done:
            weigh(memory, knobs, after)
            for other in range(4):
                target += knobs.gamma * memory.chance[other] * q[after, other]
        q[state, action] += alpha * (target - old)

        note(memory, log, state, action, reward, after, done, old, target, alpha)
        if arrive(world, memory, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget
