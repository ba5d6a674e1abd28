"""Retention in a public demo: old runs and uploads go, and the oldest when all together grow too large."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from core import log
from core.runs import files, store
from core.runs.limits import limits

EVERY = 60.0  # s between two looks over the whole folder
UNDER_WAY = 3600.0  # s since its last sign of life after which a run can't be under way any more
_last = 0.0


def enforce() -> None:
    """Prune by the limits in force, at most once a minute; called where something new is about to be stored."""
    global _last
    caps = limits()
    if caps.keep_days and time.monotonic() - _last > EVERY:
        _last = time.monotonic()
        gone = prune(caps.keep_days, caps.keep_gib)
        log.event("pruned", folders=gone)


def prune(days: float, gib: float) -> int:
    """Delete uploads and runs older than `days`, then the oldest (uploads first) until all fit in `gib`.

    What is under way stays. Returns how many folders went.
    """
    uploads = store.root() / "uploads"
    folders = list(uploads.iterdir()) if uploads.is_dir() else []
    runs = [store.root() / run_id for run_id in store.all_ids()]
    old_first = sorted(folders, key=_age, reverse=True) + sorted(runs, key=_age, reverse=True)
    sizes = {path: files.size(path) for path in old_first}
    total, gone = sum(sizes.values()), 0
    for path in old_first:
        if (_age(path) > days * 86400 or total > gib * 2**30) and not _under_way(path):
            shutil.rmtree(path, ignore_errors=True)
            total -= sizes[path]
            gone += 1
    return gone


def _age(path: Path) -> float:
    """Seconds since the newest change of a folder's own files."""
    try:
        return time.time() - max(entry.stat().st_mtime for entry in [path, *path.iterdir()])
    except FileNotFoundError:
        return 0.0


def _under_way(path: Path) -> bool:
    try:
        return store.read(path.name).active and _age(path) < UNDER_WAY
    except store.UnknownRun:
        return False
