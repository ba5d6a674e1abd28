import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.gan import baselines, interpret, predict
from core.gan.config import GanConfig
from core.gan.data import Samples, builtin
from core.runs import archive, store, worker

TINY = GanConfig(steps=6, batch_size=16, g_width=8, d_width=8, g_layers=1, d_layers=1, latent_dim=3, evaluate_every=10)


def trained(config, data):
    run = store.create("gan", config, data, data=data.name)
    worker.train_here(run.id)
    assert store.read(run.id).result == "ready", store.read(run.id).note
    return run.id


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANABI_RUNS", str(tmp_path_factory.mktemp("gan")))
        yield


@pytest.fixture(scope="module")
def points(folder):
    return trained(TINY, builtin("ring8"))


@pytest.fixture(scope="module")
def pictures(folder):
    return trained(TINY.updated({"conditional": True, "g_width": 4, "d_width": 4}), builtin("digits"))


@pytest.fixture(scope="module")
def own(folder):
    values = np.random.default_rng(0).integers(0, 255, (40, 3, 28, 28), dtype=np.uint8)
    return trained(TINY.updated({"g_width": 4, "d_width": 4}), Samples("mine", values, 20))


# the verdict


def result(network, rivals, **more):
    scores = {"network": network} | rivals
    return {"scores": scores, "names": predict.NAMES, "main": "wasserstein", "missing": [], "modes": 0} | more


def test_the_sentence_says_who_is_better_and_what_is_missing():
    found = predict.judgement(result({"wasserstein": 0.1}, {"mixture": {"wasserstein": 0.2}, "held_out": {"wasserstein": 0.05}}))
    assert found["beats"] and found["sentence"] == (
        "The GAN beats a Gaussian mixture (sliced Wasserstein distance 0.1 against 0.2; held-out real samples have 0.05)."
    )
    worse = {"wasserstein": 0.3, "on_modes": 0.5}
    found = predict.judgement(result(worse, {"mixture": {"wasserstein": 0.2}}, missing=["north-east"], modes=8))
    assert not found["beats"] and "does not beat" in found["sentence"]
    assert found["sentence"].endswith("It covers 7 of 8 clusters and puts 50 % of its samples on them (missing: north-east).")


def test_the_held_out_samples_are_no_rival():
    found = predict.judgement(result({"wasserstein": 0.1}, {"mixture": {"wasserstein": 0.2}, "held_out": {"wasserstein": 0.01}}))
    assert found["beats"] and found["best_referee"] == "mixture"


def test_the_verdict_of_a_run_is_complete(points, pictures, own):
    for run_id, rivals in ((points, {"mixture"}), (pictures, {"pca", "pixels"}), (own, {"pca", "pixels"})):
        found = store.result(run_id)
        assert set(found["scores"]) == {"network", "held_out"} | rivals and found["sentence"]
        json.dumps(found, allow_nan=False)
    assert len(store.result(points)["missing"]) > 0  # six steps don't find eight clusters
    assert store.result(pictures)["scores"]["held_out"]["fidelity"] > 0.9
    assert "fidelity" not in store.result(own)["scores"]["network"]


def test_real_samples_are_better_than_every_simple_way(pictures, points):
    for run_id, main in ((points, "wasserstein"), (pictures, "frechet")):
        scores = store.result(run_id)["scores"]
        assert all(scores["held_out"][main] <= found[main] * 1.5 for name, found in scores.items() if name != "held_out")


def test_a_gaussian_mixture_finds_the_clusters():
    data = builtin("ring8")
    made = baselines.gaussian_mixture(data, 2000, 0)
    from core.gan import quality

    covered, share = quality.modes_covered(made, data.modes, data.spread)
    assert covered.all() and share > 0.95
    half, _ = quality.modes_covered(made[:1000], data.modes, data.spread)
    assert half.all()  # shuffled, not one cluster after the other


# use


def test_samples_are_the_seeds_and_a_longer_list_begins_with_the_shorter(points, pictures):
    short, long = predict.sample(points, 5, seed=3), predict.sample(points, 9, seed=3)
    assert np.allclose(long["values"][:5], short["values"], atol=1e-6) and short["values"].shape == (5, 2)
    one = predict.sample(pictures, 4, seed=1, label=7)
    assert one["values"].shape == (4, 1, 8, 8) and one["values"].dtype == np.uint8 and one["labels"].tolist() == [7] * 4
    for bad in ({"count": 0}, {"count": 10**6}, {"count": 2, "label": 99}):
        with pytest.raises(UserError):
            predict.sample(pictures, **bad)


