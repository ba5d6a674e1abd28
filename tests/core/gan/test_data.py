import dataclasses

import numpy as np
import pytest

from core import datasets
from core.errors import UserError
from core.gan import data
from core.gan.data import BUILTIN, Samples, builtin, load, save


@pytest.mark.parametrize("name", BUILTIN)
def test_every_builtin_is_the_same_each_time_and_has_a_held_out_half(name):
    samples = builtin(name)
    data._builtin.cache_clear()
    assert np.array_equal(samples.values, builtin(name).values)
    assert samples.train == len(samples.values) // 2
    assert samples.points != BUILTIN[name].pictures
    assert samples.values.dtype == (np.float32 if samples.points else np.uint8)
    if samples.labels is not None:
        assert set(np.unique(samples.labels)) == set(range(len(samples.classes)))


def test_the_counts_that_the_page_tells():
    assert {name: len(builtin(name).mode_names) for name in ("ring8", "grid25", "grid100", "islands")} == {
        "ring8": 8,
        "grid25": 25,
        "grid100": 100,
        "islands": 3,
    }
    assert builtin("digits").shape == (1, 8, 8) and builtin("fashion").shape == (1, 28, 28)
    assert len(builtin("fashion").values) == 12_000 and datasets.FASHION.stat().st_size < 6_000_000


def test_clusters_lie_where_their_names_say():
    ring = builtin("ring8")
    centre = dict(zip(ring.mode_names, ring.modes, strict=True))
    assert centre["north-east"] == pytest.approx([np.sqrt(2)] * 2) and centre["west"] == pytest.approx([-2, 0], abs=1e-9)
    for kind in range(8):
        own = ring.values[ring.labels == kind]
        assert own.mean(0) == pytest.approx(ring.modes[kind], abs=0.01)
        assert own.std(0) == pytest.approx([ring.spread] * 2, rel=0.1)


def test_an_unknown_name_is_said():
    with pytest.raises(UserError, match="no built-in dataset"):
        builtin("nothing")


@pytest.mark.parametrize("name", ["ring8", "moons", "digits"])
def test_saved_and_loaded_it_is_the_same(tmp_path, name):
    for samples in (builtin(name), dataclasses.replace(builtin(name), builtin="", start={"generator.x": np.ones(3, np.float32)})):
        save(samples, tmp_path)
        again = load(tmp_path)
        assert np.array_equal(again.values, samples.values) and again.classes == samples.classes
        assert (again.start is None) == (samples.start is None)
        assert {path.name for path in tmp_path.iterdir()} <= set(data.FILES)


@pytest.mark.parametrize(
    "change",
    [
        {"values": np.zeros((4, 3), np.float32)},
        {"values": np.full((4, 2), np.nan, np.float32)},
        {"values": np.zeros((4, 1, 7, 7), np.uint8)},
        {"train": 0},
        {"train": 2.5},
        {"spread": float("nan")},
        {"labels": np.zeros(4, np.uint8), "classes": ("a",)},
        {"modes": np.zeros((1, 2)), "mode_names": ("a",)},
        {"train": 5},
        {"labels": np.array([0, 0, 0, 9])},
        {"modes": np.zeros((2, 2))},
    ],
)
def test_a_damaged_dataset_is_refused(tmp_path, change):
    good = Samples("x", np.arange(8, dtype=np.float32).reshape(4, 2), 2)
    save(good, tmp_path)
    assert np.array_equal(load(tmp_path).values, good.values)
    save(dataclasses.replace(good, **change), tmp_path)
    with pytest.raises(UserError, match="damaged"):
        load(tmp_path)


def test_files_that_are_no_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="missing"):
        load(tmp_path)
    (tmp_path / data.FILES[0]).write_text('{"builtin": ""}')
    with pytest.raises(UserError):
        load(tmp_path)


def test_scales_come_from_the_training_part_alone():
    values = np.concatenate([np.random.default_rng(0).normal(5, 2, (100, 2)), np.full((100, 2), 1e6)]).astype(np.float32)
    centre, scale = Samples("x", values, 100).scales()
    assert centre == pytest.approx([5, 5], abs=0.6) and scale == pytest.approx([2, 2], rel=0.2)
