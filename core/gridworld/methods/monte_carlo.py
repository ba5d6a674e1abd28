"""First-visit Monte Carlo control: wait for the end of the episode, then learn from what was really earned."""

from __future__ import annotations

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables
from core.gridworld.memory import MOVES, NONE, STATE, Knobs, Log, Memory, arrive, begin, choose, move, note, rate


@lean
def monte_carlo(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Q(s, a) moves towards the return G that followed the first time s, a was met in the episode. No bootstrapping.

    An episode cut off at the horizon counts with what it had earned. Makes up to `budget` moves and returns how many.
    Sutton and Barto, 2nd ed., 5.4, with a step size in place of the average unless `sample_average` is set.
    """
    states, actions, rewards, first = memory.path_state, memory.path_action, memory.path_reward, memory.first
    for taken in range(budget):
        begin(world, memory, log, random)
        state, t = memory.now[STATE], memory.now[MOVES]
        action = choose(memory, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        states[t], actions[t], rewards[t] = state, action, reward
        if first[state, action] == NONE:
            first[state, action] = t

        if arrive(world, memory, log, after, reward, done):
            earned, after = 0.0, memory.now[STATE]
            for t in range(memory.now[MOVES] - 1, -1, -1):  # backwards, so that the return adds up by itself
                state, action = states[t], actions[t]
                earned = rewards[t] + knobs.gamma * earned
                if first[state, action] == t:
                    first[state, action] = NONE
                    memory.visits[state, action] += 1
                    old, alpha = memory.q[state, action], rate(memory, knobs, state, action)
                    memory.q[state, action] += alpha * (earned - old)
                    note(memory, log, state, action, rewards[t], after, done, old, earned, alpha)
                after, done = state, False
            if knobs.one_episode:
                return taken + 1
    return budget
