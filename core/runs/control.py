"""`control.json`: what the visitor wants of a run. The page asks, the worker looks a few times a second."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.runs.files import disk_full, write_last_words, write_whole

LOOK_EVERY = 0.2  # s between two looks while running
LOOK_PAUSED = 0.05  # s, while paused or waiting in slow motion
LOOK_ROUND = 2.0  # s between two looks at whether others wait
PATIENCE = 300.0  # s that a run may stand paused while others wait: it holds a worker (`MANABI_PAUSE_SECONDS`)


def ask(folder: Path, **wanted: Any) -> None:
    """Change what is wanted; the newest wish wins.

    state="running" | "paused" | "stopped"; steps=3 runs three steps, then pauses; speed=2.0 is slow motion in
    steps a second (0: full speed); settings={"learning_rate": 0.01} changes live settings.
    """
    path = folder / "control.json"
    old: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    new = {"state": "running", "speed": 0.0, **old, **wanted}
    new["settings"] = {**old.get("settings", {}), **wanted.get("settings", {})}
    new["asked"] = old.get("asked", 0) + 1  # so that asking for one step twice is two wishes
    if "steps" in wanted:
        new["state"] = "paused"
    else:
        new.pop("steps", None)
    try:
        write = write_last_words if new["state"] == "stopped" else write_whole  # a run on a full disk can still be stopped
        write(path, json.dumps(new))
    except OSError as error:
        if disk_full(error):
            raise UserError("The disk is full, so this can't be passed on to the run.") from None
        raise


def wanted(folder: Path) -> dict[str, Any]:
    """What is wanted now: state, speed, settings."""
    try:
        return {"state": "running", "speed": 0.0, "settings": {}, **json.loads((folder / "control.json").read_bytes())}
    except FileNotFoundError:
        return {"state": "running", "speed": 0.0, "settings": {}}


def patience() -> float:
    """Seconds that a run may stand paused while others wait."""
    return float(os.environ.get("MANABI_PAUSE_SECONDS", PATIENCE))


def reset(folder: Path) -> None:
    """Forget old wishes before a run starts or resumes, or it would obey the last `stopped`."""
    (folder / "control.json").unlink(missing_ok=True)


class Control:
    """The worker's side. `wait()` goes before each step: it blocks while paused and says False to stop."""

    def __init__(
        self, folder: Path, on_pause: Any = lambda paused: None, seconds: float = 0.0, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        self.path = folder / "control.json"
        self.deadline = time.monotonic() + seconds if seconds else 0.0  # a demo's cap: pauses count too
        self.out_of_time = False
        self.on_pause = on_pause  # called with True when a pause begins, with False when it ends
        self.crowded = crowded  # whether others wait for this worker
        self.made_room = False
        self.state, self.speed, self.steps = "running", 0.0, 0
        self.settings: dict[str, Any] = {}
        self.changed = False  # settings changed since the loop last took them
        self._resting = False  # a pause was told, and its end not yet
        self._seen: tuple[int, int] | None = None
        self._due = self._last_step = 0.0

    def wait(self) -> bool:
        """Before each step: look, pause, keep to slow motion. False: stop."""
        if time.monotonic() >= self._due:
            self._look()
        if self.state == "paused" and not self.steps:
            self._resting = True
            self.on_pause(True)
            due = time.monotonic() + patience()
            while self.state == "paused" and not self.steps:
                time.sleep(LOOK_PAUSED)
                self._look()
                if self.state == "paused" and time.monotonic() > due:
                    due = time.monotonic() + LOOK_ROUND
                    if self.crowded():
                        self.state, self.made_room = "stopped", True
        if self._resting and self.state == "running":  # also where Resume came during a single step
            self._resting = False
            self.on_pause(False)
        while self.state == "running" and self.speed and time.monotonic() < self._last_step + 1 / self.speed:
            time.sleep(min(LOOK_PAUSED, max(0.0, self._last_step + 1 / self.speed - time.monotonic())))
            self._look()
        if self.state == "paused" and not self.steps:
            return self.wait()
        self.steps = max(0, self.steps - 1)
        self._last_step = time.monotonic()
        return self.state != "stopped"

    def not_counted(self) -> None:
        """The last step was taken without the settings that were asked for with it: it is not one of those granted in a pause."""
        if self.state == "paused":
            self.steps += 1

    def take_settings(self) -> dict[str, Any] | None:
        """Live settings that changed since the last call, or None."""
        if not self.changed:
            return None
        self.changed = False
        return self.settings

    def _look(self) -> None:
        self._due = time.monotonic() + LOOK_EVERY
        if self.deadline and time.monotonic() > self.deadline:
            self.state, self.out_of_time = "stopped", True
            return
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            return
        stamp = (stat.st_mtime_ns, stat.st_ino)  # two writes in one clock tick still differ in the inode
        if stamp == self._seen:
            return
        asked = json.loads(self.path.read_bytes())
        self._seen = stamp
        self.state, self.speed, self.steps = asked["state"], float(asked["speed"]), int(asked.get("steps", 0))
        if asked["settings"] != self.settings:
            self.settings, self.changed = asked["settings"], True
