"""What a visitor brings: a zip whose folders name the classes. Read in a worker; pages call these functions by name."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from core import pictures
from core.errors import UserError
from core.image.data import MOST_CLASSES, MOST_PICTURES, Pictures, builtin, most, split
from core.runs import store, uploads

NO_FOLDER = "no folder"
MOST_SETTINGS = 100_000  # bytes of a project's settings that are read
COLLECTION = "Pictures collected here.zip"
SIDES = (128, 32, 28)  # pixels, as pictures of one's own are taken; 128 for photos
LISTED = 300  # pictures of a zip that are looked through, of its folders in turn
THUMBNAIL = 64  # pixels a side
MOST_KEPT = 500_000  # bytes of a picture that is kept as it came
BLOCKS = 12  # a side, by whose means two pictures are compared
ALIKE = 4.0  # of 255, by which no block differs: JPEG of quality 60 or another size move one by up to 3, other photos by over 100
ALIKE_COLOUR = 12.0  # the same for red, green and blue, which JPEG keeps less well


def template() -> bytes:
    """A zip as visitors may bring it: two folders with six pictures each."""
    data, files = builtin("fashion"), {}
    for kind in (0, 9):
        for n, row in enumerate(np.flatnonzero(data.labels == kind)[:6], 1):
            buffer = io.BytesIO()
            Image.fromarray(data.values[row, 0]).save(buffer, "PNG")
            files[f"{data.classes[kind]}/{n}.png"] = buffer.getvalue()
    return pictures.zipped(files)


def from_zip(upload_id: str, size: int, colour: bool, left_out: Sequence[int] = (), renamed: Mapping[str, str] | None = None) -> Pictures:
    """Pictures of a zip, centre-cropped to `size` pixels, shuffled and split class by class: 70 % to learn from.

    left_out: numbers of pictures, as they are read, that the visitor took away; renamed: number -> another class.
    Raises `UserError` if two classes do not remain.
    """
    values, paths, notes = pictures.of_zip(zip_of(upload_id), size, colour, most(size))
    kept = [n for n in range(len(values)) if n not in set(left_out)]
    changed = renamed or {}
    kinds = [named(changed.get(str(n), pictures.folder_of(paths[n]))) or NO_FOLDER for n in kept]
    return labelled(uploads.title(upload_id), values[kept], kinds, notes, [paths[n] for n in kept])


def zip_of(upload_id: str) -> bytes:
    """An upload as a zip: a single picture is one of one."""
    content = uploads.content(upload_id)
    return content if content.startswith(b"PK") else pictures.bundle({uploads.title(upload_id).lstrip(".") or "picture": content})


def listing(upload_id: str) -> list[dict[str, Any]]:
    """Pictures of a zip to look through, class by class: number as `from_zip` counts, class, file, small picture (data URL)."""
    values, paths, _ = pictures.of_zip(zip_of(upload_id), THUMBNAIL, True, LISTED, 1)
    found = []
    for n, (picture, path) in enumerate(zip(values, paths, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(picture.transpose(1, 2, 0)).save(buffer, "JPEG", quality=80)
        url = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        found.append({"number": n, "class": pictures.folder_of(path) or NO_FOLDER, "picture": url, "file": _short(path)})
    order = list(dict.fromkeys(row["class"] for row in found))
    return sorted(found, key=lambda row: order.index(row["class"]))


def collected(
    upload_id: str,
    kind: str,
    contents: Mapping[str, bytes],
    left_out: Sequence[int] = (),
    renamed: Mapping[str, str] | None = None,
) -> tuple[str, list[str]]:
    """Put more pictures, by name, into a class of a collection, an upload ("" for a new one); returns the id of the larger one.

    They are kept as a zip's are, and large ones small (see `pictures.rewritten`); what is no picture is left out, and said in the second
    part of the answer.
    left_out, renamed: what was changed by hand so far (see `from_zip`), made to last. Raises `UserError` if none is a picture, the class
    has no name, or the collection grows too large.
    """
    name = named(kind)
    if not name:
        raise UserError("Give the class a name first.")
    files = project_files(upload_id, left_out, renamed) if upload_id else {}
    problems = []
    for title, content in contents.items():
        try:
            kept = pictures.without_notes(content)
            shown = pictures.open_picture(kept)[0]
        except UserError as error:
            problems.append(f"{title[:60]}: {error}")
            continue
        if min(shown.size) > pictures.KEPT or len(kept) > MOST_KEPT:
            kept = pictures.rewritten(shown)
        files[f"{name}/{len(files):05d}{pictures.suffix(kept)}"] = kept
    if len(problems) == len(contents):
        raise UserError(" ".join(problems[:3]) or "No picture was brought.")
    return uploads.save(pictures.zipped(files), uploads.title(upload_id) if upload_id else COLLECTION), problems


def named(kind: str) -> str:
    """A class's name as a folder's: no slash, no dot in front, up to 40 characters; "" for a name that can't be one."""
    name = " ".join(kind.replace("/", " ").replace("\\", " ").split()).lstrip(". ")[:40].strip()
    return "" if name == "__MACOSX" else name


def counts(upload_id: str) -> dict[str, int]:
    """How many files of each class there are, by their folders alone: nothing is unpacked."""
    return dict(Counter(named(folder) or NO_FOLDER for folder in pictures.folders(zip_of(upload_id))))


