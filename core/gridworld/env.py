"""The environment: a map compiled to transition tables, and a Gymnasium environment over them. What `data.py` is elsewhere.

    import gymnasium, core.gridworld.env
    env = gymnasium.make("Manabi/Gridworld-v0", map="frozen4")

A state is a cell together with what is carried: `state = carried * cells + cell`, `carried` one bit for each item on the map.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from core.errors import UserError
from core.gridworld.maps import ARROWS, BUILTIN, DIRECTIONS, DOORS, ITEMS, GridMap, from_code, maze, parse
from core.runs.files import write_whole

FILES = ("map.json", "demo.npy")  # what `save` writes into a run folder
MOST_DEMO = 20_000  # transitions of a visitor's play
Outcome = tuple[float, int, float, bool]  # chance, next state, reward, whether the episode ends


class Tables(NamedTuple):
    """The dynamics as arrays, for numpy and for compiled code. S states, A = 4 actions, K outcomes of a move (1, or 3 on ice)."""

    chance: np.ndarray  # (S, A, K) float64
    bound: np.ndarray  # (S, A, K) float64: the chances summed up, to draw from
    next: np.ndarray  # (S, A, K) int32
    reward: np.ndarray  # (S, A, K) float64
    done: np.ndarray  # (S, A, K) bool: a goal or a pit, not the horizon
    starts: np.ndarray  # (n,) int32, each equally likely
    horizon: int


class World:
    """A map and its tables. Equal maps make equal worlds."""

    def __init__(self, grid: GridMap) -> None:
        self.map = grid
        self.items = [item for item in ITEMS if grid.at(item)]
        self.cells = grid.height * grid.width
        self.states = self.cells << len(self.items)
        self.twin = {spot: pair[1 - n] for digit in "123456789" if (pair := grid.at(digit)) for n, spot in enumerate(pair)}
        self.starts = [r * grid.width + c for r, c in grid.at("S")]
        outcomes = [[self._outcomes(state, action) for action in range(4)] for state in range(self.states)]
        count = max(len(found) for row in outcomes for found in row)
        padded = [[found + [(0.0, *found[-1][1:])] * (count - len(found)) for found in row] for row in outcomes]
        chance, after, reward, done = (np.array([[[o[part] for o in found] for found in row] for row in padded]) for part in range(4))
        bound = chance.cumsum(-1)
        bound[..., -1] = 1.0
        self.tables = Tables(
            chance.astype(np.float64),
            bound.astype(np.float64),
            after.astype(np.int32),
            reward.astype(np.float64),
            done.astype(bool),
            np.array(self.starts, np.int32),
            grid.horizon,
        )
        self.reachable = self._reach(self.starts)  # (S,) bool: can be met in an episode
        self.terminal = np.array([self.ends(state) for state in range(self.states)])  # (S,) bool
        self.goal = self.terminal & np.array([self._cell(state) != "H" for state in range(self.states)])  # (S,) bool
        self.acting = self.reachable & ~self.terminal  # (S,) bool: where an agent chooses

    # reading states

    def place(self, state: int) -> tuple[int, int]:
        """Row and column of a state."""
        return divmod(state % self.cells, self.map.width)

    def carried(self, state: int) -> str:
        """Letters of what is carried in a state."""
        return "".join(item for n, item in enumerate(self.items) if state // self.cells >> n & 1)

    def ends(self, state: int) -> bool:
        """Whether a state lies on a goal, a pit, or a drop-off that the parcel has come to."""
        cell = self._cell(state)
        return cell in "GH" or (cell == "D" and "P" in self.carried(state))

    def _cell(self, state: int) -> str:
        row, column = self.place(state)
        return self.map.rows[row][column]

    # dynamics

    def _outcomes(self, state: int, action: int) -> list[Outcome]:
        """What a move may lead to, in Gymnasium's order: the side before, the way meant, the side after."""
        row, column = self.place(state)
        if self.ends(state) or self.map.rows[row][column] in "#C":
            return [(1.0, state, 0.0, True)]
        if not (self.map.slippery or self.map.rows[row][column] == "I"):
            return [(1.0, *self._moved(state, action))]
        side = self.map.slip / 2
        return [(side, *self._moved(state, (action - 1) % 4)), (1 - 2 * side, *self._moved(state, action))] + [
            (side, *self._moved(state, (action + 1) % 4))
        ]

    def _moved(self, state: int, action: int) -> tuple[int, float, bool]:
        """Where a move leads once its direction is settled: next state, reward, end."""
        place = self._neighbour(state, self.place(state), action)
        for _ in range(self.map.wind[self.place(state)[1]] if self.map.wind else 0):
            place = self._neighbour(state, place, 3)
        place = self.twin.get(place, place) if place != self.place(state) else place
        cell = self.map.rows[place[0]][place[1]]
        if cell == "C":
            return state // self.cells * self.cells + self.starts[0], self.map.cliff_reward, False
        held = state // self.cells | (1 << self.items.index(cell) if cell in self.items else 0)
        after = held * self.cells + place[0] * self.map.width + place[1]
        reward = self.map.step_reward
        if place != self.place(state):
            reward += self.map.rewards.get(f"{place[0]},{place[1]}", 0.0)
        if self.ends(after):
            reward += self.map.pit_reward if cell == "H" else self.map.goal_reward
        return after, reward, self.ends(after)

    def _neighbour(self, state: int, place: tuple[int, int], action: int) -> tuple[int, int]:
        """The cell beside `place`, or `place` itself where the edge, a wall, a door or a one-way cell is in the way."""
        here = self.map.rows[place[0]][place[1]]
        row, column = place[0] + DIRECTIONS[action][0], place[1] + DIRECTIONS[action][1]
        if here in ARROWS and ARROWS[here] != action:
            return place
        if not (0 <= row < self.map.height and 0 <= column < self.map.width):
            return place
        cell = self.map.rows[row][column]
        shut = cell in DOORS and cell.lower() not in self.carried(state)
        against = cell in ARROWS and ARROWS[cell] == (action + 2) % 4
        return place if cell == "#" or shut or against else (row, column)

    def _reach(self, begin: Iterable[int]) -> np.ndarray:
        reached = np.zeros(self.states, bool)
        reached[list(begin)] = True
        possible = self.tables.chance > 0
        while True:
            after = reached.copy()
            after[self.tables.next[reached][possible[reached]]] = True
            if (after == reached).all():
                return reached
            reached = after

    def leads_to_goal(self) -> np.ndarray:
        """States from which some moves lead to a goal.  # (S,) bool"""
        good = self.goal
        while True:
            after = good | ((self.tables.chance > 0) & good[self.tables.next]).any((1, 2)) & ~self.terminal
            if (after == good).all():
                return good
            good = after

    def problem(self) -> str:
        """Why nothing can be learned on this map, in a sentence; "" if something can."""
        if not self.leads_to_goal()[self.starts].any():
            return "The goal cannot be reached from the start."
        return ""

    def draw(self, states: np.ndarray, actions: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One move of many agents at once: next states, rewards, ends.  # (n,) each"""
        pick = (random.random(len(states))[:, None] >= self.tables.bound[states, actions]).sum(1)
        return tuple(getattr(self.tables, name)[states, actions, pick] for name in ("next", "reward", "done"))


@functools.lru_cache(maxsize=64)
def _world(code: str) -> World:
    return World(from_code(code))


def world_of(grid: GridMap) -> World:
    """The compiled world of a map, kept for the next who asks."""
    return _world(grid.code())


def check_same_shape(new: World, old: World) -> None:
    """Raises `UserError` unless an agent that knows the old map can go on in the new one."""
    if (new.map.height, new.map.width, new.items) != (old.map.height, old.map.width, old.items):
        raise UserError("While an agent learns, the map can change its cells but neither its size nor its keys and parcels.")
    if new.tables.chance.shape != old.tables.chance.shape:
        raise UserError("While an agent learns, ice can't be brought to a map without any, nor be taken from it altogether.")
    if new.tables.horizon != old.tables.horizon:
        raise UserError("While an agent learns, the horizon stays.")


# the dataset of a run: a map, and what a visitor showed on it


@dataclass(frozen=True)
class Task:
    """What there is to learn: a map, and moves that a visitor made on it.

    demo: (n, 5) float64 rows of state, action, reward, next state, end; empty if nobody played.
    """

    map: GridMap
    demo: np.ndarray | None = None

    @property
    def name(self) -> str:
        """The map's name."""
        return self.map.name


def builtin(name: str) -> Task:
    """A built-in map by its name, or a random maze as `maze-<height>x<width>-<seed>`. Raises `UserError`."""
    if name in BUILTIN:
        return Task(BUILTIN[name])
    try:
        size, seed = name.removeprefix("maze-").split("-")
        height, width = size.split("x")
        return Task(maze(int(height), int(width), int(seed)))
    except ValueError:
        raise UserError(f"There is no built-in map called '{name[:40]}'.") from None


def save(task: Task, folder: Path) -> None:
    """Write a task into a run folder."""
    write_whole(folder / FILES[0], task.map.json_text())
    if task.demo is not None and len(task.demo):
        np.save(folder / FILES[1], task.demo.astype(np.float64), allow_pickle=False)


def load(folder: Path) -> Task:
    """Read what `save` wrote. Raises `UserError` if it is missing or damaged."""
    try:
        grid = parse((folder / FILES[0]).read_bytes())
        demo = np.load(folder / FILES[1], allow_pickle=False) if (folder / FILES[1]).exists() else None
    except (OSError, ValueError, EOFError, MemoryError):
        raise UserError("The map of this run is missing or damaged.") from None
    if demo is not None:
        check_demo(grid, demo)
    return Task(grid, demo)


def check_demo(grid: GridMap, demo: np.ndarray) -> None:
    """Raises `UserError` if moves shown by a visitor can't be moves on this map."""
    states = world_of(grid).states
    good = demo.ndim == 2 and demo.shape[1] == 5 and len(demo) <= MOST_DEMO and demo.dtype == np.float64 and np.isfinite(demo).all()
    if good and len(demo):
        good = bool(((demo[:, [0, 3]] >= 0) & (demo[:, [0, 3]] < states)).all() and ((demo[:, 1] >= 0) & (demo[:, 1] < 4)).all())
    if not good:
        raise UserError("The moves that came with this map do not fit it.")


# Gymnasium


class GridworldEnv(gymnasium.Env[Any, Any]):
    """A map as a Gymnasium environment.

    map: a `GridMap`, the name of a built-in map, or a map as text, JSON or link code.
    Observations are states (0 to S - 1), actions 0 left, 1 down, 2 right, 3 up. Truncated at the map's horizon.
    `P[state][action]` lists (chance, next state, reward, end) as Gymnasium's toy-text environments do.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 6}

    def __init__(self, map: GridMap | str = "frozen4", render_mode: str | None = None) -> None:
        self.world = world_of(read(map))
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(self.world.states)
        self.action_space = spaces.Discrete(4)
        self.state, self.moves = int(self.world.starts[0]), 0

    @property
    def P(self) -> dict[int, dict[int, list[Outcome]]]:
        """The transition table, as in Gymnasium's toy-text environments."""
        table = self.world.tables
        found: dict[int, dict[int, list[Outcome]]] = {}
        for s, a in np.ndindex(self.world.states, 4):
            every = zip(*(part[s, a].tolist() for part in (table.chance, table.next, table.reward, table.done)), strict=True)
            found.setdefault(s, {})[a] = [outcome for outcome in every if outcome[0] > 0]
        return found

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin an episode at one of the starts."""
        super().reset(seed=seed)
        self.state, self.moves = int(self.np_random.choice(self.world.starts)), 0
        return self.state, self._info()

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Move: next state, reward, goal or pit, cut off at the horizon."""
        after, reward, done = self.world.draw(np.array([self.state]), np.array([int(action)]), self.np_random)
        self.state, self.moves = int(after[0]), self.moves + 1
        return self.state, float(reward[0]), bool(done[0]), not done[0] and self.moves >= self.world.map.horizon, self._info()

    def _info(self) -> dict[str, Any]:
        return {"place": self.world.place(self.state), "carried": self.world.carried(self.state)}

    def render(self) -> Any:
        """The map with the agent on it: text, or a picture (height, width, 3) uint8."""
        if self.render_mode == "ansi":
            row, column = self.world.place(self.state)
            lines = [list(line) for line in self.world.map.rows]
            lines[row][column] = f"[{lines[row][column]}]"
            return "\n".join("".join(line) for line in lines) + "\n"
        if self.render_mode == "rgb_array":
            from core.gridworld.draw import array

            return array(self.world, self.state)
        return None


def read(map: GridMap | str) -> GridMap:
    """A map from whatever names one. Raises `UserError`."""
    if isinstance(map, GridMap):
        return map
    if map in BUILTIN:
        return BUILTIN[map]
    return parse(map.encode()) if any(sign in map for sign in "\n{[") else from_code(map)


def walk(world: World, states: Sequence[int]) -> list[str]:
    """States in words, for people: "row 1, column 2, with key a"."""
    words = []
    for state in states:
        row, column = world.place(state)
        held = world.carried(state)
        words.append(f"row {row + 1}, column {column + 1}" + (f", with {' '.join(held)}" if held else ""))
    return words


if "Manabi/Gridworld-v0" not in gymnasium.registry:
    gymnasium.register("Manabi/Gridworld-v0", entry_point="core.gridworld.env:GridworldEnv")
