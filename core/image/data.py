"""The dataset of this capability: labelled pictures; built-in ones; save and load."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from core import datasets
from core.errors import UserError
from core.image import cifar

FILES = ("pictures.json", "pictures.npz")  # what `save` writes into a run folder
MOST_PICTURES, MOST_PHOTOS, MOST_CLASSES = 12_000, 2000, 50  # photos: pictures of more than 32 pixels
MOST_BYTES = 200 * 2**20  # of all pixels
SIZES = (8, 28, 32, 128)  # pixels a side; 128 for photos


@dataclass(frozen=True)
class Pictures:
    """What there is to tell apart.

    values: (n, colours, size, size) uint8; labels: (n,) int64; the first `train` are learned from, the rest are held out.
    classes: their names; builtin: the name of a built-in dataset; notes: what was changed on the way, for people.
    """

    name: str
    values: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    train: int
    builtin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture: colours, height, width."""
        return self.values.shape[1], self.values.shape[2], self.values.shape[3]

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Pictures and labels to learn from."""
        return self.values[: self.train], self.labels[: self.train]

    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Pictures and labels that were kept apart."""
        return self.values[self.train :], self.labels[self.train :]


@dataclass(frozen=True)
class Builtin:
    """A dataset that comes with Manabi."""

    title: str
    about: str
    preset: str
    offered: bool = True  # on the page; others are for the command line


BUILTIN = {
    "digits": Builtin("Handwritten digits", "1,797 digits of 8x8 pixels, from scikit-learn. Half are held out.", "Digits"),
    "fashion": Builtin("Fashion-MNIST", "12,000 pictures of clothes, 28x28, ten kinds. Half are held out.", "Fashion"),
    "fashion-whole": Builtin(
        "Fashion-MNIST, all of it",
        "All 70,000 pictures where Debian's package is installed, else the 12,000 that come with Manabi.",
        "Fashion, all of it",
        offered=False,
    ),
    "cifar10": Builtin("CIFAR-10", "60,000 photos of 32x32 pixels, ten kinds. 10,000 are held out.", "Small photos"),
}

PHOTOS = {"A cat": "cat.jpg", "A cup of coffee": "coffee.jpg", "A temple": "china.jpg", "A flower": "flower.jpg"}


def photo(title: str) -> bytes:
    """One of the `PHOTOS` as JPEG. The first two lie here, the others come with scikit-learn."""
    path = datasets.BUILTIN / "photos" / PHOTOS[title]
    if not path.exists():
        import sklearn.datasets

        path = Path(sklearn.datasets.__file__).parent / "images" / PHOTOS[title]
    return path.read_bytes()


def builtin(name: str) -> Pictures:
    """A built-in dataset. Raises `UserError` for an unknown name.

    CIFAR-10 does not come with Manabi: where it is not on this machine, it has classes and no pictures.
    """
    if name == "cifar10":
        absent = np.zeros((0, 3, 32, 32), np.uint8), np.zeros(0, np.int64)
        values, labels = cifar.pictures() if cifar.there() else absent
        return Pictures("CIFAR-10", values, labels, cifar.CLASSES, len(values) * 5 // 6, builtin=name)
    return _kept(name)


@cache
def _kept(name: str) -> Pictures:
    if name == "digits":
        values, labels = datasets.digits()
        order = np.random.default_rng(0).permutation(len(values))
        return Pictures("Digits", values[order], labels[order], tuple("0123456789"), len(values) // 2, builtin=name)
    if name == "fashion":
        values, labels = datasets.fashion()
        return Pictures("Fashion-MNIST", values, labels, datasets.FASHION_CLASSES, len(values) // 2, builtin=name)
    if name == "fashion-whole":
        values, labels, train = datasets.fashion_whole()
        return Pictures("Fashion-MNIST", values, labels, datasets.FASHION_CLASSES, train, builtin=name)
    raise UserError(f"There is no built-in dataset called '{name[:40]}'.")


def split(values: np.ndarray, labels: np.ndarray, share: float = 0.7, seed: int = 0) -> tuple[np.ndarray, np.ndarray, int]:
    """Shuffle so that the first `share` of every class comes first; each class keeps at least one picture on either side if it has two."""
    random, known, apart = np.random.default_rng(seed), [], []
    for kind in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == kind))
        cut = min(max(1, round(share * len(rows))), max(1, len(rows) - 1))
        known.append(rows[:cut])
        apart.append(rows[cut:])
    first, rest = random.permutation(np.concatenate(known)), random.permutation(np.concatenate(apart))
    order = np.concatenate([first, rest]).astype(np.int64)
    return values[order], labels[order], len(first)


def loyal(data: Pictures, before: Pictures) -> Pictures:
    """A dataset in which everything that another one learned from is learned from: held out, it would be no test any more."""
    if data.shape != before.shape:
        return data
    learned = {hashlib.sha256(picture.tobytes()).digest() for picture in before.known()[0]}
    known = np.array([n < data.train or hashlib.sha256(picture.tobytes()).digest() in learned for n, picture in enumerate(data.values)])
    order = np.argsort(~known, kind="stable")
    return replace(data, values=data.values[order], labels=data.labels[order], train=int(known.sum()), builtin="")


def save(data: Pictures, folder: Path) -> None:
    """Write a dataset into a run folder; of a built-in one only the name."""
    facts = {"name": data.name, "classes": data.classes, "train": data.train, "builtin": data.builtin, "notes": data.notes}
    (folder / FILES[0]).write_text(json.dumps(facts), encoding="utf-8")
    if not data.builtin:
        np.savez_compressed(folder / FILES[1], values=data.values, labels=data.labels)


def load(folder: Path) -> Pictures:
    """Read what `save` wrote. Raises `UserError` if it is missing or damaged."""
    try:
        facts = json.loads((folder / FILES[0]).read_bytes())
        if facts["builtin"]:
            return builtin(str(facts["builtin"]))
        with zipfile.ZipFile(folder / FILES[1]) as archive:  # look before anything is unpacked
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError
        with np.load(folder / FILES[1], allow_pickle=False) as file:
            values, labels = file["values"], file["labels"]
        data = Pictures(str(facts["name"])[:80], values, labels, tuple(str(c)[:40] for c in facts["classes"]), int(facts["train"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, AttributeError, MemoryError, zipfile.BadZipFile, zlib.error):
        raise UserError("The pictures of this run are missing or damaged.") from None
    check(data)
    return data


def most(size: int) -> int:
    """How many pictures of so many pixels a side are taken."""
    return MOST_PHOTOS if size > 32 else MOST_PICTURES


def check(data: Pictures) -> None:
    """Raises `UserError` unless a dataset from outside is one that can be learned from."""
    values, labels = data.values, data.labels
    fits = values.dtype == np.uint8 and values.ndim == 4 and values.shape[1] in (1, 3) and values.shape[2] == values.shape[3]
    fits = fits and values.shape[2] in SIZES and labels.dtype == np.int64 and labels.shape == (len(values),)
    fits = fits and 2 <= len(data.classes) <= MOST_CLASSES and 0 < data.train <= len(values) <= most(values.shape[2])
    fits = fits and len(set(data.classes)) == len(data.classes)
    if not fits or not ((labels >= 0) & (labels < len(data.classes))).all():
        raise UserError("The pictures of this run are damaged.")
