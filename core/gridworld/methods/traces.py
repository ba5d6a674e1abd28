"""Between one step and the whole episode: n-step SARSA, and SARSA(lambda) with eligibility traces."""

from __future__ import annotations

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables
from core.gridworld.memory import ACTION, MOVES, NONE, STATE, Knobs, Log, Memory, arrive, begin, choose, move, note, rate


@lean
def n_step_sarsa(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Q(s, a) moves towards n real rewards and then the value of where they led.

    Makes up to `budget` moves and returns how many. Sutton and Barto, 2nd ed., 7.2.
    """
    now, states, actions, rewards = memory.now, memory.path_state, memory.path_action, memory.path_reward
    for taken in range(budget):
        begin(world, memory, log, random)
        state, t = now[STATE], now[MOVES]
        action = now[ACTION] if now[ACTION] != NONE else choose(memory, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        memory.visits[state, action] += 1
        states[t], actions[t], rewards[t] = state, action, reward
        now[ACTION] = NONE if done else choose(memory, knobs, after, random)
        beyond = 0.0 if done else memory.q[after, now[ACTION]]

        over = arrive(world, memory, log, after, reward, done)
        for begun in range(max(0, t + 1 - knobs.n), t + 1 if over else t + 2 - knobs.n):  # all that wait, once it is over
            target = beyond
            for i in range(t, begun - 1, -1):
                target = rewards[i] + knobs.gamma * target
            state, action = states[begun], actions[begun]
            old, alpha = memory.q[state, action], rate(memory, knobs, state, action)
            memory.q[state, action] += alpha * (target - old)
            last = begun == t
            note(memory, log, state, action, rewards[begun], after if last else states[begun + 1], done and last, old, target, alpha)
        if over and knobs.one_episode:
            return taken + 1
    return budget


@lean
def sarsa_lambda(world: Tables, memory: Memory, knobs: Knobs, random: np.random.Generator, log: Log, budget: int) -> int:
    """Every surprise is shared with all pairs on the way there, the less the longer ago: replacing traces.

    Sutton and Barto, 2nd ed., 12.7, in its tabular form; replacing traces: Singh and Sutton 1996.
    """
    q, trace, now = memory.q, memory.trace, memory.now
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
        trace[state, action] = 1.0
        fade = knobs.gamma * knobs.trace
        for s in range(len(q)):
            for a in range(4):
                if trace[s, a] > 0:
                    q[s, a] += alpha * (target - old) * trace[s, a]
                    trace[s, a] = trace[s, a] * fade if trace[s, a] > 1e-6 else 0.0

        note(memory, log, state, action, reward, after, done, old, target, alpha)
        if arrive(world, memory, log, after, reward, done):
            trace.fill(0.0)
            if knobs.one_episode:
                return taken + 1
    return budget
