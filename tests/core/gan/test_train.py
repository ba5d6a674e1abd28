import dataclasses
import math

import numpy as np
import pytest
import torch

from core.errors import Diverged, UserError
from core.gan.config import GanConfig
from core.gan.data import Samples, builtin
from core.gan.models import Discriminator, Generator, weighted
from core.gan.objectives import OBJECTIVES
from core.gan.session import Session
from core.gan.train import train
from core.runs import checkpoints

CPU = torch.device("cpu")
TINY = GanConfig(steps=12, batch_size=16, g_width=8, d_width=8, g_layers=1, d_layers=1, latent_dim=3, evaluate_every=10)
TINY_PICTURES = TINY.updated({"g_width": 4, "d_width": 4, "steps": 4})
torch.set_num_threads(1)


def colours(n=24, size=28):
    values = np.random.default_rng(0).integers(0, 255, (n, 3, size, size), dtype=np.uint8)
    return Samples("noise", values, n // 2, np.arange(n) % 2, ("a", "b"))


def losses(config=TINY, data=None, resume=None, steps=10**6):
    rows = []
    for progress in train(config, data or builtin("ring8"), device=CPU, resume=resume):
        rows.append(progress.metrics)
        if len(rows) == steps:
            return rows, progress.checkpoint()
    return rows, progress.checkpoint()


# the contract


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("regulariser", ["none", "gradient penalty", "R1", "R1 and R2"])
def test_every_objective_trains_with_every_penalty(objective, regulariser):
    rows, _ = losses(TINY.updated({"objective": objective, "regulariser": regulariser}))
    assert len(rows) == 12 and all(math.isfinite(value) for row in rows for value in row.values())
    assert (sum(row["train/penalty"] for row in rows) > 0) == (regulariser != "none")
    assert "quality/wasserstein" in rows[0] and "quality/modes" in rows[-1] and "quality/js" not in rows[4]


@pytest.mark.parametrize(
    "change",
    [
        {"noise": "uniform"},
        {"latent_dim": 1},
        {"latent_dim": 128},
        {"packing": 4},
        {"spectral_norm": True},
        {"conditional": True},
        {"ema": 0.0},
        {"g_optimiser": "rmsprop", "d_optimiser": "sgd"},
        {"d_updates": 3, "g_updates": 2},
        {"schedule": "cosine", "g_layers": 3, "d_layers": 2},
    ],
)
def test_every_setting_trains_points(change):
    rows, saved = losses(TINY.updated(change))
    assert len(rows) == 12 and saved.state["step"] == 12


@pytest.mark.parametrize("change", [{}, {"conditional": True}, {"packing": 2}, {"spectral_norm": True}, {"g_layers": 2, "d_layers": 2}])
@pytest.mark.parametrize("data", ["digits", "colours 28", "colours 32"])
def test_every_kind_of_picture_trains(change, data):
    samples = builtin("digits") if data == "digits" else colours(size=int(data[-2:]))
    rows, _ = losses(TINY_PICTURES.updated(change), samples)
    assert len(rows) == 4 and math.isfinite(rows[-1]["quality/precision"])
    assert ("quality/fidelity" in rows[-1]) == (data == "digits")  # the judge does not know the visitor's classes


def test_the_same_seed_gives_the_same_numbers_and_another_other_ones():
    assert losses()[0] == losses()[0]
    assert losses()[0] != losses(TINY.updated({"seed": 1}))[0]


@pytest.mark.parametrize("name", ["ring8", "digits"])
def test_a_resumed_run_has_the_losses_of_one_that_was_never_interrupted(tmp_path, name):
    config = (TINY if name == "ring8" else TINY_PICTURES.updated({"steps": 8})).updated({"conditional": True, "spectral_norm": True})
    whole, end = losses(config, builtin(name))
    first, saved = losses(config, builtin(name), steps=4)
    checkpoints.write(tmp_path, saved)
    rest, again = losses(config, builtin(name), checkpoints.read(tmp_path))
    assert first + rest == whole
    assert all(torch.equal(value, again.tensors[key]) for key, value in end.tensors.items())


@pytest.mark.parametrize("change", [{}, {"spectral_norm": True}, {"packing": 4}, {"conditional": True}])
def test_looking_changes_nothing(change):
    config = TINY.updated(change)
    plain = losses(config)[0]
    looked = []
    for progress in train(config, builtin("ring8"), device=CPU):
        progress.sample()
        progress.checkpoint()
        looked.append(progress.metrics)
    assert looked == plain


def test_a_checkpoint_of_other_settings_is_refused():
    _, saved = losses(steps=2)
    with pytest.raises(UserError, match="does not fit"):
        losses(TINY.updated({"g_width": 9}), resume=saved)


# turns, parts, live settings


def weights_after(settings):
    loop = train(TINY, builtin("ring8"), device=CPU)
    before = {key: value.clone() for key, value in next(loop).checkpoint().tensors.items()}
    after = loop.send(settings).checkpoint().tensors
    loop.close()
    return {
        who: any(not torch.equal(before[k], after[k]) for k in before if k.startswith(who)) for who in ("generator.net", "discriminator.")
    }


def test_one_alone_is_trained_while_the_other_stands_still():
    assert weights_after(None) == {"generator.net": True, "discriminator.": True}
    assert weights_after({"turn": "only D"}) == {"generator.net": False, "discriminator.": True}
    assert weights_after({"turn": "only G"}) == {"generator.net": True, "discriminator.": False}


def test_a_round_has_twelve_parts_and_they_change_no_numbers():
    parts, rows = [], []
    for progress in train(TINY.updated({"sub_steps": True}), builtin("ring8"), device=CPU):
        if "flow/part" in progress.metrics:
            parts.append(progress.metrics["flow/part"])
            assert progress.checkpoint().state["step"] == progress.step - 1  # the last whole round: from there it resumes
        else:
            rows.append(progress.metrics)
    assert parts == [*range(1, 13)] * 12
    assert rows == losses()[0]


def test_a_live_learning_rate_of_almost_nothing_stops_g():
    loop = train(TINY, builtin("ring8"), device=CPU)
    before = next(loop).checkpoint().tensors["generator.net.0.weight"].clone()
    after = loop.send({"g_learning_rate": 1e-6}).checkpoint().tensors["generator.net.0.weight"]
    assert (before - after).abs().max() < 1e-5


# starting from weights, and what does not go together


def test_a_run_starts_from_given_weights():
    _, saved = losses()
    start = {k: v.numpy() for k, v in saved.tensors.items() if k.split(".")[0] in {"generator", "discriminator"}}
    session = Session(TINY, dataclasses.replace(builtin("ring8"), start=start), CPU)
    assert torch.equal(session.generator.net[0].weight, saved.tensors["generator.net.0.weight"])
    assert torch.equal(session.average.net[0].weight, saved.tensors["generator.net.0.weight"])
    with pytest.raises(UserError, match="do not fit"):
        Session(TINY.updated({"d_width": 9}), dataclasses.replace(builtin("ring8"), start=start), CPU)


def test_classes_are_needed_for_conditional_networks():
    with pytest.raises(UserError, match="needs? classes|need classes"):
        losses(TINY.updated({"conditional": True}), builtin("moons"))
    with pytest.raises(UserError, match="Packing"):
        TINY.updated({"conditional": True, "packing": 2})
    with pytest.raises(UserError, match="multiple"):
        TINY.updated({"packing": 3})


def test_three_points_and_identical_ones_train():
    for values in (np.eye(3, 2), np.ones((5, 2))):
        rows, _ = losses(data=Samples("few", values.astype(np.float32), len(values)))
        assert all(math.isfinite(value) for value in rows[-1].values())


def test_a_loss_that_is_no_number_stops_and_says_so():
    loop = train(TINY, builtin("ring8"), device=CPU)
    good = next(loop)
    assert good.checkpoint().state["step"] == 1
    session = loop.gi_frame.f_locals["run"]
    with torch.no_grad():
        session.discriminator.head.weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="What had been learned before is kept"):
        next(loop)


