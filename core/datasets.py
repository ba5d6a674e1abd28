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

FASHION = Path(__file__).parent / "builtin" / "fashion.npz"
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
        chosen.append((pictures[rows], labels[rows]))
    FASHION.parent.mkdir(exist_ok=True)
    np.savez_compressed(FASHION, pictures=np.concatenate([p for p, _ in chosen]), labels=np.concatenate([c for _, c in chosen]))
    print(f"{FASHION.name}: {FASHION.stat().st_size / 1e6:.2f} MB, {sum(len(p) for p, _ in chosen):,} pictures")


if __name__ == "__main__":
    main()
