"""Make the Fashion-MNIST subset that ships: 600 pictures a class from the training set, then 600 from the test set.

    python -m core.gan.pack_fashion --data /usr/share/datasets/fashion-mnist

The four files of the original come with Debian's `dataset-fashion-mnist`.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

from core.gan.data import FASHION

PER_CLASS = 600  # in each half


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 28, 28) uint8 and labels (n,) of "train" or "t10k", in the original's IDX format."""
    pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def main() -> None:
    """Write the compact file and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
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
