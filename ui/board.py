"""A gridworld on the page: one component to paint a map, to look at what an agent thinks of it, and to play on it.

Its parts are `board.js` (drawing, mouse, keyboard) and `board.css`. Arrays come in, what the visitor did comes out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from core.gridworld.env import World
from core.gridworld.maps import ACTIONS, CELLS, MOST

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "gridworld_board",
    js=(_HERE / "board.js").read_text(encoding="utf-8").replace("DATA_NAMES", json.dumps(CELLS)),
    css=(_HERE / "board.css").read_text(encoding="utf-8"),
)
HELP = {
    "edit": "Map to paint on. Arrow keys move, Enter paints, a cell's letter paints that cell, Control Z undoes.",
    "look": "Map. Arrow keys move, Enter asks why the arrow of a cell points where it does.",
    "play": "Map to play on. Arrow keys move you.",
}


def paint(values: np.ndarray, limit: float = 0.0) -> list[str]:
    """Numbers as colours over the page's own: blue is worth something, orange costs, none is 0."""
    limit = limit or float(np.abs(values).max(initial=0)) or 1.0
    strength = np.clip(np.abs(values) / limit, 0, 1)
    return [
        f"rgba({'46,134,222' if value >= 0 else '230,119,46'},{0.72 * share:.3f})" for value, share in zip(values, strength, strict=True)
    ]


def usual_size(values: np.ndarray) -> float:
    """How large most of these numbers are: the end of the colour scale, which a few enormous ones must not bleach."""
    return float(np.quantile(np.abs(values), 0.95)) if values.size else 0.0


def states_of(world: World, held: int | None = 0, visits: np.ndarray | None = None) -> np.ndarray:
    """Which state stands for each cell: the one with these things carried; with None, the one that was visited most.  # (cells,)"""
    cells = np.arange(world.cells)
    if held is not None:
        return held * world.cells + cells
    often = np.where(world.acting, 1 + (visits if visits is not None else 0), 0).reshape(-1, world.cells)
    return often.argmax(0) * world.cells + cells


def map_view(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the board shows of a map alone, or of a draft that is no whole map yet: from the fields of a `GridMap`."""
    width = len(facts["rows"][0])
    found: dict[str, Any] = {"rows": list(facts["rows"]), "ice": facts["slippery"]}
    if facts["rewards"]:
        places = ((place.split(","), value) for place, value in facts["rewards"].items())
        found["rewards"] = {int(row) * width + int(column): value for (row, column), value in places}
    if any(facts["wind"]):
        found["wind"] = list(facts["wind"])
    return found


def view(
    world: World,
    *,
    states: np.ndarray | None = None,
    values: np.ndarray | None = None,
    moves: np.ndarray | None = None,
    greedy: np.ndarray | None = None,
    numbers: bool = True,
    limit: float = 0.0,
) -> dict[str, Any]:
    """What the board shows of a map.

    values: (S,) as colours (and numbers); moves: (S, 4) as four triangles a cell; greedy: (S,) best move, or (S, 4) bool for several.
    states: (cells,) the state that stands for each cell; by default that in which nothing is carried.
    """
    part, acting = states_of(world) if states is None else states, world.acting
    found = map_view(world.map.model_dump()) | {"numbers": numbers and world.map.width <= 14}
    here = acting[part]
    if moves is not None:
        flat = moves[part]
        colors = np.array(paint(flat.ravel(), limit or usual_size(moves[acting]))).reshape(-1, 4)
        found["moves"] = [[[float(v), c] for v, c in zip(flat[n], colors[n], strict=True)] if here[n] else None for n in range(world.cells)]
    elif values is not None:
        flat = values[part]
        colors_of = paint(flat, limit or usual_size(values[acting]))
        found["colors"] = [colors_of[n] if here[n] else None for n in range(world.cells)]
        if numbers and world.map.width <= 20:
            found["values"] = [float(flat[n]) if here[n] else None for n in range(world.cells)]
    if greedy is not None:
        best = greedy[part]
        several = best if best.ndim == 2 else np.eye(4, dtype=bool)[best]
        found["arrows"] = [np.flatnonzero(several[n]).tolist() if here[n] else [] for n in range(world.cells)]
        found["told"] = [f"Best: {' or '.join(ACTIONS[action] for action in best)}" if best else "" for best in found["arrows"]]
    return found


def ties(q: np.ndarray) -> np.ndarray:
    """All moves that are as good as the best.  # (S, 4) -> (S, 4) bool"""
    return q >= q.max(-1, keepdims=True) - 1e-9


def heard(event: Any) -> dict[str, Any] | None:
    """What a browser says that the visitor did, checked: `kind` with `cells` and `letter`, `cell` or `action`; None for anything else."""
    if not isinstance(event, Mapping):
        return None
    kind, number = event.get("kind"), lambda value: type(value) is int
    if kind == "undo":
        return {"kind": kind}
    if kind == "look" and number(event.get("cell")):
        return {"kind": kind, "cell": event["cell"]}
    if kind == "move" and number(event.get("action")) and 0 <= event["action"] < 4:
        return {"kind": kind, "action": event["action"]}
    cells, letter = event.get("cells"), event.get("letter")
    if kind == "paint" and isinstance(cells, Sequence) and isinstance(letter, str) and all(number(cell) for cell in cells):
        return {"kind": kind, "cells": list(cells)[: MOST * MOST], "letter": letter}
    return None


def board(
    shown: dict[str, Any],
    *,
    key: str,
    mode: Literal["edit", "look", "play"] = "look",
    did: Callable[[dict[str, Any]], None] | None = None,
    brush: str = "#",
    agent: int | None = None,
    trail: Sequence[int] = (),
    selected: int | None = None,
    path: Sequence[int] = (),
    walk: str = "",
    pace: int = 200,
) -> None:
    """Show a map; `did` is told of each thing the visitor does, before the page runs again.

    agent, trail, selected, path: numbers of cells. path: cells that the agent walks, `pace` ms each; another `walk` starts it afresh.
    """
    data = shown | {"mode": mode, "label": HELP[mode], "brush": brush, "agent": agent, "trail": list(trail), "selected": selected}
    data |= {"path": list(path), "walk": walk, "pace": pace}

    def told() -> None:
        event = heard(st.session_state[key].get("did"))
        if did and event:
            did(event)

    _mount(key=key, data=[data], on_did_change=told)  # in a list: of a dict, Streamlit would ask pandas whether its values are tables
