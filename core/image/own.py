"""What a visitor brings: a zip whose folders name the classes. Read in a worker; pages call these functions by name."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from core import pictures
from core.errors import UserError
from core.image.data import MOST_CLASSES, Pictures, most, split
from core.runs import uploads

NO_FOLDER = "no folder"
LISTED, THUMBNAIL = 300, 64  # pictures of a zip that are looked through, pixels a side


def from_zip(upload_id: str, size: int, colour: bool, left_out: Sequence[int] = (), renamed: Mapping[str, str] | None = None) -> Pictures:
    """Pictures of a zip, centre-cropped to `size` pixels, shuffled and split class by class: 70 % to learn from.

    left_out: numbers of pictures, in the order of the zip, that the visitor took away; renamed: number -> another class.
    Raises `UserError` if two classes do not remain.
    """
    values, paths, notes = pictures.of_zip(_zip(upload_id), size, colour, most(size))
    folders = [pictures.folder_of(path) for path in paths]
    kept = [n for n in range(len(values)) if n not in set(left_out)]
    changed = renamed or {}
    kinds = [" ".join(changed.get(str(n), folders[n]).split())[:40] or NO_FOLDER for n in kept]
    return labelled(uploads.title(upload_id), values[kept], kinds, notes)


def _zip(upload_id: str) -> bytes:
    """An upload as a zip: a single picture is one of one."""
    content = uploads.content(upload_id)
    return content if content.startswith(b"PK") else pictures.bundle({uploads.title(upload_id): content})


def listing(upload_id: str) -> list[dict[str, Any]]:
    """The first pictures of a zip to look through: number in the zip, class, a small picture as a data URL."""
    values, paths, _ = pictures.of_zip(_zip(upload_id), THUMBNAIL, True, LISTED)
    found = []
    for n, (picture, path) in enumerate(zip(values, paths, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(picture.transpose(1, 2, 0)).save(buffer, "JPEG", quality=80)
        url = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        found.append({"number": n, "class": pictures.folder_of(path) or NO_FOLDER, "picture": url})
    return found


def labelled(name: str, values: np.ndarray, kinds: list[str], notes: list[str]) -> Pictures:
    """A dataset from pictures and the names of their classes. Raises `UserError` for fewer than two classes or too many."""
    again = repeated(values, kinds)
    if again:
        kept = [n for n in range(len(values)) if n not in again]
        values, kinds = values[kept], [kinds[n] for n in kept]
        notes = [*notes, f"{len(again)} picture{'s' if len(again) > 1 else ''} of the same class came twice and count once."]
    counts = Counter(kinds)
    if len(counts) < 2:
        raise UserError(
            f"All {len(kinds)} pictures are of one class, so there is nothing to tell apart. Put the pictures of each class in a folder "
            "of its own, and zip the folders."
        )
    if len(counts) > MOST_CLASSES:
        raise UserError(f"These are {len(counts)} classes; at most {MOST_CLASSES} can be learned.")
    classes = tuple(sorted(counts))
    labels = np.array([classes.index(kind) for kind in kinds], np.int64)
    said = list(notes)
    alone = [kind for kind in classes if counts[kind] == 1]
    if alone:
        said.append(f"Only one picture of {', '.join(alone[:5])}: it is learned from, and nothing can be said of its accuracy.")
    if twice := doubles(values, labels):
        said.append(f"{twice} picture{'s stand' if twice > 1 else ' stands'} in two classes: one of the two answers must be wrong.")
    values, labels, train = split(values, labels)
    return Pictures(name, values, labels, classes, train, notes=tuple(said))


def repeated(values: np.ndarray, kinds: Sequence[str]) -> set[int]:
    """Numbers of pictures that stood in the same class before: held out, they would have been learned from."""
    seen: set[tuple[bytes, str]] = set()
    found = set()
    for n, (picture, kind) in enumerate(zip(values, kinds, strict=True)):
        key = (hashlib.sha256(picture.tobytes()).digest(), kind)
        if key in seen:
            found.add(n)
        seen.add(key)
    return found


def doubles(values: np.ndarray, labels: np.ndarray) -> int:
    """How many pictures stand in more than one class."""
    seen: dict[bytes, set[int]] = {}
    for picture, label in zip(values, labels, strict=True):
        seen.setdefault(hashlib.sha256(picture.tobytes()).digest(), set()).add(int(label))
    return sum(len(kinds) > 1 for kinds in seen.values())
