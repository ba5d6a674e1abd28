"""Run folders: the truth about every run. Needs neither torch nor an engine.

    <MANABI_RUNS>/<run id>/
        run.json              what was asked for and how it stands      label.txt     the visitor's name for it
        control.json          what the visitor wants now                metrics.jsonl a row per step
        checkpoint.safetensors  samples/<step>.safetensors              result.json   the verdict
        and the dataset, in files of the capability's own
    <MANABI_RUNS>/visitors/<hash>/<run id>       empty files: the runs a visitor started or opened
    <MANABI_RUNS>/uploads/<id>/                  what visitors brought, before it becomes a dataset

Finished example runs that ship with a capability lie in `core/<capability>/examples/<name>/` and have the id
`example-<capability>-<name>`; they are read only.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from core import capabilities
from core.config import Config, read_config
from core.errors import UserError
from core.runs import files

Status = Literal["queued", "running", "paused", "finished", "stopped", "failed", "interrupted"]
ACTIVE = frozenset({"queued", "running", "paused"})
CHECKPOINT, METRICS, RESULT = "checkpoint.safetensors", "metrics.jsonl", "result.json"
MOST_SAMPLES = 120  # pictures of one run's history; past that the one with the closest neighbours goes
_ID = re.compile(r"[0-9a-f]{32}")  # 128 random bits
_EXAMPLE = re.compile(r"example-([a-z]+)-([a-z0-9-]+)")


class UnknownRun(UserError):
    """No run has this id: deleted, expired, or a link that was cut short."""


class Run(BaseModel):
    """`run.json`. Times are seconds since 1970."""

    model_config = ConfigDict(extra="forbid")

    id: str
    capability: str
    config: dict[str, Any]
    data: str = ""  # the dataset's name, for people
    mates: list[str] = Field(default_factory=list)  # runs started together with it (a race)
    status: Status = "queued"
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    step: int = 0
    total: int = 0
    first_step: int = 0  # where the latest start began: 0, or the checkpoint it was resumed from
    seconds: float = 0.0  # spent under way so far, pauses included
    owner: str = ""  # hash of the visitor who started it: others may watch, not touch
    device: str = ""
    note: str = ""  # why it failed, was interrupted or stopped early: a sentence
    result: Literal["none", "pending", "ready", "failed"] = "none"
    engine: str = ""  # which engine runs it
    worker: str = ""  # address of the Dask worker that runs it
    pid: int = 0
    max_steps: int = 0  # limits of a demo; 0: none
    max_seconds: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it waits, trains or pauses."""
        return self.status in ACTIVE

    @property
    def settled(self) -> bool:
        """Whether nothing about it will change by itself any more."""
        return not self.active and self.result != "pending"

    def settings(self) -> Config:
        """The settings as the capability's own, validated `Config`."""
        return read_config(capabilities.config_class(self.capability), self.config)


def root() -> Path:
    """Where run folders live: `MANABI_RUNS`, or `runs/` in the working directory."""
    path = Path(os.environ.get("MANABI_RUNS", "runs")).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def folder(run_id: str) -> Path:
    """The folder of a run. Raises `UnknownRun`; an id from a link can't lead anywhere else."""
    if match := _EXAMPLE.fullmatch(run_id):
        path = capabilities.CORE / match[1] / "examples" / match[2]
    elif _ID.fullmatch(run_id):
        path = root() / run_id
    else:
        raise UnknownRun("This is not the id of a run.")
    if not (path / "run.json").is_file():
        raise UnknownRun("This run does not exist here any more: it was deleted, it expired, or the link was cut short.")
    return path


def examples(capability: str) -> list[str]:
    """Ids of the finished runs that come with a capability."""
    found = (capabilities.CORE / capability / "examples").glob("*/run.json")
    return sorted(f"example-{capability}-{path.parent.name}" for path in found)


def exists(run_id: str) -> bool:
    """Whether there is a run of this id."""
    try:
        return folder(run_id).is_dir()
    except UnknownRun:
        return False


def is_example(run_id: str) -> bool:
    """Whether a run ships with Manabi and must stay as it is."""
    return run_id.startswith("example-")


def versions() -> dict[str, str]:
    """Versions that a run's numbers depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy", "pandas")}}


def create(capability: str, config: Config, dataset: Any, *, data: str = "", owner: str = "") -> Run:
    """Make the folder of a new run with its settings and dataset. Raises `UserError` if the disk is full."""
    run = Run(
        id=secrets.token_hex(16),
        capability=capability,
        config=config.model_dump(),
        data=data,
        owner=owner,
        created=time.time(),
        versions=versions(),
    )
    path = root() / run.id
    try:
        (path / "samples").mkdir(parents=True)
        files.reserve(path)
        capabilities.module(capability, "data").save(dataset, path)
        save_run(run)
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        if files.disk_full(error):
            raise UserError("The disk is full, so no new run fits. Delete runs you no longer need and try again.") from None
        raise
    return run


def read(run_id: str) -> Run:
    """What `run.json` says. Raises `UnknownRun`."""
    path = folder(run_id) / "run.json"
    try:
        run = Run.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        raise UnknownRun("The record of this run can't be read.") from None
    if is_example(run_id):
        return run.model_copy(update={"id": run_id, "mates": [mate for mate in examples(run.capability) if mate != run_id]})
    return run


def save_run(run: Run) -> None:
    """Write `run.json`, on a full disk too. The run's owner does: the page before it starts, then its worker."""
    files.write_last_words(root() / run.id / "run.json", run.model_dump_json(indent=1))


