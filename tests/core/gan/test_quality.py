import numpy as np
import pytest

from core.gan import quality

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.normal(size=(4000, 2))


def test_the_same_samples_have_no_distance():
    kl, js = quality.grid_divergences(CLOUD, CLOUD)
    assert kl == 0 and js == 0
    assert quality.sliced_wasserstein(CLOUD, CLOUD) == 0
    assert quality.diversity(CLOUD, CLOUD) == 1


def test_samples_elsewhere_have_the_largest_js():
    kl, js = quality.grid_divergences(CLOUD, CLOUD + 100)
    assert js == pytest.approx(np.log(2), abs=0.12) and kl > 2


def test_sliced_wasserstein_of_a_shift_is_known():
    # a shift by d moves the projection on angle a by d |cos a|; the mean over all angles is 2 d / pi
    assert quality.sliced_wasserstein(CLOUD, CLOUD + [3.0, 0.0]) == pytest.approx(3 * 2 / np.pi, rel=1e-3)


def test_modes_are_counted_and_far_samples_belong_to_none():
    modes = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    fake = np.concatenate([RANDOM.normal(0, 0.1, (60, 2)), RANDOM.normal((10, 0), 0.1, (30, 2)), np.full((10, 2), 5.0)])
    covered, share = quality.modes_covered(fake, modes, 0.2)
    assert covered.tolist() == [True, True, False]
    assert share == pytest.approx(0.9, abs=0.01)


def test_a_mode_needs_a_fifth_of_its_fair_share():
    modes = np.array([[0.0, 0.0], [10.0, 0.0]])
    fake = np.concatenate([np.zeros((95, 2)), np.full((5, 2), [10.0, 0.0])])
    assert quality.modes_covered(fake, modes, 0.1)[0].tolist() == [True, False]  # 5 of a fair 50 are a tenth


def test_a_round_cluster_has_98_9_per_cent_within_three_spreads():
    fake = RANDOM.normal(0, 1, (100_000, 2))
    assert quality.modes_covered(fake, np.zeros((1, 2)), 1.0)[1] == pytest.approx(1 - np.exp(-4.5), abs=0.002)


def test_precision_and_recall_have_known_answers():
    line = np.arange(20.0)[:, None] * [1.0, 0.0]
    assert quality.precision_recall(line, line) == (1.0, 1.0)
    assert quality.precision_recall(line, line + [0.0, 100.0]) == (0.0, 0.0)
    precision, recall = quality.precision_recall(line, line[:5])  # believable, but a quarter only
    assert precision == 1.0 and 0.25 <= recall <= 0.5
    assert quality.precision_recall(line[:1], line) == (0.0, 0.0)


def test_frechet_of_two_gaussians_is_known():
    a = RANDOM.normal(size=(200_000, 3))
    assert quality.frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert quality.frechet(a, a + [2.0, 0, 0]) == pytest.approx(4, rel=1e-6)
    assert quality.frechet(a, 3 * a) == pytest.approx(3 * (3 - 1) ** 2, rel=0.02)  # three axes, each (3 - 1)^2


def test_balance_is_one_for_even_classes_and_zero_for_one():
    assert quality.balance(np.array([5, 5, 5, 5])) == pytest.approx(1)
    assert quality.balance(np.array([20, 0, 0, 0])) == 0


def test_fidelity_compares_what_was_asked_with_what_is_seen():
    chances = np.array([[0.95, 0.05], [0.2, 0.8], [0.6, 0.4]])
    features = RANDOM.normal(size=(3, 4))
    told = quality.of_pictures(features, features, chances, asked=np.array([0, 1, 1]), named=True)
    assert told["fidelity"] == pytest.approx(2 / 3)
    assert quality.of_pictures(features, features, chances, asked=None, named=True)["fidelity"] == pytest.approx(1 / 3)
    assert "fidelity" not in quality.of_pictures(features, features, chances, asked=None, named=False)


def test_every_measure_is_explained():
    modes = np.zeros((1, 2))
    found = set(quality.of_points(CLOUD, CLOUD, modes, 1.0))
    found |= set(quality.of_pictures(CLOUD, CLOUD, np.full((4000, 3), 1 / 3), asked=None, named=True))
    assert found == set(quality.METRICS)
