"""A visitor's own episode: moves by hand, and what Q-learning makes of them. Needs neither torch nor an engine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from core.gridworld.env import World
from core.gridworld.maps import ACTIONS

ALPHA = 0.5  # every move counts half: with few moves, what was seen last matters


@dataclass
class Game:
    """Episodes played by hand on one map. moves: rows of state, action, reward, next state, end."""

    world: World
    seed: int = 0
    moves: list[tuple[int, int, float, int, bool]] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)  # of the episodes that ended
    begun: int = 0  # index of this episode's first move

    @property
    def state(self) -> int:
        """Where the player stands."""
        return self.moves[-1][3] if len(self.moves) > self.begun else self._start()

    def _start(self) -> int:
        return int(np.random.default_rng((self.seed, len(self.returns))).choice(self.world.tables.starts))

    @property
    def earned(self) -> float:
        """Rewards of this episode so far."""
        return float(sum(move[2] for move in self.moves[self.begun :]))

    @property
    def over(self) -> bool:
        """Whether this episode has ended: goal, pit, or horizon."""
        here = self.moves[self.begun :]
        return bool(here) and (here[-1][4] or len(here) >= self.world.tables.horizon)

    @property
    def trail(self) -> list[int]:
        """The states of this episode, in order."""
        here = self.moves[self.begun :]
        return [here[0][0], *(move[3] for move in here)] if here else [self.state]

    def step(self, action: int) -> None:
        """One move; nothing happens once the episode is over."""
        if self.over:
            return
        random, state = np.random.default_rng((self.seed, 1, len(self.moves))), self.state
        after, reward, done = self.world.draw(np.array([state]), np.array([action]), random)
        self.moves.append((state, action, float(reward[0]), int(after[0]), bool(done[0])))
        if self.over:
            self.returns.append(self.earned)

    def again(self) -> None:
        """Back to the start, for another episode. One that was given up does not count."""
        if not self.over:
            del self.moves[self.begun :]
        self.begun = len(self.moves)

    def demo(self) -> np.ndarray:
        """All moves as numbers: what can seed a replay buffer.  # (n, 5)"""
        return np.array(self.moves, np.float64).reshape(-1, 5)


def learned(game: Game, gamma: float) -> tuple[np.ndarray, str]:
    """Q-learning on the moves so far, one update a move: the table (S, 4), and the last update in numbers."""
    q, words = np.zeros((game.world.states, 4)), ""
    for state, action, reward, after, done in game.moves:
        best = 0.0 if done else float(q[after].max())
        old = float(q[state, action])
        q[state, action] += ALPHA * (reward + gamma * best - old)
        words = (
            rf"Q(s,\text{{{ACTIONS[action]}}}) \leftarrow {old:.3g} + {ALPHA:g}\,({reward:.3g} + {gamma:g}\cdot{best:.3g} - {old:.3g})"
            rf" = {q[state, action]:.3g}"
        )
    return q, words
