"""`metrics.jsonl`: a row per step, written by the worker, read from where the last look ended."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from core.runs.files import write_whole

Curve = tuple[np.ndarray, np.ndarray]  # steps, values


class MetricsReader:
    """All rows of a run so far, by metric. One per run and process, shared by all who watch it.

    A look with nothing new costs microseconds at any length: it reads from an offset and cuts at the last
    newline. If the file shrank (the run was resumed from an earlier checkpoint) it starts again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.offset = 0
        self.inode = 0
        self.steps: dict[str, list[int]] = {}
        self.values: dict[str, list[float]] = {}

    def read(self) -> dict[str, Curve]:
        """Every metric's steps and values. # name -> (n,) int64, (n,) float64"""
        with self.lock:
            self._look()
            return {name: (np.array(steps), np.array(self.values[name])) for name, steps in self.steps.items()}

    def latest(self) -> dict[str, float]:
        """The newest value of every metric."""
        with self.lock:
            self._look()
            return {name: values[-1] for name, values in self.values.items()}

    def _look(self) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._clear()
            return
        if stat.st_size < self.offset or (self.inode and stat.st_ino != self.inode):
            self._clear()
        self.inode = stat.st_ino
        if stat.st_size == self.offset:
            return
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            new = file.read()
        end = new.rfind(b"\n") + 1
        self.offset += end
        for line in new[:end].splitlines():
            row: dict[str, Any] = json.loads(line)
            step = int(row.pop("step"))
            for name, value in row.items():
                self.steps.setdefault(name, []).append(step)
                self.values.setdefault(name, []).append(float(value))


def thin(curve: Curve, most: int = 500) -> Curve:
    """At most about `most` points of a curve: the lowest and the highest of each bucket, so no spike is lost."""
    steps, values = curve
    if len(steps) <= most:
        return curve
    edges = np.linspace(0, len(steps), most // 2 + 1).astype(int)
    kept = set()
    for begin, end in pairwise(edges):
        part = values[begin:end]
        if not np.isfinite(part).any():
            kept.add(begin)
            continue
        kept.update((begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))))
    index = np.array(sorted(kept | {len(steps) - 1}))
    return steps[index], values[index]


def cut_after(path: Path, step: int) -> None:
    """Drop the rows after a step, before a run resumes from there."""
    if not path.exists():
        return
    rows = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    kept = b"".join(row for row in rows if json.loads(row)["step"] <= step)
    write_whole(path, kept)  # written beside the old file, so its inode is another: readers start again
