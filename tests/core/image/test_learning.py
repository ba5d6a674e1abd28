"""Muon, cutout, fine-tuning, weights of another run, CIFAR-10 where it is and where it is not."""

import functools
import hashlib
import io
import shutil
import tarfile
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from core import datasets
from core.errors import UserError
from core.image import backbone, cifar, predict
from core.image.config import HEAD, TUNED, ImageConfig
from core.image.data import builtin, load, save
from core.image.models import whole
from core.image.muon import Muon, orthogonal
from core.image.session import Session, augmented, scaled
from core.image.train import train
from core.runs import store
from tests.core.image.test_train import CPU, TINY, finished, toy


@pytest.mark.parametrize("shape", [(6, 40), (40, 6)])
def test_every_direction_of_an_orthogonal_step_counts_about_the_same(shape):
    random = torch.Generator().manual_seed(0)
    weak = [torch.diag(torch.logspace(0, -1, size)) for size in shape]
    matrix = weak[0] @ torch.randn(*shape, generator=random) @ weak[1]
    assert torch.linalg.svdvals(orthogonal(torch.randn(*shape, generator=random))).sub(0.8).abs().max() < 0.45  # three steps
    before, after = (torch.linalg.svdvals(value) for value in (matrix, orthogonal(matrix, 5)))
    assert before.max() / before.min() > 4 and after.min() > 0.5 and after.max() < 1.4
    assert orthogonal(torch.zeros(3, 4)).isfinite().all()


def test_a_step_of_muon_worked_out_by_hand():
    """A filter of one weight: its length becomes 1, and the step is the learning rate times what the polynomial makes of 1."""
    weight = torch.nn.Parameter(torch.full((1, 1, 1, 1), 5.0))
    weight.grad = torch.full_like(weight, 3.0)
    Muon([weight], lr=0.1).step()
    one = 1.0
    for _ in range(3):
        one = 3.4445 * one - 4.7750 * one**3 + 2.0315 * one**5
    assert weight.item() == pytest.approx(1 - 0.1 * one, abs=1e-5)


def test_cutout_covers_one_square_and_moves_further():
    picture = torch.ones(300, 1, 24, 24)
    covered = augmented(picture, "shift, flip and cutout", torch.Generator().manual_seed(0)) == 0
    assert (covered.sum((1, 2, 3)) == 8 * 8).all()
    rows, columns = covered.any(3).sum((1, 2)), covered.any(2).sum((1, 2))
    assert (rows == 8).all() and (columns == 8).all()
    dot = torch.full((300, 1, 24, 24), -1.0)
    dot[:, 0, 12, 12] = 1
    found = (augmented(dot, "shift, flip and cutout", torch.Generator().manual_seed(1)) == 1).nonzero()[:, 2]
    assert found.min() == 9 and found.max() == 15


# fine-tuning


def test_fine_tuning_begins_with_what_imagenet_taught_and_moves_the_last_layer_most():
    data = toy(count=12, size=128, colours=3, classes=2)
    config = ImageConfig(network=TUNED, steps=2, batch_size=4, evaluate_every=2, learning_rate=0.01)
    run = Session(config, data, CPU)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    known = whole(backbone.load()).state_dict()
    assert all(torch.equal(before[name], known[name]) for name in before if "output" not in name)
    *_, last = train(config, data, device=CPU)
    after = last.checkpoint().part("network")
    assert all(torch.equal(after[name], before[name]) for name in before if "running" in name)
    change = {name: float((after[name] - before[name]).abs().max()) for name in before if name.endswith("weight")}
    assert change["layers.output.weight"] > 2 * change["layers.stem.0.weight"] > 0


def test_fine_tuning_is_for_photos_in_colour():
    with pytest.raises(UserError, match="photos in colour"):
        Session(ImageConfig(network=TUNED), toy(size=32, colours=3), CPU)


# the weights of another run


def test_a_run_goes_on_from_another_and_knows_the_classes_that_both_have(fresh_runs):
    first = finished("LeNet", steps=60, learning_rate=0.01)
    data = replace(toy(count=80, classes=4), classes=("a", "b", "c", "d"))  # one class more
    run = Session(ImageConfig(network="LeNet", **TINY, warm=first.id), data, CPU)
    theirs = predict.opened(first.id).network.state_dict()
    mine = run.network.state_dict()
    assert torch.equal(mine["layers.conv1.weight"], theirs["layers.conv1.weight"])
    assert torch.equal(mine["layers.output.weight"][:3], theirs["layers.output.weight"])
    for settings in ({"network": "VGG"}, {"width": 5}, {"warm": "0" * 32}):
        with pytest.raises(UserError):
            Session(ImageConfig(**{"network": "LeNet", **TINY, "warm": first.id, **settings}), data, CPU)
    with pytest.raises(UserError, match="another size"):
        Session(ImageConfig(network="LeNet", **TINY, warm=first.id), toy(size=32), CPU)


def test_a_warm_run_is_resumed_though_the_other_is_gone(fresh_runs):
    first = finished("VGG")
    config = ImageConfig(network="VGG", **TINY, warm=first.id)
    loop = train(config, toy(), device=CPU)
    kept = next(loop).checkpoint()
    shutil.rmtree(store.folder(first.id))
    *_, last = train(config, toy(), device=CPU, resume=kept)
    assert last.step == config.steps
    with pytest.raises(UserError, match="go on from is not here"):
        next(train(config, toy(), device=CPU))


def test_a_run_on_larger_pictures_is_no_beginning_for_smaller_ones(fresh_runs):
    first = finished("VGG", toy(size=8, classes=2))
    with pytest.raises(UserError, match="another size"):
        Session(ImageConfig(network="VGG", **TINY, warm=first.id), toy(), CPU)


