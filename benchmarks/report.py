"""How every benchmark tells its figures: a table for people, or one flat JSON object with `--json`."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.device import cores


@dataclass(frozen=True)
class Figure:
    """A measured number: what it is, its unit, and the goal it is held against (None: told for its own sake)."""

    what: str
    unit: str
    goal: float | None = None
    more_is_better: bool = False


def main(
    description: str, figures: Mapping[str, Figure], measure: Callable[[argparse.Namespace], dict[str, float]], *, runs: int = 5
) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    parser.add_argument("--runs", type=int, default=runs, help=f"repetitions, of which the median is told (default {runs})")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))
        return
    print(f"{description}\n{cores()} cores, Python {platform.python_version()}, medians of {options.runs} runs\n")
    width = max(len(name) for name in found)
    for name, value in found.items():
        figure = figures[name]
        told = f"{value:10.3f} {figure.unit}"
        if figure.goal is not None:
            met = value >= figure.goal if figure.more_is_better else value <= figure.goal
            told += f"   goal {'>=' if figure.more_is_better else '<='} {figure.goal:g}: {'met' if met else 'MISSED'}"
        print(f"{name:{width}}  {told:45}  {figure.what}")
