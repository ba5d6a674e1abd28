"""Recognising a photo, learning digits and classes of one's own, and the speed of the loop.

    python -m benchmarks.image [--json] [--runs 5]

The networks that ship are judged on whole test sets: Fashion-MNIST from Debian's `dataset-fashion-mnist`, CIFAR-10 from
`$MANABI_DATA/image/cifar10.parquet` (JPEGs). Classes of one's own: three random classes with 20 pictures each from the CIFAR-10 test
split, 100 more of each to be judged by, ten draws. What needs a data set that is not there is left out.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import ExifTags, Image
from torch.nn.functional import cross_entropy

from benchmarks.report import Figure, main
from core import datasets
from core.image import backbone, baselines, predict, recognise
from core.image.config import ImageConfig
from core.image.data import Pictures, builtin
from core.image.models import network_of
from core.image.session import revived, scaled
from core.image.train import THREADS, train
from core.pictures import cropped
from core.runs import store, uploads
from core.runs.engine import Engine

CPU = torch.device("cpu")
DATA = Path(os.environ.setdefault("MANABI_DATA", "../shared/data"))
CIFAR = DATA / "image" / "cifar10.parquet"
TUNED_DRAWS = 4  # of fine-tuning, which takes longer
FIGURES = {
    "recognise_p50_ms": Figure("a photo of 640x427 pixels brought, kept and named by a worker, median", "ms", 300),
    "recognise_phone_p50_ms": Figure("the same with one of 12 million pixels as a telephone writes it, with EXIF", "ms"),
    "network_ms": Figure("the network alone on one picture, median", "ms", 40),
    "fashion_accuracy": Figure("the network that ships: accuracy on all 10,000 test pictures of Fashion-MNIST", "%", 94, True),
    "fashion_params": Figure("and its weights", "", 100_000),
    "fashion_train_s": Figure("and its training, as its run tells", "s"),
    "cifar_accuracy": Figure("the network that ships: accuracy on the 10,000 test pictures of CIFAR-10, as JPEG", "%", 91, True),
    "cifar_mirrored_accuracy": Figure("and with the mean of the picture and its mirror image", "%"),
    "cifar_weights_mb": Figure("and the file of its weights", "MB", 10),
    "cifar_train_s": Figure("and its training, as its run tells", "s"),
    "digits_accuracy": Figure("digits, the preset: held-out accuracy, median of the seeds", "%", 98.5, True),
    "digits_train_s": Figure("and its training", "s"),
    "own_classes_s": Figure("three classes of 20 pictures: features, training, judging", "s", 5),
    "own_classes_accuracy": Figure("their accuracy, mean of ten draws", "%"),
    "own_classes_baseline": Figure("logistic regression on their pixels", "%"),
    "tuned_accuracy": Figure(f"accuracy fine-tuned, mean of {TUNED_DRAWS} draws", "%"),
    "tuned_head_accuracy": Figure("a new head on the same draws", "%"),
    "tuned_s": Figure("fine-tuning and judging", "s"),
    "photos_familiar": Figure("photos of the CIFAR-10 test split that count as familiar", "%"),
    "digits_unfamiliar": Figure("handwritten digits that do not", "%"),
    "fashion_unfamiliar": Figure("pictures of clothes that do not", "%"),
    "loop_ratio": Figure("our loop's steps/s over a minimal hand-written loop of the same network", "", 0.95, True),
}
SPEED = ImageConfig(augment="none", steps=50_000, evaluate_every=5000)


def photo(size: tuple[int, int] = (640, 427), notes: Image.Exif | None = None) -> bytes:
    """A photo that scikit-learn brings, as JPEG of another size."""
    from sklearn.datasets import load_sample_image

    buffer = io.BytesIO()
    picture = Image.fromarray(load_sample_image("china.jpg")).resize(size, Image.Resampling.BICUBIC)
    picture.save(buffer, "JPEG", quality=92, exif=notes or Image.Exif())
    return buffer.getvalue()


def times(work: Any, count: int) -> float:
    """The median milliseconds of some work."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return 1000 * statistics.median(found)


