"""Maps: what stands on each cell, what it pays, and the formats in which a map travels. Needs neither torch nor numba.

SFFF        plain text, as FrozenLake's `desc`      JSON: the fields of `GridMap`
FHFH        (rules keep their defaults)             code: the JSON, packed for a link
FFFH
HFFG
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import UserError

LEAST, MOST = 2, 30  # cells a side
MOST_BYTES = 100_000  # of a file or a link
LEFT, DOWN, RIGHT, UP = range(4)  # the actions, numbered as FrozenLake's
ACTIONS = ("left", "down", "right", "up")
DIRECTIONS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # (rows, columns) by action
ARROWS = {"<": LEFT, "v": DOWN, ">": RIGHT, "^": UP}
ITEMS, DOORS = "abP", "AB"  # what can be carried; what a key opens: "a" opens "A"

CELLS = {
    ".": "floor",
    "#": "wall",
    "S": "start",
    "G": "goal: pays and ends the episode",
    "H": "pit: ends the episode",
    "C": "cliff: costs, and back to the start",
    "I": "ice: a move may slip to a side",
    "<": "one way, left",
    "v": "one way, down",
    ">": "one way, right",
    "^": "one way, up",
    **{str(n): f"teleport {n}: to its twin" for n in range(1, 10)},
    "a": "key a",
    "A": "door that key a opens",
    "b": "key b",
    "B": "door that key b opens",
    "P": "parcel to pick up",
    "D": "drop-off: a goal for who carries the parcel",
}


class GridMap(BaseModel):
    """A gridworld as a person drew it. Checked whole: a `GridMap` that exists can be compiled."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field("map", max_length=60, title="Name")
    rows: tuple[str, ...] = Field(title="Cells", description="One letter a cell.")
    rewards: dict[str, float] = Field(default_factory=dict, title="Extra rewards", description='"row,column" -> paid on entering.')
    wind: tuple[int, ...] = Field((), title="Wind", description="Cells that a move is blown upwards, by column.")
    goal_reward: float = Field(1.0, ge=-1e6, le=1e6, title="Goal", description="Paid on reaching a goal.")
    pit_reward: float = Field(0.0, ge=-1e6, le=1e6, title="Pit", description="Paid on falling into a pit.")
    cliff_reward: float = Field(
        -100.0, ge=-1e6, le=1e6, title="Cliff", description="Paid in place of the step's when stepping off a cliff."
    )
    step_reward: float = Field(0.0, ge=-1e6, le=1e6, title="Step", description="Paid for every move; less than 0 is a cost.")
    slip: float = Field(2 / 3, ge=0, le=1, title="Slip", description="On ice: chance that a move goes to one of the two sides instead.")
    slippery: bool = Field(False, title="Ice everywhere", description="Every cell is ice, as on FrozenLake.")
    horizon: int = Field(100, ge=1, le=10_000, title="Horizon", description="Moves after which an episode is cut off.")

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.rows)

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.rows[0])

    def at(self, letter: str) -> list[tuple[int, int]]:
        """Where a letter stands: (row, column)."""
        return [(r, c) for r, row in enumerate(self.rows) for c, cell in enumerate(row) if cell == letter]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for fault in _faults(self.rows, self.wind, self.rewards):
            raise ValueError(fault)
        return self

    def changed(self, **facts: object) -> GridMap:
        """A checked copy with some fields changed. Raises `UserError`."""
        return read_map({**self.model_dump(), **facts})

    # formats

    def text(self) -> str:
        """Plain text: one line a row; in FrozenLake's letters where all is ice, so that it comes back as ice."""
        text = "\n".join(self.rows) + "\n"
        return text.replace(".", "F") if self.slippery and set("".join(self.rows)) <= set(".SHG") else text

    def json_text(self) -> str:
        """JSON with all rules."""
        return self.model_dump_json(indent=1, exclude_defaults=True)

    def code(self) -> str:
        """The map as a word for a link."""
        return base64.urlsafe_b64encode(zlib.compress(self.model_dump_json(exclude_defaults=True).encode(), 9)).decode().rstrip("=")


