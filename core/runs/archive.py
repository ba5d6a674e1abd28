"""A run as a zip: to keep, to share, to bring back. What comes in is untrusted and checked piece by piece."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import time
import zipfile
from pathlib import Path, PurePosixPath

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from core import capabilities
from core.errors import UserError
from core.runs import store
from core.runs.files import write_whole

MAX_BYTES = 50 * 2**20  # of the zip
MAX_UNPACKED = 200 * 2**20
MAX_ENTRIES = 500
_PLAIN = {"run.json", "label.txt", store.METRICS, store.RESULT, store.CHECKPOINT}


def pack(run_id: str) -> bytes:
    """A run as a zip: settings, metrics, samples, weights, verdict, dataset, and a standalone script."""
    folder, run = store.folder(run_id), store.read(run_id)
    wanted = _PLAIN | set(capabilities.module(run.capability, "data").FILES)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            if path.name in wanted:
                archive.write(path, path.name)
        for path in sorted((folder / "samples").glob("*.safetensors")):
            archive.write(path, f"samples/{path.name}")
        for name, content in capabilities.module(run.capability, "export").files(run_id).items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unpack(content: bytes) -> str:
    """A new run from a zip that `pack` made; returns its id. Raises `UserError` for anything else.

    Names in the zip choose nothing but one of the files that a run has; every file is read and checked.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"This zip has {len(content) / 2**20:.0f} MB; the limit is {MAX_BYTES // 2**20} MB.")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise UserError("This is not a zip, or it is damaged.") from None
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise UserError("This zip unpacks to more than a run ever has.")
    names = {entry.filename: entry for entry in entries}
    if "run.json" not in names:
        raise UserError("This zip holds no run: run.json is missing. Bring one that 'Download' on this page made.")
    run = _record(archive.read("run.json") if names["run.json"].file_size < 2**20 else b"")
    new = run.model_copy(update={"id": secrets.token_hex(16), "engine": "", "worker": "", "pid": 0, "created": time.time()})
    folder = store.root() / new.id
    try:
        (folder / "samples").mkdir(parents=True)
        for entry in entries:
            target = _target(folder, entry.filename, run.capability)
            if target:
                target.write_bytes(_bounded(archive, entry))
        write_whole(folder / "run.json", new.model_dump_json(indent=1))
        _check(new, folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError)) or type(error).__name__ == "error":
            raise UserError("This zip is damaged.") from None
        raise
    return new.id


def _record(content: bytes) -> store.Run:
    try:
        run = store.Run.model_validate_json(content)
    except ValidationError:
        raise UserError("The run.json in this zip is not one of Manabi's.") from None
    run.settings()  # raises UserError for unknown capabilities and settings out of bounds
    if run.active:
        run = run.model_copy(update={"status": "interrupted", "note": "It was under way when it was downloaded."})
    return run


def _target(folder: Path, name: str, capability: str) -> Path | None:
    """Where a zip entry goes, chosen from what a run has; None for anything else."""
    if name in _PLAIN - {"run.json"} | set(capabilities.module(capability, "data").FILES):
        return folder / name
    path = PurePosixPath(name)
    if (
        len(path.parts) == 2
        and path.parts[0] == "samples"
        and path.suffix == ".safetensors"
        and path.stem.isdigit()
        and len(path.stem) == 8
    ):
        return folder / "samples" / path.name
    return None


def _bounded(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) > entry.file_size:
        raise UserError("This zip lies about the size of its files.")
    return content


def _check(run: store.Run, folder: Path) -> None:
    """Read every file once as the page will. Raises `UserError`."""
    capabilities.module(run.capability, "data").load(folder)
    for path in [*folder.glob("samples/*"), *folder.glob(store.CHECKPOINT)]:
        try:
            with safe_open(path, framework="numpy") as file:
                list(file.keys())
                json.loads((file.metadata() or {}).get("state", "{}"))
        except (SafetensorError, ValueError):
            raise UserError(f"{path.name} in this zip is damaged.") from None
    try:
        for line in (folder / store.METRICS).read_bytes().splitlines() if (folder / store.METRICS).exists() else []:
            row = json.loads(line)
            int(row["step"])
            [float(value) for value in row.values()]
        if (folder / store.RESULT).exists() and not isinstance(json.loads((folder / store.RESULT).read_bytes()), dict):
            raise ValueError
        if (folder / "label.txt").exists():
            store.rename(run.id, (folder / "label.txt").read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError("The metrics or the verdict in this zip are damaged.") from None