def recognising(runs: int) -> dict[str, float]:
    """From bringing a photo to its answer, as the page does it; and the network alone. Warm: it is loaded."""
    network, given = backbone.load(), torch.zeros(1, 3, backbone.SIZE, backbone.SIZE)
    with torch.no_grad():
        network(given)
        alone = times(lambda: network(given), 10 * runs)
    notes = Image.Exif()
    notes[ExifTags.Base.Orientation] = 6
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MANABI_RUNS"] = folder
        engine = Engine()

        def answer(content: bytes) -> None:
            clean = engine.call("core.pictures", "without_notes", content=content)
            engine.call("core.image.recognise", "named", upload_id=uploads.save(clean, "photo.jpg"))

        small, large = photo(), photo((4000, 3000), notes)
        for _ in range(10):  # every worker has loaded it
            answer(small)
        found = {"recognise_p50_ms": times(lambda: answer(small), 10 * runs)}
        found |= {"recognise_phone_p50_ms": times(lambda: answer(large), 4 * runs), "network_ms": alone}
        engine.close()
    return found


def digits(runs: int) -> dict[str, float]:
    """The preset on seeds from 0."""
    accuracy, seconds = [], []
    for seed in range(runs):
        config = ImageConfig.from_preset("Digits").updated({"seed": seed})
        began = time.perf_counter()
        *_, last = train(config, builtin("digits"), device=CPU)
        seconds.append(time.perf_counter() - began)
        assert last.checkpoint
        accuracy.append(predict.verdict(config, builtin("digits"), last.checkpoint())["scores"]["network"]["accuracy"])
    print("digits:", " ".join(f"{100 * value:.2f}" for value in accuracy), file=sys.stderr)
    return {"digits_accuracy": 100 * statistics.median(accuracy), "digits_train_s": statistics.median(seconds)}


def fashion() -> dict[str, float]:
    """The network that ships, on the whole test set."""
    values, labels, known = datasets.fashion_whole()
    if len(values) < 70_000:
        print("Debian's dataset-fashion-mnist is not there: Fashion-MNIST is left out", file=sys.stderr)
        return {}
    trained = predict.opened("example-image-fashion")
    right = trained.logits(values[known:]).argmax(1).numpy() == labels[known:]
    count = sum(weights.numel() for weights in trained.network.parameters())
    seconds = store.read("example-image-fashion").seconds
    return {"fashion_accuracy": 100 * float(right.mean()), "fashion_params": count, "fashion_train_s": seconds}


def cifar10() -> dict[str, float]:
    """The network that ships, on the whole test split."""
    run, trained, data = store.read("example-image-cifar10"), predict.opened("example-image-cifar10"), builtin("cifar10")
    values, labels = data.held_out()
    plain, mirrored = trained.logits(values).softmax(1), trained.logits(np.ascontiguousarray(values[..., ::-1])).softmax(1)
    return {
        "cifar_accuracy": 100 * float((plain.argmax(1).numpy() == labels).mean()),
        "cifar_mirrored_accuracy": 100 * float(((plain + mirrored).argmax(1).numpy() == labels).mean()),
        "cifar_weights_mb": (store.folder(run.id) / store.CHECKPOINT).stat().st_size / 1e6,
        "cifar_train_s": run.seconds,
    }


def draws(path: Path, count: int) -> Iterator[Pictures]:
    """Three random classes of the CIFAR-10 test split, 20 pictures of each to learn from and 100 to be judged by."""
    table = pd.read_parquet(path)
    table = table[table["split"] == "test"]
    for draw in range(count):
        random = np.random.default_rng(draw)
        known: list[np.ndarray] = []
        apart: list[np.ndarray] = []
        for kind in random.choice(sorted(table["label"].unique()), 3, replace=False):
            rows = table[table["label"] == kind].sample(120, random_state=draw)["jpeg"]
            pictures = [cropped(Image.open(io.BytesIO(content)), 128, True) for content in rows]
            known += pictures[:20]
            apart += pictures[20:]
        labels = np.concatenate([np.repeat(np.arange(3), 20), np.repeat(np.arange(3), 100)])
        yield Pictures("cifar", np.stack(known + apart), labels, ("a", "b", "c"), 60)


