"""The dataset of this capability: points in the plane or small pictures; built-in ones; save and load."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core import datasets
from core.errors import UserError

FILES = ("samples.json", "samples.npz", "start.safetensors")  # what `save` writes into a run folder
MOST_POINTS, MOST_PICTURES, SIZES = 50_000, 12_000, (8, 28, 32)
SURFACE = 41  # points per side of D's view of the plane
COUNT = 20_000  # points drawn of a built-in shape
LEAST_HELD_OUT = 8  # fewer samples are all learned from


@dataclass(frozen=True)
class Samples:
    """What G is to imitate.

    values:   points (n, 2) float32, or pictures (n, colours, size, size) uint8; the first `train` are learned from, the
              rest are held out: they show what a perfect generator would score.
    labels:   (n,) int64 class numbers, or None; classes: their names.
    modes:    (k, 2) centres of the clusters that points were drawn from, where that is known; mode_names; spread: their
              standard deviation.
    builtin:  its name if it comes with Manabi.
    start:    weights to begin with instead of random ones: a `state_dict` by name.
    """

    name: str
    values: np.ndarray
    train: int
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    modes: np.ndarray | None = None
    mode_names: tuple[str, ...] = ()
    spread: float = 0.0
    notes: tuple[str, ...] = ()
    builtin: str = ""
    start: dict[str, np.ndarray] | None = None

    @property
    def points(self) -> bool:
        """Whether these are points, not pictures."""
        return self.values.ndim == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (2,) or (colours, size, size)."""
        return tuple(self.values.shape[1:])

    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and scale per coordinate or colour, from the training part: what networks see has mean 0, deviation 1."""
        if not self.points:
            return np.full(self.shape[0], 127.5, np.float32), np.full(self.shape[0], 127.5, np.float32)
        known = self.values[: self.train].astype(np.float64)
        return known.mean(0).astype(np.float32), np.maximum(known.std(0), 1e-6).astype(np.float32)

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Where D's view of the plane is looked at: x and y, a little wider than the data.  # (SURFACE,), (SURFACE,) float32"""
        low, high = self.values.min(0), self.values.max(0)
        margin = 0.15 * np.maximum(high - low, 1e-6)
        x, y = (np.linspace(low[axis] - margin[axis], high[axis] + margin[axis], SURFACE, dtype=np.float32) for axis in (0, 1))
        return x, y

    def usual_labels(self, count: int) -> np.ndarray | None:
        """Classes as often as they are learned from; None where there are none.  # (count,) int64"""
        return None if self.labels is None else np.resize(self.labels[: self.train], count)


