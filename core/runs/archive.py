"""A run as a zip: to keep, to share, to bring back. What comes in is untrusted and checked piece by piece."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from core import capabilities
from core.errors import UserError
from core.runs import retention, store
from core.runs.files import disk_full, write_whole

MAX_BYTES = 50 * 2**20  # of the zip
MAX_UNPACKED = 200 * 2**20
MAX_ENTRIES = 500
MOST_STEPS = 10**9  # that any training has
_PLAIN = {"run.json", "label.txt", store.METRICS, store.RESULT, store.CHECKPOINT}


def pack(run_id: str) -> bytes:
    """A run as a zip: settings, metrics, samples, weights, verdict, dataset, and a standalone script."""
    folder, run = store.folder(run_id), store.read(run_id)
    wanted = _PLAIN | set(capabilities.module(run.capability, "data").FILES)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.json", run.model_copy(update={"owner": "", "mates": []}).model_dump_json(indent=1))
        for path in sorted(folder.iterdir()):
            if path.name in wanted and path.name != "run.json":
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
    names = {entry.filename: entry for entry in entries}
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries if _known(entry.filename)) > MAX_UNPACKED:
        raise UserError("This zip unpacks to more than a run ever has.")
    if "run.json" not in names:
        raise UserError("This zip holds no run: run.json is missing. Bring one that 'Pack' made.")
    retention.enforce()
    new_id = secrets.token_hex(16)
    folder = store.root() / new_id
    try:
        run = _record(_bounded(archive, names["run.json"]))
        new = run.model_copy(update={"id": new_id, "created": time.time()})
        (folder / "samples").mkdir(parents=True)
        for entry in entries:
            target = _target(folder, entry.filename, run.capability)
            if target:
                target.write_bytes(_bounded(archive, entry))
        _check(new, folder)
        write_whole(folder / "run.json", new.model_dump_json(indent=1))
        if (folder / store.CHECKPOINT).exists():  # never trust a verdict: find it again
            verdict = capabilities.module(new.capability, "predict").evaluate(new_id)
            write_whole(folder / store.RESULT, json.dumps(verdict))
            store.change(new_id, result="ready")
        if (folder / "label.txt").exists():
            store.rename(new_id, (folder / "label.txt").read_text(encoding="utf-8", errors="replace"))
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if disk_full(error):
            raise UserError("The disk is full, so the run could not be brought back. Nothing was kept of it.") from None
        if isinstance(error, (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError)):
            raise UserError("This zip is damaged.") from None
        raise
    return new_id


def _known(name: str) -> bool:
    """Whether an entry may be one that `_target` takes: its size counts."""
    return name in _PLAIN or name.startswith("samples/") or ("/" not in name and not name.endswith((".py", ".csv")))


def _record(content: bytes) -> store.Run:
    try:
        run = store.Run.model_validate_json(content)
    except ValidationError:
        raise UserError("The run.json in this zip is not one of Manabi's.") from None
    config = run.settings().model_dump()  # raises UserError for unknown capabilities and settings out of bounds
    if run.active:
        run = run.model_copy(update={"status": "interrupted", "note": "It was under way when it was downloaded."})
    return run.model_copy(update={"engine": "", "worker": "", "pid": 0, "owner": "", "mates": [], "result": "none", "config": config})


def _target(folder: Path, name: str, capability: str) -> Path | None:
    """Where a zip entry goes, chosen from what a run has; None for anything else."""
    if name in _PLAIN - {"run.json", store.RESULT} | set(capabilities.module(capability, "data").FILES):
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
                state = json.loads((file.metadata() or {}).get("state", "{}"))
                int(state.get("step", 0))
        except (SafetensorError, ValueError, TypeError, AttributeError):
            raise UserError(f"{path.name} in this zip is damaged.") from None
    try:
        for line in (folder / store.METRICS).read_bytes().splitlines() if (folder / store.METRICS).exists() else []:
            row = json.loads(line)
            if not 0 <= int(row["step"]) <= MOST_STEPS:
                raise ValueError
            [float(value) for value in row.values()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError("The metrics in this zip are damaged.") from None