def _faults(rows: tuple[str, ...], wind: tuple[int, ...], rewards: dict[str, float]) -> Iterable[str]:
    """What is wrong with a map, the first thing first."""
    if not rows or not rows[0]:
        yield "The map is empty"
    wide = max(map(len, rows))
    if not (LEAST <= len(rows) <= MOST and LEAST <= wide <= MOST):
        yield f"The map is {len(rows):,} by {wide:,} cells; {LEAST} by {LEAST} to {MOST} by {MOST} can be learned"
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            yield f"Row {number} has {len(row)} cells and row 1 has {len(rows[0])}: every row must be equally long"
        for column, cell in enumerate(row, 1):
            if cell not in CELLS:
                yield f"Row {number}, column {column}: '{cell}' is no kind of cell. Known are {' '.join(CELLS)}"
    every = "".join(rows)
    if "S" not in every:
        yield "The map has no start: put an S on it"
    if not set(every) & {"G", "D"}:
        yield "The map has no goal: put a G on it"
    for digit in filter(str.isdigit, CELLS):
        if every.count(digit) not in (0, 2):
            yield f"Teleport {digit} stands {every.count(digit)} time{'s' * (every.count(digit) != 1)}: it needs exactly one twin"
    if "D" in every and "P" not in every:
        yield "There is a drop-off and no parcel to bring: put a P on the map"
    for door in DOORS:
        if door in every and door.lower() not in every:
            yield f"There is a door {door} and no key {door.lower()} that opens it"
    if wind and (len(wind) != len(rows[0]) or min(wind) < 0 or max(wind) > MOST):
        yield f"Wind is one number of 0 to {MOST} for each of the {len(rows[0])} columns"
    for place, value in rewards.items():
        parts = place.split(",")
        plain = len(parts) == 2 and all(part.isascii() and part.isdecimal() and str(int(part)) == part for part in parts)
        if not plain or int(parts[0]) >= len(rows) or int(parts[1]) >= len(rows[0]):
            yield f"'{place[:20]}' is no cell of this map: an extra reward is kept as \"row,column\", counted from 0"
        if abs(value) > 1e6:
            yield f"The reward {value:g} at {place} is too large: up to a million can be learned"