def test_what_changed_beside_the_run_that_it_went_on_from(fresh_runs):
    poor = finished("LeNet", steps=1)
    better = finished("LeNet", steps=120, learning_rate=0.01, warm=poor.id)
    found = predict.changed(better.id)
    assert found["after"] == 1.0 > found["before"] and found["spoiled"] == 0
    count = len(toy().held_out()[0])
    assert found["mended"] == round(count * (1 - found["before"])) and len(found["mended_pictures"]) == min(12, found["mended"])
    with pytest.raises(UserError, match="weights of its own"):
        predict.changed(poor.id)


# CIFAR-10


def record(label, value):
    return bytes([label]) + bytes([value]) * 3072


@pytest.fixture
def archive(tmp_path):
    """An archive like the author's, of two pictures a file."""
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as bundle:
        for number, name in enumerate(cifar.PARTS):
            content = record(number, 10 * number) + record(9, 255)
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            bundle.addfile(entry, io.BytesIO(content))
        entry = tarfile.TarInfo("cifar-10-batches-bin/batches.meta.txt")
        entry.size = 3
        bundle.addfile(entry, io.BytesIO(b"cat"))
    return path


@pytest.fixture
def author(archive):
    """Where the author would serve the archive from: this machine."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_cifar_is_downloaded_checked_and_read(fresh_runs, archive, author, monkeypatch):
    monkeypatch.delenv("MANABI_DATA", raising=False)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    for url, sum in ((f"{author}/{archive.name}", "0" * 32), (f"{author}/nothing.tar.gz", md5)):
        with pytest.raises(UserError, match="internet"):
            cifar.download(url, sum)
    assert not cifar.there()
    cifar.download(f"{author}/{archive.name}", md5)
    assert sorted(path.name for path in cifar.kept().parent.iterdir()) == ["cifar10-labels.npy", "cifar10.npy"]
    data = builtin("cifar10")
    assert data.values.shape == (12, 3, 32, 32) and data.train == 10 and data.labels.tolist()[::2] == [0, 1, 2, 3, 4, 5]
    assert (data.values[2] == 10).all() and (data.held_out()[0][0] == 50).all()


def test_without_cifar_there_are_classes_and_a_sentence(fresh_runs, monkeypatch, tmp_path):
    monkeypatch.delenv("MANABI_DATA", raising=False)
    data = builtin("cifar10")
    assert data.shape == (3, 32, 32) and len(data.classes) == 10 and not len(data.values)
    save(data, tmp_path)
    assert len(load(tmp_path).values) == 0
    with pytest.raises(UserError, match="not on this machine"):
        Session(ImageConfig(network="ResNet, early pooling", **TINY), data, CPU)
    with pytest.raises(UserError, match="not on this machine"):
        cifar.pictures()


def test_a_copy_as_parquet_is_read(tmp_path, monkeypatch):
    rows = []
    for split, label, value in (("test", "cat", 250), ("train", "ship", 10), ("train", "dog", 90)):
        buffer = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(buffer, "JPEG")
        rows.append({"split": split, "label": label, "jpeg": buffer.getvalue()})
    (tmp_path / "image").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "image" / "cifar10.parquet")
    monkeypatch.setenv("MANABI_DATA", str(tmp_path))
    values, labels = cifar.pictures()
    assert values.shape == (3, 3, 32, 32) and cifar.CLASSES[labels[-1]] == "cat" and abs(int(values[-1, 0, 0, 0]) - 250) < 4


def test_fashion_without_debians_package_is_the_part_that_ships(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "ORIGINAL", tmp_path)
    values, labels, train_count = datasets.fashion_whole()
    assert (len(values), train_count) == (12_000, 6000) and np.bincount(labels[6000:]).tolist() == [600] * 10
    assert labels[6000:6008].tolist() == [9, 2, 1, 1, 6, 1, 4, 6]  # as the original's test set begins


# the examples that ship


def test_the_fashion_example_is_small_and_says_what_it_says():
    run, trained = store.read("example-image-fashion"), predict.opened("example-image-fashion")
    assert sum(weights.numel() for weights in trained.network.parameters()) < 100_000
    values, labels = datasets.fashion()
    with torch.no_grad():
        said = trained.network(scaled(values[6000:7000])).argmax(1).numpy()
    right = float((said == labels[6000:7000]).mean())
    assert right == pytest.approx(store.result(run.id)["scores"]["network"]["accuracy"], abs=0.02)


def test_a_head_has_no_use_for_muon():
    run = Session(ImageConfig(network=HEAD, optimiser="Muon", **TINY), toy(size=32, colours=3), CPU)
    assert list(run.optimisers) == ["optimiser"]


def test_beats_is_said_only_beyond_chance():
    """McNemar by hand: of 6 pictures that only one names rightly, all 6 for the network: 2 / 2^6 = 0.031; of 5, 2 / 2^5 = 0.063."""
    for only_mine, wanted in ((6, "beats"), (5, "is ahead of")):
        right = {"network": np.ones(20, bool), "majority": np.arange(20) >= only_mine}
        found = predict.judgement(ImageConfig(), right)
        assert found["chance"] == pytest.approx(2 / 2**only_mine) and wanted in found["sentence"] and found["beats"] == (wanted == "beats")
    same = predict.judgement(ImageConfig(), {"network": np.ones(9, bool), "majority": np.ones(9, bool)})
    assert not same["beats"] and same["chance"] == 1 and "does not beat" in same["sentence"]
