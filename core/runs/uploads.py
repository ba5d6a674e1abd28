"""What visitors bring, spooled to disk under an unguessable id until it becomes a dataset."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from core.errors import UserError
from core.runs import files, retention, store

MAX_BYTES = 50 * 2**20
_ID = re.compile(r"[0-9a-f]{32}")


def save(content: bytes, title: str) -> str:
    """Keep a file's bytes and its name (for people only); returns the id. Raises `UserError` if it is too large."""
    if len(content) > MAX_BYTES:
        raise UserError(f"This file has {len(content) / 2**20:.0f} MB; the limit is {MAX_BYTES // 2**20} MB.")
    retention.enforce()
    upload_id = secrets.token_hex(16)
    folder = store.root() / "uploads" / upload_id
    try:
        folder.mkdir(parents=True)
        files.write_whole(folder / "raw", content)
        files.write_whole(folder / "title.txt", title[:120])
    except OSError as error:
        if files.disk_full(error):
            raise UserError("The disk is full, so this file can't be kept.") from None
        raise
    return upload_id


def path(upload_id: str) -> Path:
    """The folder of an upload. Raises `UserError` if there is none (any more)."""
    folder = store.root() / "uploads" / upload_id
    if not _ID.fullmatch(upload_id) or not (folder / "raw").is_file():
        raise UserError("The file of this link is no longer here. Bring it again.")
    return folder


def title(upload_id: str) -> str:
    """The file's name as the visitor's browser told it. Never build a path from it."""
    return (path(upload_id) / "title.txt").read_text(encoding="utf-8", errors="replace")


def annotate(upload_id: str, visitor: str, words: str) -> None:
    """Keep a few words of a visitor's with an upload, in place of those before. Raises `UserError` if the disk is full."""
    try:
        files.write_whole(_notes(upload_id, visitor), words)
    except OSError as error:
        if files.disk_full(error):
            raise UserError("The disk is full, so this can't be kept.") from None
        raise


def notes(upload_id: str, visitor: str) -> str:
    """What `annotate` kept last of this visitor's, "" for nothing."""
    kept = _notes(upload_id, visitor)
    return kept.read_text(encoding="utf-8") if kept.exists() else ""


def _notes(upload_id: str, visitor: str) -> Path:
    return path(upload_id) / f"notes-{store.owner_of(visitor)}.txt"


def content(upload_id: str) -> bytes:
    """The file's bytes."""
    return (path(upload_id) / "raw").read_bytes()