def split(values: np.ndarray, labels: np.ndarray | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Shuffle; returns values, labels and how many of them, from the first, are learned from: half."""
    order = np.random.default_rng(seed).permutation(len(values))
    train = len(values) if len(values) < LEAST_HELD_OUT else len(values) // 2
    return values[order], None if labels is None else labels[order], train


# built-in points


def _line(random: np.random.Generator, n: int) -> np.ndarray:
    along = random.uniform(-2, 2, n)
    return np.stack([along, 0.5 * along], 1) + random.normal(0, 0.03, (n, 2))


def _ring(random: np.random.Generator, n: int) -> np.ndarray:
    turn = random.uniform(0, 2 * np.pi, n)
    return (2 + random.normal(0, 0.05, n))[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)


def _moons(random: np.random.Generator, n: int) -> np.ndarray:
    turn, lower = random.uniform(0, np.pi, n), random.integers(0, 2, n)
    upper = np.stack([np.cos(turn), np.sin(turn)], 1)
    return np.where(lower[:, None] == 1, np.array([1.0, 0.5]) - upper, upper) + random.normal(0, 0.05, (n, 2))


def _spirals(random: np.random.Generator, n: int) -> np.ndarray:
    turn, sign = 3 * np.pi * np.sqrt(random.uniform(0.02, 1, n)), random.choice([-1, 1], n)
    return (sign * turn / (1.5 * np.pi))[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1) + random.normal(0, 0.04, (n, 2))


_COMPASS = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")
_TURNS = np.arange(8) * np.pi / 4
_RING8 = 2 * np.stack([np.cos(_TURNS), np.sin(_TURNS)], 1)
_ISLANDS = np.array([[-1.5, -1.0], [1.5, -0.5], [0.0, 1.5]])


def _square(side: int) -> np.ndarray:
    at = 2.0 * (np.arange(side) - (side - 1) / 2)
    return np.array([[x, y] for y in at for x in at])


def _square_names(side: int) -> tuple[str, ...]:
    return tuple(f"row {row + 1}, column {column + 1}" for row in range(side) for column in range(side))


@dataclass(frozen=True)
class Shape:
    """A built-in dataset: what it is, and the preset that suits it. Clusters have `modes`, other shapes a `draw`."""

    title: str
    about: str
    preset: str = "Balanced"
    draw: Callable[[np.random.Generator, int], np.ndarray] | None = None
    modes: np.ndarray | None = None
    mode_names: tuple[str, ...] = ()
    spread: float = 0.0
    pictures: bool = False


BUILTIN = {
    "ring8": Shape(
        "Ring of 8",
        "Eight round clusters on a circle: the classic test for mode collapse. G must find all eight and stay off the ground between.",
        "Ring of 8",
        modes=_RING8,
        mode_names=_COMPASS,
        spread=0.05,
    ),
    "grid25": Shape(
        "Grid of 25",
        "25 clusters, five by five: more places to forget.",
        "Grid of 25",
        modes=_square(5),
        mode_names=_square_names(5),
        spread=0.05,
    ),
    "grid100": Shape(
        "Grid of 100",
        "100 small clusters, ten by ten. Its preset tells both networks the cluster; without, less than half are found.",
        "Grid of 100",
        modes=_square(10),
        mode_names=_square_names(10),
        spread=0.05,
    ),
    "islands": Shape(
        "Three islands",
        "Three wide clusters: easy, and good for a first look.",
        modes=_ISLANDS,
        mode_names=("south-west", "east", "north"),
        spread=0.25,
    ),
    "line": Shape("Line", "A line with a little noise: one dimension hidden in two.", draw=_line),
    "ring": Shape("Ring", "A circle: can G bend a blob of noise into a loop?", draw=_ring),
    "moons": Shape("Two moons", "Two half circles, one inside the other's arm.", draw=_moons),
    "spirals": Shape("Spirals", "Two arms, wound into each other: thin and long.", draw=_spirals),
    "digits": Shape(
        "Digits 8x8",
        "1,797 handwritten digits of 8x8 pixels (Alpaydin & Kaynak 1998, with scikit-learn).",
        "Digits",
        pictures=True,
    ),
    "fashion": Shape(
        "Fashion-MNIST",
        "12,000 small pictures of clothes, ten kinds (Xiao, Rasul & Vollgraf 2017; MIT). 6,000 of the training set to learn from, "
        "6,000 of the test set held out.",
        "Fashion",
        pictures=True,
    ),
}


def builtin(name: str) -> Samples:
    """One of the datasets that need no network; the same samples each time. Raises `UserError` for an unknown name."""
    if name not in BUILTIN:
        raise UserError(f"There is no built-in dataset called '{name[:40]}'.")
    return _builtin(name)


@cache
def _builtin(name: str) -> Samples:
    shape = BUILTIN[name]
    if name == "fashion":
        clothes, kinds = datasets.fashion()
        return Samples(shape.title, clothes, len(clothes) // 2, kinds, datasets.FASHION_CLASSES, builtin=name)
    if name == "digits":
        values, labels, train = split(*datasets.digits())
        return Samples(shape.title, values, train, labels, tuple("0123456789"), builtin=name)
    random = np.random.default_rng(0)
    labels = None
    if shape.modes is not None:
        labels = random.integers(0, len(shape.modes), COUNT)
        values = shape.modes[labels] + random.normal(0, shape.spread, (COUNT, 2))
    else:
        assert shape.draw
        values = shape.draw(random, COUNT)
    return Samples(
        shape.title,
        values.astype(np.float32),
        COUNT // 2,
        labels,
        shape.mode_names,
        shape.modes,
        shape.mode_names,
        shape.spread,
        builtin=name,
    )


# in a run folder


def save(samples: Samples, folder: Path) -> None:
    """Write a dataset into a folder: facts as JSON, arrays as NPZ. A built-in one is only named."""
    names = ("name", "train", "classes", "mode_names", "spread", "notes", "builtin")
    (folder / FILES[0]).write_text(json.dumps({name: getattr(samples, name) for name in names}), encoding="utf-8")
    if not samples.builtin:
        arrays = {name: getattr(samples, name) for name in ("values", "labels", "modes") if getattr(samples, name) is not None}
        np.savez_compressed(folder / FILES[1], **arrays)
    if samples.start is not None:
        from safetensors.numpy import save_file

        save_file(samples.start, folder / FILES[2])


def load(folder: Path) -> Samples:
    """Read what `save` wrote. Raises `UserError` if the files are missing or damaged."""
    import dataclasses
    import zipfile

    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        facts: dict[str, Any] = json.loads((folder / FILES[0]).read_bytes())
        start = load_file(folder / FILES[2]) if (folder / FILES[2]).exists() else None
        if facts["builtin"]:
            return dataclasses.replace(builtin(str(facts["builtin"])), start=start)
        for key in ("classes", "mode_names", "notes"):
            facts[key] = tuple(map(str, facts[key]))
        with zipfile.ZipFile(folder / FILES[1]) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > 60 * 2**20:
                raise ValueError("too large")
        with np.load(folder / FILES[1], allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        samples = Samples(**facts, **arrays, start=start)
        _check(samples)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, SafetensorError, zipfile.BadZipFile):
        raise UserError("The dataset of this run is missing or damaged.") from None
    return samples


def _check(samples: Samples) -> None:
    values, labels, modes = samples.values, samples.labels, samples.modes
    points = values.ndim == 2 and values.shape[1] == 2 and values.dtype == np.float32 and len(values) <= MOST_POINTS
    pictures = values.ndim == 4 and values.dtype == np.uint8 and values.shape[1] in (1, 3) and len(values) <= MOST_PICTURES
    if pictures and (values.shape[2] != values.shape[3] or values.shape[2] not in SIZES):
        raise ValueError("size")
    if not isinstance(samples.train, int) or not np.isfinite(samples.spread) or samples.spread < 0:
        raise ValueError("facts")
    if not (points or pictures) or not 1 <= samples.train <= len(values) or (points and not np.isfinite(values).all()):
        raise ValueError("values")
    if labels is not None and (
        labels.dtype != np.int64 or labels.shape != (len(values),) or labels.min() < 0 or labels.max() >= len(samples.classes)
    ):
        raise ValueError("labels")
    if modes is None:
        if samples.mode_names:
            raise ValueError("modes")
        return
    if modes.shape != (len(samples.mode_names), 2) or modes.dtype.kind != "f" or not np.isfinite(modes).all() or not samples.spread:
        raise ValueError("modes")
