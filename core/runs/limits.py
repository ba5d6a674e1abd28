"""What a public demo allows (`MANABI_DEMO=1`). Each cap can be set by a variable of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Caps of one installation; 0 means no cap."""

    max_steps: int = 0  # optimiser steps of one run
    max_seconds: float = 0.0  # from start to end of one run, pauses included
    runs_per_visitor: int = 0  # active at the same time
    max_queued: int = 0  # waiting, of all visitors together
    keep_days: float = 0.0  # age at which settled runs are deleted
    keep_gib: float = 0.0  # size of all run folders above which the oldest go


_DEMO = Limits(max_steps=5000, max_seconds=180, runs_per_visitor=3, max_queued=20, keep_days=7, keep_gib=5)


def demo() -> bool:
    """Whether this is a public demo."""
    return os.environ.get("MANABI_DEMO", "") not in {"", "0"}


def limits() -> Limits:
    """The caps in force: none at home, the demo's (or `MANABI_DEMO_MAX_STEPS` and the like) in a demo."""
    if not demo():
        return Limits()
    return Limits(
        max_steps=int(os.environ.get("MANABI_DEMO_MAX_STEPS", _DEMO.max_steps)),
        max_seconds=float(os.environ.get("MANABI_DEMO_MAX_SECONDS", _DEMO.max_seconds)),
        runs_per_visitor=int(os.environ.get("MANABI_DEMO_RUNS_PER_VISITOR", _DEMO.runs_per_visitor)),
        max_queued=int(os.environ.get("MANABI_DEMO_MAX_QUEUED", _DEMO.max_queued)),
        keep_days=float(os.environ.get("MANABI_DEMO_KEEP_DAYS", _DEMO.keep_days)),
        keep_gib=float(os.environ.get("MANABI_DEMO_KEEP_GIB", _DEMO.keep_gib)),
    )
