"""Pictures that come with Manabi and serve more than one capability; and how the Fashion-MNIST subset was made.

    python -m core.datasets --data /usr/share/datasets/fashion-mnist

takes 600 pictures a class from the training set, then 600 from the test set. The four files of the original come with Debian's
`dataset-fashion-mnist`.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

BUILTIN = Path(__file__).parent / "builtin"
FASHION = BUILTIN / "fashion.npz"
FASHION_CLASSES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
ORIGINAL = Path("/usr/share/datasets/fashion-mnist")  # where Debian puts it
PER_CLASS = 600  # in each half


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits from scikit-learn, in its order: pictures (1797, 1, 8, 8) uint8, labels (1797,) int64."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.round(found.images * 255 / 16).astype(np.uint8)[:, None], found.target.astype(np.int64)


def fashion() -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST, the first half from its training set: pictures (12000, 1, 28, 28) uint8, labels (12000,) int64."""
    with np.load(FASHION, allow_pickle=False) as file:
        return file["pictures"][:, None], file["labels"].astype(np.int64)


def fashion_whole() -> tuple[np.ndarray, np.ndarray, int]:
    """All of Fashion-MNIST, the 60,000 to train on first: pictures (70000, 1, 28, 28) uint8, labels (70000,) int64, how many to train on.

    Without Debian's package, that of it which comes with Manabi, in the original's order: the first pictures held out are the same.
    """
    if not (ORIGINAL / "t10k-labels-idx1-ubyte.gz").is_file():
        pictures, labels = fashion()
        with np.load(FASHION, allow_pickle=False) as file:
            order = np.argsort(file["numbers"] + 100_000 * (np.arange(len(labels)) >= len(labels) // 2))
        return pictures[order], labels[order], len(labels) // 2
    parts = [read(ORIGINAL, part) for part in ("train", "t10k")]
    pictures, labels = (np.concatenate([part[n] for part in parts]) for n in range(2))
    return pictures[:, None], labels.astype(np.int64), len(parts[0][0])


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 28, 28) uint8 and labels (n,) of "train" or "t10k", in the original's IDX format."""
    pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def main() -> None:
    """Write the compact file and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ORIGINAL)
    folder = parser.parse_args().data
    random, chosen = np.random.default_rng(0), []
    for part in ("train", "t10k"):
        pictures, labels = read(folder, part)
        rows = np.concatenate([np.flatnonzero(labels == kind)[:PER_CLASS] for kind in range(10)])
        rows = random.permutation(rows)
        chosen.append((pictures[rows], labels[rows], rows.astype(np.int32)))  # where they stand in the original
    FASHION.parent.mkdir(exist_ok=True)
    pictures, labels, numbers = (np.concatenate([part[n] for part in chosen]) for n in range(3))
    np.savez_compressed(FASHION, pictures=pictures, labels=labels, numbers=numbers)
    print(f"{FASHION.name}: {FASHION.stat().st_size / 1e6:.2f} MB, {len(pictures):,} pictures")


if __name__ == "__main__":
    main()
