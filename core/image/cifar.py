"""CIFAR-10 (Krizhevsky 2009): it does not come with Manabi. Read where someone has laid it, or downloaded for who has internet.

`$MANABI_DATA/image/cifar10.parquet` (columns split, label, jpeg) is taken if it is there; otherwise what `download` has left.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from core.errors import UserError
from core.runs import files, limits, store

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as its author and torchvision give it
MEGABYTES = 170  # of the download
PARTS = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin")
AWAY = "CIFAR-10 could not be downloaded: is there internet? Nothing was changed."
RECORD = 1 + 3 * 32 * 32  # bytes: label, then red, green and blue


def kept() -> Path:
    """The file of pictures that `download` leaves, the 50,000 to train on first. The labels lie beside it."""
    return store.root() / "datasets" / "cifar10.npy"


def labels_of(kept: Path) -> Path:
    """The file of labels beside the pictures."""
    return kept.with_name("cifar10-labels.npy")


def laid() -> Path | None:
    """A copy as Parquet, if somebody has laid one."""
    path = Path(os.environ.get("MANABI_DATA", "")) / "image" / "cifar10.parquet"
    return path if os.environ.get("MANABI_DATA") and path.is_file() else None


def there() -> bool:
    """Whether the pictures are on this machine."""
    return laid() is not None or kept().is_file()


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """All of it, the 50,000 to train on first: pictures (60000, 3, 32, 32) uint8, labels (60000,) int64. Raises `UserError` if absent."""
    if not there():
        raise UserError("The pictures of CIFAR-10 are not on this machine. Download them under Data, or choose other pictures.")
    if path := laid():
        return from_parquet(path)
    return np.load(kept(), mmap_mode="r", allow_pickle=False), np.load(labels_of(kept()), allow_pickle=False)


@cache
def from_parquet(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same from JPEGs, which are a little harder than the original: the training split first, both shuffled."""
    table = pd.read_parquet(path)
    table = pd.concat([table[table["split"] == part].sample(frac=1, random_state=0) for part in ("train", "test")])
    values = np.stack([np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.uint8) for content in table["jpeg"]])
    return values.transpose(0, 3, 1, 2), table["label"].map(CLASSES.index).to_numpy(np.int64)


def download(url: str = URL, md5: str = MD5) -> None:
    """Fetch the archive, compare its checksum, keep the records. Needs internet, some minutes and 400 MB of disk.

    It is the binary version: bytes in fixed places, nothing to unpickle. Raises `UserError` if it can't be had.
    """
    from torchvision.datasets.utils import download_url  # type: ignore[import-untyped]

    target = kept()
    if target.is_file():
        return
    if limits.demo():
        raise UserError("In the public demo nothing is downloaded. Run Manabi on your own machine for that.")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:  # of its own: two visitors may ask at once
            download_url(url, folder, "archive.tar.gz", md5)
            found = records(Path(folder) / "archive.tar.gz")
        for path, values in ((labels_of(target), found[:, 0].astype(np.int64)), (target, found[:, 1:].reshape(-1, 3, 32, 32))):
            buffer = io.BytesIO()
            np.save(buffer, values)
            files.write_whole(path, buffer.getvalue())
    except OSError as error:
        if files.disk_full(error):
            raise UserError("The disk is full, so CIFAR-10 can't be kept.") from None
        raise UserError(AWAY) from None
    except (RuntimeError, ValueError, KeyError, EOFError, tarfile.TarError):
        raise UserError(AWAY) from None


def records(archive: Path) -> np.ndarray:
    """The records of the archive's six files, the test split last.  # (60000, 3073) uint8"""
    found = {}
    with tarfile.open(archive, "r:gz") as bundle:
        for member in bundle:
            name = Path(member.name).name
            if member.isfile() and name in PARTS and member.size % RECORD == 0:
                content = bundle.extractfile(member)
                found[name] = np.frombuffer(content.read() if content else b"", np.uint8).reshape(-1, RECORD)
    return np.concatenate([found[name] for name in PARTS])
