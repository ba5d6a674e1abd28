"""Checkpoints on disk: one safetensors file, its JSON state in the header. Imports torch: for workers only."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from core.config import Config
from core.errors import UserError
from core.progress import Checkpoint
from core.runs import store
from core.runs.files import write_whole

C = TypeVar("C", bound=Config)
D = TypeVar("D")
T = TypeVar("T")


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint as a whole."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    write_whole(folder / store.CHECKPOINT, save(tensors, metadata={"state": json.dumps(checkpoint.state)}))


def read(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint, None if there is none. Raises `UserError` if the file is damaged."""
    path = folder / store.CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {}).get("state", "{}"))
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, state)  # noqa: SIM118
    except (SafetensorError, ValueError):
        raise UserError("The weights of this run can't be read: the file is damaged.") from None


def opener(settings: type[C], load: Callable[[Path], D], build: Callable[[C, D, Checkpoint], T], keep: int = 6) -> Callable[[str], T]:
    """A function that opens a run by its id: `build(settings, data, checkpoint)` of what its folder holds.

    The last `keep` are kept in memory, each until its checkpoint changes. The function raises `UserError` if a run has no weights yet.
    """

    @functools.lru_cache(maxsize=keep)
    def kept(run_id: str, stamp: int) -> T:
        folder = store.folder(run_id)
        saved = read(folder) if stamp else None
        if saved is None:
            raise UserError("This run has no weights yet. Train it a little first.")
        return build(settings.model_validate(store.read(run_id).config), load(folder), saved)

    def opened(run_id: str) -> T:
        path = store.folder(run_id) / store.CHECKPOINT
        return kept(run_id, path.stat().st_mtime_ns if path.is_file() else 0)

    return opened
