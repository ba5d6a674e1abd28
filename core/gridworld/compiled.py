"""How the loops of this folder are compiled: by numba, kept on disk, and never stale."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import numba

MONTH = 30 * 24 * 3600  # s


def _keep() -> bool:
    """Let numba keep what it compiles in the user's cache; False if there is no folder to write to.

    numba looks only at the file of a function to see whether it has changed, not at those it calls. A folder named by the hash
    of all the files here keeps an update of Manabi from running yesterday's code.
    """
    here = Path(__file__).parent
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.rglob("*.py")))).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    folder = base / "manabi" / f"compiled-{stamp}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.glob("compiled-*"):  # of versions that nobody has used for a month
            if time.time() - other.stat().st_mtime > MONTH:
                shutil.rmtree(other, ignore_errors=True)
        os.utime(folder)
    except OSError:
        return False
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return os.access(folder, os.W_OK)


KEEP = _keep()
# Without reference counts, for code that makes no arrays: counting the two dozen that travel along takes nine of ten seconds.
lean: Any = partial(numba.njit, cache=KEEP, _nrt=False)