def project_files(upload_id: str, left_out: Sequence[int] = (), renamed: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The pictures of an upload as they were kept, in the folder of their class; what was taken away by hand is gone."""
    changed, gone = renamed or {}, set(left_out)
    found: dict[str, bytes] = {}
    for n, (path, content) in enumerate(pictures.readable(zip_of(upload_id), MOST_PICTURES)):
        if n not in gone:
            kind = named(changed.get(str(n), pictures.folder_of(path))) or NO_FOLDER
            found[f"{kind}/{len(found):05d}{pictures.suffix(content)}"] = content
    return found


def project(
    upload_id: str,
    settings: Mapping[str, Any],
    size: int = 128,
    colour: bool = True,
    left_out: Sequence[int] = (),
    renamed: Mapping[str, str] | None = None,
) -> bytes:
    """A project file: the pictures in folders, and `project.json` with the settings. Brought again, it opens as it was left."""
    facts = json.dumps({"manabi": "image", "settings": dict(settings), "size": size, "colour": colour}, indent=1)
    return pictures.zipped({pictures.PROJECT: facts.encode(), **project_files(upload_id, left_out, renamed)})


def project_in(upload_id: str) -> dict[str, Any]:
    """What a project file says: `settings`, as untrusted as a link's, and `size` and `colour`; {} for any other zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(zip_of(upload_id))) as archive, archive.open(pictures.PROJECT) as file:
            found = json.loads(file.read(MOST_SETTINGS))
            settings, size, colour = dict(found["settings"]), found.get("size", 128), found.get("colour", True)
    except (KeyError, TypeError, ValueError, RuntimeError, NotImplementedError, OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return {}
    return {"settings": settings, "size": size if size in SIDES else 128, "colour": bool(colour)}


def corrected(run_id: str, changes: Mapping[str, str]) -> Pictures:
    """The pictures of a run with other classes: row in its dataset -> class, "" to take the picture away. New classes may be named.

    Raises `UserError` if fewer than two classes remain.
    """
    data = store.dataset(run_id)
    wanted = {int(row): kind if kind in data.classes else named(kind) for row, kind in changes.items()}
    classes = tuple(dict.fromkeys([*data.classes, *filter(None, wanted.values())]))
    kept = np.array([wanted.get(n, " ") != "" for n in range(len(data.labels))])
    labels = np.array([classes.index(wanted[n]) if wanted.get(n) else label for n, label in enumerate(data.labels)], np.int64)[kept]
    if len(np.unique(labels)) < 2 or len(classes) > MOST_CLASSES:
        raise UserError("There must remain pictures of at least two classes, and not too many of them.")
    note = f"{len(changes)} picture{'s were' if len(changes) > 1 else ' was'} corrected by hand."
    return Pictures(data.name, data.values[kept], labels, classes, int(kept[: data.train].sum()), notes=(note,))


def picture(size: int, colour: bool, content: bytes = b"", upload_id: str = "") -> np.ndarray:
    """The square in the middle of one photo, from its bytes or of an upload.  # (3 or 1, size, size) uint8"""
    return pictures.cropped(pictures.open_picture(content or uploads.content(upload_id))[0], size, colour)


def labelled(name: str, values: np.ndarray, kinds: list[str], notes: list[str], paths: Sequence[str] = ()) -> Pictures:
    """A dataset from pictures and the names of their classes; paths: their names, for people.

    Raises `UserError` for fewer than two classes or too many.
    """
    again = repeated(values, kinds)
    if again:
        kept = [n for n in range(len(values)) if n not in again]
        values, kinds, paths = values[kept], [kinds[n] for n in kept], [paths[n] for n in kept] if paths else ()
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
    if twice := doubles(values, kinds):
        few = "; ".join(" and ".join(_short(paths[n]) if paths else kinds[n] for n in rows) for rows in twice[:3])
        few += "; …" * (len(twice) > 3)
        many = "1 picture stands" if len(twice) == 1 else f"{len(twice)} pictures stand"
        said.append(f"{many} in two classes ({few}): one of the two answers must be wrong.")
    values, labels, train = split(values, labels)
    return Pictures(name, values, labels, classes, train, notes=tuple(said))


def _short(path: str) -> str:
    """A file of a zip with its folder, for people."""
    return "/".join(part[:40] for part in PurePosixPath(path).parts[-2:])


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


def doubles(values: np.ndarray, kinds: Sequence[str]) -> list[list[int]]:
    """Numbers of pictures that show the same and are of different classes, together: one may be compressed or scaled otherwise."""
    small, named_so = _means(values), np.array(kinds)
    alone = np.ones(len(values), bool)
    found: dict[int, list[int]] = {}
    for kind in dict.fromkeys(kinds):
        mine = np.flatnonzero(alone & (named_so == kind))
        alone[mine] = False
        others = np.flatnonzero(alone)
        if not len(mine) or not len(others):
            continue
        _, nearest = cKDTree(small[mine]).query(small[others], p=np.inf, distance_upper_bound=ALIKE)
        for other, place in zip(others.tolist(), nearest.tolist(), strict=True):
            if place < len(mine):  # else none is so near
                first = int(mine[place])
                found.setdefault(first, [first]).append(other)
                alone[other] = False
    return list(found.values())


def _means(values: np.ndarray) -> np.ndarray:
    """Pictures as the means of their blocks, in grey and then in colours, which weigh less.  # (n, numbers) float32"""
    size = values.shape[2]
    edges = np.unique(np.arange(BLOCKS) * size // BLOCKS)
    sums = np.add.reduceat(np.add.reduceat(values, edges, 2, dtype=np.float32), edges, 3)
    wide = np.diff([*edges, size])
    means = (sums / np.outer(wide, wide)).astype(np.float32)  # (n, colours, blocks, blocks)
    grey = means.mean(1, keepdims=True)
    return np.concatenate([grey, means * (ALIKE / ALIKE_COLOUR)], 1).reshape(len(values), -1)
