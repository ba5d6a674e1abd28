import itertools
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from core.errors import Diverged, UserError
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import Series, builtin
from core.forecasting.parts import Split, backtest_origins, known_then, split
from core.forecasting.train import METRICS, train
from core.forecasting.windows import Windows, calendar, extend, spread
from core.progress import Checkpoint

CPU = torch.device("cpu")
torch.set_num_threads(1)
TINY = ForecastingConfig(window=12, horizon=6, hidden_size=4, steps=40, validate_every=5)


def losses(config=TINY, data=None, **options):
    return [p.metrics["train/loss"] for p in train(config, data or builtin("airline"), device=CPU, **options)]


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_every_cell_learns_and_every_metric_is_explained(model):
    history = list(train(TINY.updated({"model": model, "steps": 120}), builtin("airline"), device=CPU))
    val = [p.metrics["val/loss"] for p in history if "val/loss" in p.metrics]
    assert min(val) < 0.8 * val[0]
    assert {name for p in history for name in p.metrics} == set(METRICS)
    assert [p.step for p in history] == list(range(1, len(history) + 1))
    assert history[-1].step == history[-1].total


@pytest.mark.parametrize("refit", [True, False])
def test_what_is_said_to_come_at_most_never_grows(refit):
    totals = [p.total for p in train(TINY.updated({"refit": refit}), builtin("airline"), device=CPU)]
    assert totals[0] == TINY.steps * (2 if refit else 1) and all(after <= before for before, after in zip(totals, totals[1:], strict=False))


def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    assert losses() == losses()
    assert losses() != losses(TINY.updated({"seed": 1}))


@pytest.mark.parametrize("stop_at", [1, 17, 40, 50])
def test_resume_is_as_if_it_had_never_stopped(stop_at):
    config = TINY.updated({"dropout": 0.3, "layers": 2, "patience": 1000})
    whole = losses(config)
    assert len(whole) > stop_at
    for progress in itertools.islice(train(config, builtin("airline"), device=CPU), stop_at):
        saved = progress.checkpoint()
        copy = Checkpoint({k: v.clone() for k, v in saved.tensors.items()}, dict(saved.state))
    torch.manual_seed(999)
    assert losses(config, resume=copy) == whole[stop_at:]


def test_a_live_setting_changes_the_running_loop_and_survives_resume():
    loop = train(TINY.updated({"schedule": "constant"}), builtin("airline"), device=CPU)
    next(loop)
    assert loop.send({"learning_rate": 0.2}).metrics["train/learning_rate"] == 0.2
    saved = next(loop).checkpoint()
    resumed = train(TINY.updated({"schedule": "constant"}), builtin("airline"), device=CPU, resume=saved)
    assert next(resumed).metrics["train/learning_rate"] == 0.2


def test_early_stopping_keeps_the_best_weights():
    config = TINY.updated({"steps": 400, "patience": 2, "learning_rate": 0.2, "refit": False})
    history = list(train(config, builtin("airline"), device=CPU))
    assert len(history) < 400
    val = {p.step: p.metrics["val/loss"] for p in history if "val/loss" in p.metrics}
    assert history[-1].checkpoint().state["best_loss"] == min(val.values())


def test_a_training_shorter_than_a_validation_is_validated_all_the_same():
    history = list(train(TINY.updated({"steps": 10, "validate_every": 1000}), builtin("airline"), device=CPU))
    state, first = history[-1].checkpoint().state, history[0]
    assert state["best_step"] == 10 and first.step == 1
    assert "val/loss" in history[9].metrics


@pytest.mark.parametrize("stop_at", [1, 3, 12])
def test_weights_of_a_stopped_run_are_trained_and_calibrated(stop_at):
    initial = next(train(TINY, builtin("airline"), device=CPU)).checkpoint().part("model")
    for progress in itertools.islice(train(TINY, builtin("airline"), device=CPU), stop_at):
        saved = progress.checkpoint().part("best")
    assert stop_at == 1 or not torch.equal(saved["head.weight"], initial["head.weight"])
    assert saved["margin"].abs().sum() + saved["least"].abs().sum() > 0


def test_a_gap_filled_across_a_boundary_tells_nothing_of_what_comes_after():
    values = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]])  # 3 and 4 were drawn towards the 5 beyond
    parts = Split(4, 6, 7)
    assert known_then(values, (2, 3), parts)[:, 0].tolist() == [1, 2, 2, 2, 5, 6, 7]
    assert known_then(values, (1,), parts)[:, 0].tolist() == values[:, 0].tolist()
    assert known_then(values, (3, 4), parts)[:, 0].tolist() == [1, 2, 3, 3, 5, 6, 7]


def test_refit_trains_as_many_steps_as_were_best():
    history = list(train(TINY, builtin("airline"), device=CPU))
    state = history[-1].checkpoint().state
    selected = [p.step for p in history if "val/loss" in p.metrics][-1]
    assert len(history) == selected + state["best_step"]


def test_nothing_of_the_test_part_is_learned_from():
    data = builtin("airline")
    spoiled = data.frame.copy()
    parts = split(data.length, TINY)
    spoiled.iloc[parts.validation :] *= 100
    again = Series(data.name, spoiled, data.targets, season=12, step="MS")
    assert losses() == losses(data=again)


def test_scales_are_fitted_on_the_training_part_only():
    data = builtin("airline")
    parts = split(data.length, TINY)
    spoiled = data.frame.copy()
    spoiled.iloc[parts.train : parts.validation] *= 100
    again = Series(data.name, spoiled, data.targets, season=12, step="MS")
    first, second = (next(train(TINY, d, device=CPU)).checkpoint() for d in (data, again))
    for name in ("centre", "scale", "output_scale"):
        assert torch.equal(first.tensors[f"model.{name}"], second.tensors[f"model.{name}"])


