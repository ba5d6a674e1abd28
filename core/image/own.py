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
from core.image.data import MOST_CLASSES, MOST_PICTURES, Pictures, split
from core.runs import uploads

NO_FOLDER = "no folder"
LISTED, THUMBNAIL = 300, 64  # pictures of a zip that are looked through, pixels a side


def from_zip(upload_id: str, size: int, colour: bool, left_out: Sequence[int] = (), renamed: Mapping[str, str] | None = None) -> Pictures:
    """Pictures of a zip, centre-cropped to `size` pixels, shuffled and split class by class: 70 % to learn from.

    left_out: numbers of pictures, in the order of the zip, that the visitor took away; renamed: number -> another class.
    Raises `UserError` if two classes do not remain.
    """
    values, folders, notes = pictures.of_zip(uploads.content(upload_id), size, colour, MOST_PICTURES)
    kept = [n for n in range(len(values)) if n not in set(left_out)]
    changed = renamed or {}
    kinds = [changed.get(str(n), folders[n] or NO_FOLDER)[:40] for n in kept]
    return labelled(uploads.title(upload_id), values[kept], kinds, notes)


def listing(upload_id: str) -> list[dict[str, Any]]:
    """The first pictures of a zip to look through: number in the zip, class, a small picture as a data URL."""
    values, folders, _ = pictures.of_zip(uploads.content(upload_id), THUMBNAIL, True, LISTED)
    found = []
    for n, (picture, folder) in enumerate(zip(values, folders, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(picture.transpose(1, 2, 0)).save(buffer, "JPEG", quality=80)
        url = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        found.append({"number": n, "class": folder or NO_FOLDER, "picture": url})
    return found


def labelled(name: str, values: np.ndarray, kinds: list[str], notes: list[str]) -> Pictures:
    """A dataset from pictures and the names of their classes. Raises `UserError` for fewer than two classes or too many."""
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


def doubles(values: np.ndarray, labels: np.ndarray) -> int:
    """How many pictures stand in more than one class."""
    seen: dict[bytes, set[int]] = {}
    for picture, label in zip(values, labels, strict=True):
        seen.setdefault(hashlib.sha256(picture.tobytes()).digest(), set()).add(int(label))
    return sum(len(kinds) > 1 for kinds in seen.values())
