"""Editing a map: what a stroke of the brush does. Drafts are the fields of a `GridMap` that need not be a whole map yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import UserError
from core.gridworld.maps import GridMap, read_map

Draft = dict[str, Any]
REWARD = "$"  # the brush that puts an extra reward on cells; every other is a letter of the map


def draft_of(grid: GridMap) -> Draft:
    """The fields of a map, to be changed."""
    return {**grid.model_dump(), "rows": list(grid.rows), "wind": list(grid.wind)}


def painted(draft: Draft, cells: Sequence[int], letter: str, reward: float = 0.0) -> Draft:
    """A draft with some cells painted. Cells are counted row by row; those that are not there are passed over.

    A second start takes the place of a single first one, a third twin of a teleport that of the first: they are moved, not added.
    """
    rows = [list(row) for row in draft["rows"]]
    height, width = len(rows), len(rows[0])
    spots = [divmod(cell, width) for cell in cells if 0 <= cell < height * width]
    if letter == REWARD:
        rewards = {**draft["rewards"], **{f"{r},{c}": reward for r, c in spots}}
        return {**draft, "rewards": {place: value for place, value in rewards.items() if value}}
    for row, column in spots:
        limit = 1 if letter == "S" else 2 if letter.isdigit() else 0
        standing = [(r, c) for r in range(height) for c in range(width) if rows[r][c] == letter and (r, c) != (row, column)]
        if limit and len(standing) >= limit:
            old_row, old_column = standing[0]
            rows[old_row][old_column] = "."
        rows[row][column] = letter
    return {**draft, "rows": ["".join(row) for row in rows], "name": "Yours"}


def resized(draft: Draft, height: int, width: int) -> Draft:
    """The same draft with rows and columns added (floor) or taken away at the bottom and the right."""
    rows = [row[:width].ljust(width, ".") for row in draft["rows"][:height]]
    rows += ["." * width] * (height - len(rows))
    kept = {place: value for place, value in draft["rewards"].items() if all(map(int.__lt__, map(int, place.split(",")), (height, width)))}
    wind = [*draft["wind"][:width], *[0] * max(0, width - len(draft["wind"]))] if draft["wind"] else []
    return {**draft, "rows": rows, "rewards": kept, "wind": wind}


def problem(draft: Draft) -> str:
    """Why a draft is no map yet, in a sentence; "" if it is one."""
    try:
        read_map(draft)
    except UserError as error:
        return str(error)
    return ""


def wind_of(text: str, width: int) -> list[int]:
    """Wind by column from what a visitor typed: "0 0 1 2"; fewer numbers mean no wind in the rest. Raises `UserError`."""
    parts = text.replace(",", " ").split()
    if not all(part.isascii() and part.isdecimal() for part in parts) or len(parts) > width:
        raise UserError(f"Wind is up to {width} whole numbers, one for each column: 0 0 1 2.")
    forces = [int(part) for part in parts] + [0] * (width - len(parts))
    return forces if any(forces) else []