def read_map(values: object) -> GridMap:
    """A map from untrusted values. Raises `UserError`."""
    if not isinstance(values, dict):
        raise UserError("A map in JSON is an object with the field `rows`.")
    try:
        return GridMap(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        sentence = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{f'Field {name[:40]!r}: ' if name else ''}{sentence}.") from None
    except TypeError:
        raise UserError("A map in JSON is an object with the field `rows`.") from None


def parse(content: bytes, name: str = "map") -> GridMap:
    """A map from a file: plain text or JSON. Raises `UserError`."""
    if len(content) > MOST_BYTES:
        lines = content.splitlines()
        long = max(map(len, lines), default=0)
        raise UserError(f"This is no map: {len(lines):,} lines of up to {long:,} signs. At most {MOST} by {MOST} cells can be learned.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("This is no map: it is not plain text.") from None
    if text.lstrip()[:1] in ("{", "["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError("This JSON is damaged, or nested deeper than a map ever is.") from None
        return read_map({"name": name, **values} if isinstance(values, dict) else values)
    rows = [line.strip() for line in text.splitlines() if line.strip()]
    return _frozen(rows, name) if "F" in "".join(rows) and set("".join(rows)) <= set("SFHG") else read_map({"name": name, "rows": rows})


def _frozen(rows: list[str], name: str) -> GridMap:
    """FrozenLake's letters: F is floor, and all of the lake is ice."""
    return read_map({"name": name, "rows": [row.replace("F", ".") for row in rows], "slippery": True})


def from_code(code: str) -> GridMap:
    """The map in a link: the name of a built-in one, or what `GridMap.code` packed. Raises `UserError`."""
    if code in BUILTIN:
        return BUILTIN[code]
    try:
        packed = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        content = zlib.decompressobj().decompress(packed, MOST_BYTES)
        return read_map(json.loads(content))
    except (ValueError, zlib.error, RecursionError):
        raise UserError("The map in this link can't be read: it was cut short or changed.") from None


def maze(height: int, width: int, seed: int, openings: float = 0.1) -> GridMap:
    """A random maze: depth-first search digs a tree of corridors, then a share of the inner walls falls.

    The start is at the top left, the goal at the cell farthest from it. Raises `UserError` for sizes out of bounds.
    """
    random = np.random.default_rng(seed)
    cells = np.full((height, width), "#")
    cells[0, 0] = "."
    stack, far, last = [(0, 0)], 0, (0, 0)
    while stack:
        row, column = stack[-1]
        ways = [
            (row + 2 * dr, column + 2 * dc, row + dr, column + dc)
            for dr, dc in DIRECTIONS
            if 0 <= row + 2 * dr < height and 0 <= column + 2 * dc < width and cells[row + 2 * dr, column + 2 * dc] == "#"
        ]
        if not ways:
            stack.pop()
            continue
        r, c, between_r, between_c = ways[random.integers(len(ways))]
        cells[r, c] = cells[between_r, between_c] = "."
        stack.append((r, c))
        if len(stack) > far:
            far, last = len(stack), (r, c)
    walls = np.argwhere(cells == "#")
    for row, column in walls[random.permutation(len(walls))[: int(openings * len(walls))]]:
        cells[row, column] = "."
    cells[0, 0], cells[last] = "S", "G"
    horizon = 4 * height * width
    return read_map({"name": f"maze {seed}", "rows": ["".join(row) for row in cells], "step_reward": -0.01, "horizon": horizon})


def _builtin(name: str, rows: str, **rules: object) -> GridMap:
    return read_map({"name": name, "rows": rows.split(), **rules})


BUILTIN = {
    "frozen4": _builtin("FrozenLake 4x4", "S... .H.H ...H H..G", slippery=True),
    "frozen8": _builtin(
        "FrozenLake 8x8",
        "S....... ........ ...H.... .....H.. ...H.... .HH...H. .H..H.H. ...H...G",
        slippery=True,
        horizon=200,
    ),
    "cliff": _builtin("CliffWalking", "............ ............ ............ SCCCCCCCCCCG", goal_reward=0, step_reward=-1, horizon=500),
    "windy": _builtin(
        "Windy Gridworld",
        ".......... .......... .......... S......G.. .......... .......... ..........",
        wind=(0, 0, 0, 1, 1, 1, 2, 2, 1, 0),
        goal_reward=0,
        step_reward=-1,
        horizon=500,
    ),
    "rooms": _builtin(
        "Four Rooms",
        "S....#..... .....#..... ........... .....#..... .....#..... #.####..... "
        ".....###.## .....#..... .....#..... ........... .....#....G",
        horizon=200,
    ),
    "taxi": _builtin("Parcel taxi", "S.#.P ..#.. ..... .#.#. D#.#.", goal_reward=20, step_reward=-1, horizon=200),
    "keys": _builtin(
        "Keys and doors",
        "S..#...b ...#.### ...A.... ...#.... a..##B## ...#.... ...#...G",
        step_reward=-0.01,
        horizon=300,
    ),
    "maze": maze(15, 15, 7),
    "portals": _builtin(
        "Ice, portals and one-way streets", "S..#..1 .I.#.## .II>..H ..I#.#. 1.I.^.. .##..#. ...H..G", step_reward=-0.02, horizon=150
    ),
    "coins": _builtin("Coin loop", "S.... ..... ..... ....G", rewards={"1,1": 0.1, "1,2": 0.1}, horizon=100),
    "living": _builtin("Paid for living", "S...H ..... ....G", step_reward=0.05, horizon=100),
    "way_out": _builtin("The quick way out", "SH... ..... ....G", step_reward=-0.5, horizon=100),
}

# why a map is worth a look
ABOUT = {
    "frozen4": "Every move slips to a side two times in three. The best policy steers away from the holes, not towards the goal.",
    "frozen8": "The same lake, larger: a reward so far away that chance alone finds it late.",
    "cliff": "Sutton and Barto's example 6.6: Q-learning learns the way along the edge, SARSA the safe one.",
    "windy": "Sutton and Barto's example 6.5: the wind blows upwards in the middle, and the way must allow for it.",
    "rooms": "Four rooms and narrow doors: exploration has to find each door.",
    "taxi": "Pick up the parcel, then bring it to the drop-off: the same cell means two things, with it and without.",
    "keys": "Two keys, two doors, in order. What was picked up is part of the state.",
    "maze": "A random maze; make your own with another seed.",
    "portals": "Ice, a teleport, one-way cells and pits together.",
    "coins": "Reward hacking. Two cells that pay a little each time were meant as a hint. The best policy walks between them until "
    "time is up and never reaches the goal.",
    "living": "Reward hacking. Every step pays, so the best policy avoids the goal that would end it.",
    "way_out": "Reward hacking. Every step hurts, so the best policy jumps into the nearest pit.",
}
HACKS = ("coins", "living", "way_out")