def taught(preset: str, data: Pictures) -> tuple[float, float]:
    """Accuracy on what was held out, and the seconds of training and judging."""
    config = ImageConfig.from_preset(preset)
    began = time.perf_counter()
    *_, last = train(config, data, device=CPU)
    assert last.checkpoint
    values, labels = data.held_out()
    logits = predict.Trained(config, data, revived(config, data, last.checkpoint())).logits(values)
    return float(np.mean(logits.argmax(1).numpy() == labels)), time.perf_counter() - began


def own_classes(path: Path) -> dict[str, float]:
    """Ten draws of three classes; the first few fine-tuned too."""
    heads, tuned, rival = [], [], []
    for draw, data in enumerate(draws(path, 10)):
        heads.append(taught("Your photos", data))
        rival.append(float(np.mean(baselines.answers(data)["logistic"] == data.held_out()[1])))
        if draw < TUNED_DRAWS:
            tuned.append(taught("Your photos, fine-tuned", data))
    return {
        "own_classes_s": statistics.median(seconds for _, seconds in heads),
        "own_classes_accuracy": 100 * statistics.fmean(right for right, _ in heads),
        "own_classes_baseline": 100 * statistics.fmean(rival),
        "tuned_accuracy": 100 * statistics.fmean(right for right, _ in tuned),
        "tuned_head_accuracy": 100 * statistics.fmean(right for right, _ in heads[:TUNED_DRAWS]),
        "tuned_s": statistics.median(seconds for _, seconds in tuned),
    }


def familiarity(path: Path) -> dict[str, float]:
    """How often the energy tells photos from what are none, 200 pictures of each."""
    table = pd.read_parquet(path)
    rows = table[table["split"] == "test"].sample(200, random_state=0)["jpeg"]
    photos = np.stack([np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1) for content in rows])
    found = []
    for values in (photos, builtin("digits").values[:200], builtin("fashion").values[:200]):
        with torch.no_grad():
            parts = [backbone.load()(backbone.prepared(values[start : start + 50])) for start in range(0, 200, 50)]
        found.append(100 * float((torch.cat(parts).logsumexp(1) >= recognise.FAMILIAR).float().mean()))
    return {"photos_familiar": found[0], "digits_unfamiliar": 100 - found[1], "fashion_unfamiliar": 100 - found[2]}


def our_loop(steps: int) -> float:
    """Steps/s of `train`."""
    loop = train(SPEED, builtin("fashion"), device=CPU)
    next(loop)
    began = time.perf_counter()
    for _ in itertools.islice(loop, steps):
        continue
    return steps / (time.perf_counter() - began)


def bare_loop(steps: int) -> float:
    """Steps/s of the least loop that trains the same network."""
    data = builtin("fashion")
    network = network_of(SPEED, data.shape, 10)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    pictures, labels = scaled(data.values[: data.train]), torch.from_numpy(data.labels[: data.train])
    began = time.perf_counter()
    for _ in range(steps):
        rows = torch.randint(len(pictures), (SPEED.batch_size,))
        loss = cross_entropy(network(pictures[rows]), labels[rows], label_smoothing=SPEED.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return steps / (time.perf_counter() - began)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    torch.set_num_threads(THREADS)
    found: dict[str, Any] = recognising(options.runs)
    bare_loop(20)
    found["loop_ratio"] = statistics.median(our_loop(100) / bare_loop(100) for _ in range(max(5, options.runs)))
    found |= digits(options.runs) | fashion()
    if CIFAR.exists():
        found |= cifar10() | own_classes(CIFAR) | familiarity(CIFAR)
    else:
        print(f"{CIFAR} is not there: classes of one's own are left out", file=sys.stderr)
    return {name: found[name] for name in FIGURES if name in found}


if __name__ == "__main__":
    main("Image: recognising, learning few pictures, and the speed of the loop", FIGURES, measure)