def test_broken_weights_are_never_saved():
    loop = train(TINY, builtin("ring8"), device=CPU)
    progress = next(loop)
    with torch.no_grad():
        loop.gi_frame.f_locals["run"].generator.net[0].weight[0, 0] = float("inf")
    with pytest.raises(Diverged):
        progress.checkpoint()


# networks


def test_the_networks_have_the_shapes_they_promise():
    for shape in ((2,), (1, 8, 8), (3, 28, 28), (1, 32, 32)):
        g = Generator(shape, latent_dim=5, layers=2, width=8, classes=3)
        d = Discriminator(shape, layers=2, width=8, classes=3)
        labels = torch.tensor([0, 1, 2, 0])
        fake = g(torch.randn(4, 5), labels)
        assert fake.shape == (4, *shape) and d(fake, labels).shape == (4,)
        assert Discriminator(shape, layers=1, width=8, packing=2)(fake).shape == (2,)
        assert torch.allclose(g.to_data(g.from_data(fake)), fake, atol=1e-6)


def test_packing_shows_d_several_samples_at_once():
    d = Discriminator((2,), layers=1, width=8, packing=2)
    a, b = torch.randn(2, 2), torch.randn(2, 2)
    assert torch.allclose(d(torch.cat([a, b])), torch.stack([d(a)[0], d(b)[0]]), atol=1e-6)
    each = d.each(torch.cat([a, b]), company=torch.ones(3, 2))
    assert torch.allclose(each[0], d(torch.stack([a[0], torch.ones(2)]))[0], atol=1e-6) and each.shape == (4,)


def test_spectral_norm_keeps_every_layer_at_slope_one():
    d = Discriminator((2,), layers=2, width=16, spectral_norm=True)
    for _ in range(60):
        d(torch.randn(8, 2))
    for layer in weighted(d):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.02)


def test_the_average_follows_g():
    run = Session(TINY.updated({"ema": 0.5}), builtin("ring8"), CPU)
    with torch.no_grad():
        for mine, current in zip(run.average.parameters(), run.generator.parameters(), strict=True):
            mine.zero_()
            current.fill_(1.0)
    run.step = 100
    run.follow()
    assert all(torch.allclose(p, torch.full_like(p, 0.5)) for p in run.average.parameters())


def test_a_gan_learns_to_cover_three_islands():
    config = GanConfig(steps=600, batch_size=128, g_width=32, d_width=32, g_layers=2, d_layers=2, penalty=0.1, evaluate_every=600)
    rows, _ = losses(config, builtin("islands"))
    assert rows[-1]["quality/modes"] == 3 and rows[-1]["quality/wasserstein"] < 0.4 < rows[0]["quality/wasserstein"]