def test_a_mixture_of_one_is_the_sample_itself(pictures):
    single = predict.sample(pictures, 3, seed=2, label=4)["values"]
    assert np.array_equal(predict.mix(pictures, 2, np.eye(3).tolist(), label=4), single)
    with pytest.raises(UserError):
        predict.mix(pictures, 2, [[float("nan")]])


def test_the_nearest_training_picture_of_a_training_picture_is_itself(pictures, monkeypatch):
    data = builtin("digits")
    monkeypatch.setattr(predict.Trained, "make", lambda self, noise, labels: data.values[: len(noise)])
    found = predict.nearest(pictures, 0, 5)
    assert np.array_equal(found["neighbours"], data.values[:5]) and found["distance"].max() < 1e-3 and found["usual"] > 0.05


def test_a_quiz_is_half_real_and_never_from_what_was_learned(points, pictures):
    for run_id in (points, pictures):
        data, quiz = predict.opened(run_id).data, predict.quiz(run_id, 12, 5)
        assert quiz["real"].sum() == 6 and len(quiz["values"]) == len(quiz["logits"]) == 12
        held = {value.tobytes() for value in data.values[data.train :]}
        assert all((value.tobytes() in held) == bool(real) for value, real in zip(quiz["values"], quiz["real"], strict=True))


def test_d_says_of_points_what_its_surface_shows(points):
    view = interpret.surface(points)
    said = predict.opinion(points, [[float(view["x"][7]), float(view["y"][30])]])
    assert said[0] == pytest.approx(view["logits"][30, 7], abs=1e-4)
    for bad in ([], [[1.0]], [[float("inf"), 0.0]]):
        with pytest.raises(UserError):
            predict.opinion(points, bad)


# look inside


def test_saliency_points_at_the_pixels_that_matter(pictures):
    found = interpret.saliency(pictures, 3, 0)
    assert found["maps"].shape == (6, 8, 8) and found["maps"].min() >= 0 and found["maps"].max() == pytest.approx(1)
    trained = predict.opened(pictures)
    data = trained.data
    row = np.random.default_rng(0).permutation(len(data.values))[0]
    picture, label = found["pictures"][:1].astype(np.float32), torch.tensor(data.labels[[row]])
    assert np.array_equal(picture[0], data.values[row])
    base = trained.logits(picture, label)
    place = np.unravel_index(found["maps"][0].argmax(), (8, 8))
    other = np.unravel_index(found["maps"][0].argmin(), (8, 8))

    def moved(at):
        changed = picture.copy()
        changed[0, 0, at[0], at[1]] += 3
        return abs(float(trained.logits(changed, label)[0] - base[0]))

    assert moved(place) >= moved(other)


def test_one_noise_passes_every_layer(points, pictures):
    for run_id in (points, pictures):
        way, names = interpret.path_of_a_sample(run_id, 0), interpret.layers(run_id)
        assert [len(way["g"]), len(way["d"])] == [len(names["g"]), len(names["d"])]
        sample = predict.sample(run_id, 1, 0)
        assert np.allclose(way["sample"], sample["values"][0], atol=1e-5)


def test_questions_of_the_wrong_kind_are_said(points, pictures):
    for question in (
        lambda: interpret.saliency(points, 2, 0),
        lambda: interpret.surface(pictures),
        lambda: predict.opinion(pictures, [[0, 0]]),
    ):
        with pytest.raises(UserError):
            question()
    with pytest.raises(UserError):
        predict.nearest(points, 0, 2)


# export


@pytest.mark.parametrize("kind", ["points", "pictures", "own"])
def test_the_exported_script_reproduces_the_metrics(request, tmp_path, kind):
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(archive.pack(request.getfixturevalue(kind)))) as file:
        file.extractall(tmp_path)
    done = subprocess.run([sys.executable, "-I", "reproduce.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "largest difference from the run" in done.stdout


def test_a_packed_run_comes_back_with_its_verdict(points):
    again = archive.unpack(archive.pack(points))
    assert store.result(again)["scores"]["network"] == pytest.approx(store.result(points)["scores"]["network"], rel=1e-6)
