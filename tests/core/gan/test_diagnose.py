import numpy as np
import pytest

from core.gan.config import GanConfig
from core.gan.diagnose import REMEDIES, collapsed, findings


def curve(*values):
    return np.arange(len(values)), np.array(values, float)


def test_a_healthy_run_is_left_alone():
    curves = {"quality/modes": curve(2, 7, 8, 8, 8), "quality/diversity": curve(0.3, 0.9, 1, 1), "train/d_accuracy": curve(*[0.6] * 200)}
    assert findings(curves, 8, 10) == []
    assert findings({}, 8, 10) == []


def test_lost_clusters_are_a_collapse_and_the_best_is_remembered():
    (found,) = findings({"quality/modes": curve(1, 6, 3, 2, 2)}, 8, 10)
    assert found.sentence == "Mode collapse: G covers 2 of 8 clusters only. It once covered 6."
    assert collapsed([found])


def test_nothing_is_said_at_a_healthy_start():
    start = {"quality/modes": curve(0, 0, 0, 0), "quality/diversity": curve(0.1, 0.1, 0.2, 0.3)}
    assert findings(start, 8, 100) == [] and len(findings(start, 8, 10)) == 2


def test_one_bad_measurement_is_no_collapse():
    assert findings({"quality/modes": curve(8, 8, 1)}, 8, 5) == []


def test_samples_that_are_alike_and_a_d_that_has_won_are_said():
    found = findings({"quality/diversity": curve(0.1, 0.1, 0.12), "train/d_accuracy": curve(*[1.0] * 150)}, 0, 150)
    assert [finding.kind for finding in found] == ["diversity", "saturated"]
    assert "12 % of the data's" in found[0].sentence


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda r: r.title)
def test_every_remedy_is_a_valid_change(remedy):
    sick = GanConfig.from_preset("Collapse")
    assert sick.updated(remedy.changes) != sick
    shape = {"packing", "conditional", "g_width", "d_width", "latent_dim", "spectral_norm"}
    assert remedy.fits_weights == (not (set(remedy.changes) & shape - {"conditional"}))
