"""Learn a model from moves and plan with it between them: Dyna-Q (Sutton 1990), prioritised sweeping (Moore and Atkeson 1993)."""

from __future__ import annotations

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables
from core.gridworld.memory import KNOWN, STATE, Knobs, Log, Memory, arrive, begin, choose, highest, move, note, rate

URGENT = 1e-4  # a pair that would change by less is not worth a sweep


@lean
def remember(memory: Memory, state: int, action: int, k: int, after: int, reward: float, done: bool) -> None:
    """The model: what was seen to follow a pair, and how often."""
    if memory.model_count[state, action].sum() == 0:
        memory.known[memory.now[KNOWN]] = state * 4 + action
        memory.now[KNOWN] += 1
    memory.model_count[state, action, k] += 1
    memory.model_next[state, action, k], memory.model_reward[state, action, k] = after, reward
    memory.model_done[state, action, k] = done


@lean
def dyna_q(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """A step of Q-learning from the real move, then `planning` more from moves that the model remembers.

    Makes up to `budget` moves and returns how many. Sutton and Barto, 2nd ed., 8.2; an outcome is drawn as often as it was seen.
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
        remember(memory, state, action, k, after, reward, done)

        for _ in range(knobs.planning):
            s, a = divmod(memory.known[int(random.random() * memory.now[KNOWN])], 4)
            seen = memory.model_count[s, a]
            rest, j = random.random() * seen.sum(), 0
            while rest >= seen[j]:
                rest -= seen[j]
                j += 1
            then = 0.0 if memory.model_done[s, a, j] else knobs.gamma * highest(q, memory.model_next[s, a, j])
            old, target = q[s, a], memory.model_reward[s, a, j] + then
            q[s, a] += alpha * (target - old)
            note(
                memory, log, s, a, memory.model_reward[s, a, j], memory.model_next[s, a, j], memory.model_done[s, a, j], old, target, alpha
            )

        if arrive(world, memory, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget


@lean
def modelled(memory: Memory, gamma: float, state: int, action: int) -> float:
    """The expected target of a pair under the learned model."""
    seen, total = memory.model_count[state, action], 0.0
    for k in range(len(seen)):
        if seen[k]:
            then = 0.0 if memory.model_done[state, action, k] else gamma * highest(memory.q, memory.model_next[state, action, k])
            total += seen[k] * (memory.model_reward[state, action, k] + then)
    return total / seen.sum()


@lean
def prioritised_sweeping(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Plan where it matters: the pair whose value would change most goes first, then those that lead to it.

    Sutton and Barto, 2nd ed., 8.4, with expected updates, so that it holds on ice too.
    """
    q, urgency = memory.q, memory.priority
    for taken in range(budget):
        begin(world, memory, log, random)
        state = memory.now[STATE]
        action = choose(memory, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        memory.visits[state, action] += 1
        remember(memory, state, action, k, after, reward, done)
        urgency[state, action] = abs(modelled(memory, knobs.gamma, state, action) - q[state, action])

        for _ in range(knobs.planning):
            s, a = divmod(urgency.argmax(), 4)
            if urgency[s, a] < URGENT:
                break
            urgency[s, a] = 0.0
            old, target = q[s, a], modelled(memory, knobs.gamma, s, a)
            q[s, a] = target
            j = memory.model_count[s, a].argmax()  # of several outcomes, the usual one is told
            note(memory, log, s, a, memory.model_reward[s, a, j], memory.model_next[s, a, j], memory.model_done[s, a, j], old, target, 1.0)
            for pair in memory.known[: memory.now[KNOWN]]:
                b, c = divmod(pair, 4)
                for j in range(world.chance.shape[2]):
                    if memory.model_count[b, c, j] and memory.model_next[b, c, j] == s and not memory.model_done[b, c, j]:
                        urgency[b, c] = max(urgency[b, c], abs(modelled(memory, knobs.gamma, b, c) - q[b, c]))
                        break

        if arrive(world, memory, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget
