"""Checkpoints on disk: one safetensors file, its JSON state in the header. Imports torch: for workers only."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from core.errors import UserError
from core.progress import Checkpoint
from core.runs import store
from core.runs.files import write_whole


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
