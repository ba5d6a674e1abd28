"""What a visitor brings: a table of points, a picture whose dark parts become points, or a zip of pictures.

Everything is untrusted: sizes are looked at before anything is unpacked, and names lead nowhere. Pages call these functions by name.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from core import pictures, tables
from core.errors import UserError
from core.gan.data import COUNT, MOST_PICTURES, MOST_POINTS, Samples, split
from core.runs import uploads

MOST_CLASSES = 50
LARGEST = 1e15
INK = 40  # of 255: lighter than this is paper
DENSITY_SIZE = 400  # pixels of the longer side of a picture that becomes points


def kind_of(content: bytes) -> str:
    """ "pictures" (a zip), "picture" or "table", told from the first bytes."""
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return "table" if "xl/workbook.xml" in archive.namelist() else "pictures"
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
            raise UserError("This zip is damaged.") from None
    magic = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
    return "picture" if content.startswith(magic) or content[8:12] == b"WEBP" else "table"


def profile(upload_id: str) -> dict[str, Any]:
    """What was brought: `kind`; for a table also `rows`, `numbers` and `labels` (columns), `head`, `facts`."""
    content = uploads.content(upload_id)
    found: dict[str, Any] = {"kind": kind_of(content)}
    if found["kind"] == "table":
        table = tables.parse(content)
        labels = [str(c) for c in table.frame if 2 <= table.frame[c].nunique() <= MOST_CLASSES and c not in table.times()]
        found |= {"rows": len(table.frame), "numbers": table.numbers(), "labels": labels, "facts": table.facts}
        found["head"] = table.frame.head(8).astype(str)
    return found


def points_of_table(upload_id: str, x: str, y: str, label: str = "") -> Samples:
    """Two columns of a table as points. Raises `UserError` if they hold nothing to learn."""
    table = tables.parse(uploads.content(upload_id))
    if x not in table.numbers() or y not in table.numbers():
        raise UserError("Both columns must hold numbers.")
    frame = table.frame[[x, y] + ([label] if label else [])]
    values = frame.iloc[:, :2].to_numpy(np.float64)
    good = np.isfinite(values).all(1) & (frame[label].notna().to_numpy() if label else True)
    notes = [] if good.all() else [f"{(~good).sum():,} rows without two numbers were left out."]
    values, names = values[good], (frame[label].astype(str).to_numpy()[good] if label else None)
    if not len(values):
        raise UserError("No row holds two numbers.")
    if np.abs(values).max() > LARGEST:
        raise UserError(f"A value of {np.abs(values).max():.1e} is among the points; up to {LARGEST:.0e} can be learned from.")
    if len(values) > MOST_POINTS:
        rows = np.random.default_rng(0).permutation(len(values))[:MOST_POINTS]
        values, names = values[rows], None if names is None else names[rows]
        notes.append(f"{MOST_POINTS:,} of {int(good.sum()):,} points were drawn at random.")
    return _points(uploads.title(upload_id), values, names, notes)


def _points(name: str, values: np.ndarray, names: np.ndarray | None, notes: list[str]) -> Samples:
    values = values.astype(np.float32)
    if len(np.unique(values, axis=0)) < 2:
        raise UserError("All points are the same, at seven digits, so there is nothing to learn. Bring at least two different ones.")
    classes: tuple[str, ...] = ()
    labels = None
    if names is not None:
        found, labels = np.unique(names, return_inverse=True)
        classes = tuple(str(kind)[:40] for kind in found)
    values, labels, train = split(values, labels)
    if train == len(values):
        notes = [*notes, "So few points are all learned from: none are held out."]
    return Samples(name, values, train, labels, classes, notes=tuple(notes))


def points_of_picture(content: bytes, name: str) -> Samples:
    """Points drawn where a picture is dark, as many the darker. Raises `UserError` if it is blank or no picture."""
    picture, notes = pictures.open_picture(content)
    picture.thumbnail((DENSITY_SIZE, DENSITY_SIZE))
    ink = 255.0 - np.asarray(picture.convert("L"), np.float64)
    return points_of_ink(ink, name, notes)


def points_of_upload(upload_id: str) -> Samples:
    """`points_of_picture` of an upload."""
    return points_of_picture(uploads.content(upload_id), uploads.title(upload_id))


def points_of_ink(ink: np.ndarray, name: str, notes: list[str] | None = None) -> Samples:
    """20,000 points from a density (height, width) of 0 to 255; the longer side goes from -2 to 2."""
    ink = np.where(ink >= INK, ink, 0.0)
    if not ink.any():
        raise UserError("There is nothing dark in this picture, so there is nowhere to put points. Draw or choose something darker.")
    random = np.random.default_rng(0)
    cells = random.choice(ink.size, COUNT, p=ink.ravel() / ink.sum())
    row, column = np.divmod(cells, ink.shape[1])
    places = np.stack([column + random.uniform(size=COUNT), ink.shape[0] - row - random.uniform(size=COUNT)], 1)
    values = 4 * (places - np.array(ink.shape[::-1]) / 2) / max(ink.shape)
    return _points(name, values, None, notes or [])


def pictures_of_zip(upload_id: str, size: int, colour: bool) -> Samples:
    """A zip of pictures, centre-cropped to `size` pixels; folders name the classes. Raises `UserError` if fewer than two remain."""
    values, names, notes = pictures.of_zip(uploads.content(upload_id), size, colour, MOST_PICTURES)
    return _pictures(uploads.title(upload_id), values, [pictures.folder_of(name) for name in names], notes)


def _pictures(name: str, values: np.ndarray, names: list[str], notes: list[str]) -> Samples:
    kinds = sorted(set(names))
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if 2 <= len(kinds) <= MOST_CLASSES:
        classes = tuple(kind or "no folder" for kind in kinds)
        labels = np.array([kinds.index(kind) for kind in names])
    elif len(kinds) > MOST_CLASSES:
        notes.append(f"{len(kinds)} folders are more than {MOST_CLASSES} classes, so the pictures are taken without classes.")
    if len(np.unique(values.reshape(len(values), -1), axis=0)) < 2:
        raise UserError("All pictures are the same, so there is nothing to learn.")
    values, labels, train = split(values, labels)
    if train == len(values):
        notes.append("So few pictures are all learned from: none are held out.")
    return Samples(name, values, train, labels, classes, notes=tuple(notes))


def template() -> bytes:
    """A table to start from: two columns of numbers and one of classes."""
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(at, 0.2, (40, 2)) for at in ((0, 0), (2, 1))])
    kinds = np.repeat(["left", "right"], 40)
    return pd.DataFrame({"x": points[:, 0].round(3), "y": points[:, 1].round(3), "class": kinds}).to_csv(index=False).encode()