def change(run_id: str, **facts: Any) -> Run:
    """Read, change and write the record of a run; returns the new one."""
    run = read(run_id).model_copy(update=facts)
    save_run(run)
    return run


def name(run: Run) -> str:
    """The visitor's name for a run, or one made of its settings."""
    label = folder(run.id) / "label.txt"
    if label.is_file():
        return label.read_text(encoding="utf-8")
    cell = str(run.config.get("model", run.config.get("method", run.capability))).upper()
    cell = str(run.config.get("network", cell))  # written as its authors write it: LeNet
    return f"{cell} · {run.data}" if run.data else cell


def rename(run_id: str, text: str) -> None:
    """Give a run a name of at most 80 characters; an empty one takes it away. Raises `UserError` for an example."""
    label = _own(run_id) / "label.txt"
    text = " ".join(text.split())[:80]
    if text:
        try:
            files.write_whole(label, text)
        except OSError as error:
            if files.disk_full(error):
                raise UserError("The disk is full, so the name can't be kept.") from None
            raise
    else:
        label.unlink(missing_ok=True)


def delete(run_id: str) -> None:
    """Remove a run and all that belongs to it. Raises `UserError` for an example or an active run."""
    path = _own(run_id)
    if read(run_id).active:
        raise UserError("Stop this run before you delete it.")
    shutil.rmtree(path)


def _own(run_id: str) -> Path:
    if is_example(run_id):
        raise UserError("The examples that come with Manabi stay as they are.")
    return folder(run_id)


def all_ids() -> list[str]:
    """Ids of all run folders: for retention and status checks, never for a page."""
    return [path.name for path in root().iterdir() if _ID.fullmatch(path.name) and (path / "run.json").is_file()]


def others_wait(mine: Run) -> bool:
    """Whether a run of another visitor waits for a worker of the same engine."""
    for run_id in all_ids():
        with suppress(UnknownRun):
            run = read(run_id)
            if run.status == "queued" and run.engine == mine.engine and run.owner != mine.owner:
                return True
    return False


def result(run_id: str) -> dict[str, Any] | None:
    """The verdict of a run, or None while there is none."""
    try:
        return json.loads((folder(run_id) / RESULT).read_bytes())
    except FileNotFoundError:
        return None


def checkpoint_step(run_id: str) -> int:
    """The step that the last checkpoint holds, 0 if there is none. Reads the header only, without torch."""
    try:
        with safe_open(folder(run_id) / CHECKPOINT, framework="numpy") as file:
            return int(json.loads((file.metadata() or {}).get("state", "{}")).get("step", 0))
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError):
        return 0


def dataset(run_id: str) -> Any:
    """The dataset of a run, loaded by its capability."""
    return capabilities.module(read(run_id).capability, "data").load(folder(run_id))


# pictures of the run's history


def write_sample(path: Path, step: int, arrays: dict[str, np.ndarray]) -> None:
    """Keep what a step looked like; thins out the history evenly when it grows long."""
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # memory is saved as it lies
    files.write_whole(path / "samples" / f"{step:08d}.safetensors", save(ordered))
    kept = sorted((path / "samples").glob("*.safetensors"))
    if len(kept) > MOST_SAMPLES:
        steps = [int(other.stem) for other in kept]
        least = min(range(1, len(kept) - 1), key=lambda n: steps[n + 1] - steps[n - 1])
        kept[least].unlink(missing_ok=True)


def sample_steps(run_id: str) -> list[int]:
    """Steps of which a sample was kept, in order."""
    return sorted(int(path.stem) for path in (folder(run_id) / "samples").glob("[0-9]*.safetensors"))


def sample(run_id: str, step: int) -> dict[str, np.ndarray]:
    """The arrays of one step's sample; empty if it was thinned out meanwhile."""
    try:
        return load_file(folder(run_id) / "samples" / f"{step:08d}.safetensors")
    except (FileNotFoundError, OSError):
        return {}


# who has seen which run


def owner_of(visitor: str) -> str:
    """What is stored of a visitor's cookie: its hash."""
    return hashlib.sha256(visitor.encode()).hexdigest()[:32]


def _visitor(visitor: str) -> Path:
    return root() / "visitors" / owner_of(visitor)


def remember(visitor: str, run_id: str) -> None:
    """Put a run on a visitor's list. The cookie itself is never stored, only its hash."""
    path = _visitor(visitor)
    path.mkdir(parents=True, exist_ok=True)
    (path / folder(run_id).name if not is_example(run_id) else path / run_id).touch()


def forget(visitor: str, run_id: str) -> None:
    """Take a run off a visitor's list."""
    if _ID.fullmatch(run_id):
        (_visitor(visitor) / run_id).unlink(missing_ok=True)


def of(visitor: str) -> list[Run]:
    """The runs on a visitor's list that still exist, newest first."""
    path = _visitor(visitor)
    runs = []
    for entry in path.iterdir() if path.is_dir() else []:
        try:
            runs.append(read(entry.name))
        except UnknownRun:
            entry.unlink(missing_ok=True)
    return sorted(runs, key=lambda run: run.created, reverse=True)
