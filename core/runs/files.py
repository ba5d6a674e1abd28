"""Files that are never seen half written, and never lost to a full disk without a word."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

RESERVE = "reserve"  # a few kB kept in each run folder, so that a full disk can still be reported
_RESERVE_BYTES = 64 * 1024


def write_whole(path: Path, content: str | bytes) -> None:
    """Write to a temporary name, flush to the disk, rename: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_last_words(path: Path, content: str) -> None:
    """`write_whole`, giving up the folder's reserve if the disk is full."""
    try:
        write_whole(path, content)
    except OSError as error:
        if not disk_full(error):
            raise
        (path.parent / RESERVE).unlink(missing_ok=True)
        write_whole(path, content)


def reserve(folder: Path) -> None:
    """Set aside the space that `write_last_words` may need."""
    (folder / RESERVE).write_bytes(os.urandom(_RESERVE_BYTES))


def disk_full(error: BaseException) -> bool:
    """Whether this error says that nothing more fits on the disk (or in the quota)."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def size(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
