"""Dynamic programming: the map is known, nothing is left to luck. One call is one sweep over all states, in place.

Bellman 1957, Howard 1960; Sutton and Barto, 2nd ed., 4.1 to 4.4.
"""

from __future__ import annotations

import numpy as np

from core.gridworld.compiled import lean
from core.gridworld.env import Tables
from core.gridworld.exact import best_ahead, looked_ahead, mean_ahead


@lean
def evaluation_sweep(world: Tables, acting: np.ndarray, policy: np.ndarray, values: np.ndarray, gamma: float) -> float:
    """V(s) becomes the mean over the policy's moves of reward plus gamma V(s'). Returns the largest change."""
    change = 0.0
    for state in range(len(acting)):
        if not acting[state]:
            continue
        value = mean_ahead(world, values, gamma, state, policy)
        change = max(change, abs(value - values[state]))
        values[state] = value
    return change


@lean
def improved(world: Tables, acting: np.ndarray, policy: np.ndarray, values: np.ndarray, gamma: float) -> bool:
    """The policy becomes greedy on V. True if any move became better; equals keep the move that stood."""
    better = False
    for state in range(len(acting)):
        if not acting[state]:
            continue
        stood = 0
        for other in range(1, 4):
            stood = other if policy[state, other] > policy[state, stood] else stood
        best, action = looked_ahead(world, values, gamma, state, stood), stood
        for other in range(4):
            value = looked_ahead(world, values, gamma, state, other)
            if value > best + 1e-9:
                best, action, better = value, other, True
        for other in range(4):
            policy[state, other] = 1.0 if other == action else 0.0
    return better


@lean
def value_sweep(world: Tables, acting: np.ndarray, values: np.ndarray, gamma: float) -> float:
    """V(s) becomes the best move's reward plus gamma V(s'). Returns the largest change."""
    change = 0.0
    for state in range(len(acting)):
        if not acting[state]:
            continue
        value = best_ahead(world, values, gamma, state)
        change = max(change, abs(value - values[state]))
        values[state] = value
    return change