def test_covariates_of_the_test_part_scale_nothing():
    promotion = np.random.default_rng(0).random(144)
    config = TINY.updated({"horizon": 28, "validation_size": 10, "refit": True})
    parts = split(144, config)
    spoiled = promotion.copy()
    spoiled[parts.validation :] *= 100
    frame = builtin("airline").frame
    runs = [
        losses(config, Series("x", frame.assign(promotion=values), ("passengers",), ("promotion",), season=12, step="MS"))
        for values in (promotion, spoiled)
    ]
    assert runs[0] == runs[1]


def test_a_loss_that_is_no_number_stops_with_a_sentence():
    saved = next(train(TINY, builtin("airline"), device=CPU)).checkpoint()
    saved.tensors["model.head.weight"].fill_(torch.nan)
    with pytest.raises(Diverged, match="became nan at step 2.*is kept"):
        losses(resume=saved)


def test_values_too_large_to_square_are_said():
    data = builtin("airline")
    frame = data.frame.copy()
    frame.iloc[20] = 1e308
    with pytest.raises(UserError, match="error code"):
        losses(TINY, Series("x", frame, data.targets, season=12, step="MS"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": 140}, "too few"),
        ({"test_size": 130}, "too few"),
        ({"difference": "last season", "season": 0, "window": 6}, "last season"),
    ],
)
def test_settings_that_do_not_fit_the_series_are_said(changes, words):
    with pytest.raises(UserError, match=words):
        losses(TINY.updated(changes))


def test_log_of_what_is_not_positive_is_said():
    data = builtin("elnino")
    with pytest.raises(UserError, match="positive"):
        losses(TINY.updated({"transform": "log"}), Series("x", data.frame - 25, data.targets, season=12, step="MS"))


def test_several_targets_with_covariates_known_in_advance():
    index = pd.date_range("2020-01-01", periods=160, freq="D")
    plan = np.arange(160) % 5
    frame = pd.DataFrame({"a": plan + np.arange(160) * 0.1, "b": 3.0 * plan, "plan": plan}, index=index, dtype=float)
    frame.iloc[150:, :2] = np.nan
    data = Series("two", frame, ("a", "b"), ("plan",), season=7, step="D")
    assert data.length == 150
    last = list(train(TINY.updated({"steps": 150}), data, device=CPU))[-1]
    assert last.sample()["forecast"].shape == (6, 2, 3)
    assert math.isfinite(last.metrics["train/loss"])


# windows, parts and calendar


def test_the_parts_cover_the_series_and_never_overlap():
    for length in (40, 144, 2284, 1_000_000):
        parts = split(length, TINY)
        assert 0 < parts.train < parts.validation < parts.length == length
        assert parts.length - parts.validation >= TINY.horizon


def test_backtest_origins_leave_room_for_the_horizon_and_are_few():
    for stride in (1, 5):
        config = TINY.updated({"stride": stride})
        origins = backtest_origins(split(2284, config), config)
        assert len(origins) <= 25 and origins[0] == split(2284, config).validation
        assert origins[-1] + config.horizon <= 2284


def test_windows_know_nothing_from_their_limit_on():
    values = np.arange(20.0).reshape(-1, 1)
    windows = Windows(values, np.zeros((23, 0)), 4, 3, CPU)
    past, known, future = windows.at(torch.tensor([4, 9, 10]), 10)
    assert past[:, :, 0].tolist() == [[0, 1, 2, 3], [5, 6, 7, 8], [6, 7, 8, 9]]
    assert future[0, :, 0].tolist() == [4, 5, 6] and known.shape == (3, 7, 0)
    assert future[1, 0, 0] == 9 and future[1, 1:].isnan().all() and future[2].isnan().all()


def test_the_calendar_repeats_with_its_cycle():
    months = calendar(pd.date_range("2020-01-01", periods=48, freq="MS"), "MS", 12)
    assert months.shape == (48, 2) and np.allclose(months[0], months[12], atol=0.02)
    hours = calendar(pd.date_range("2020-01-06", periods=24 * 15, freq="h"), "h", 24)
    assert hours.shape[1] == 6 and np.allclose(hours[:, :2], hours[:, :2]) and np.allclose(hours[0, [0, 1]], hours[168, [0, 1]], atol=1e-9)
    assert calendar(pd.RangeIndex(10), "row", 1).shape == (10, 0)
    assert np.allclose(calendar(pd.RangeIndex(22), "row", 11)[0], calendar(pd.RangeIndex(22), "row", 11)[11])


def test_unknown_covariates_repeat_their_last_season():
    assert extend(np.array([[1.0], [2.0], [3.0]]), 4, 2)[:, 0].tolist() == [1, 2, 3, 2, 3, 2, 3]
    assert spread(3, 10, 4).tolist() == [3, 5, 7, 9]


def test_it_runs_without_the_dashboard():
    done = subprocess.run(
        [sys.executable, "-m", "core.forecasting.train", "--data", "nile", "--preset", "Nile", "--steps", "20"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "step 20/" in done.stdout and "The LSTM" in done.stdout.splitlines()[-1], done.stderr


@pytest.mark.parametrize("refit", [True, False])
def test_only_a_refitted_network_is_said_to_learn_from_the_validation_part(small, refit):
    config, data = small
    said = [bool(progress.sample()["refit"][0]) for progress in train(config.updated({"refit": refit}), data, device=torch.device("cpu"))]
    assert said[0] is False and said[-1] is refit
