import io
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from core.errors import UserError
from core.forecasting import data, interpret, predict, scores
from core.forecasting.config import ForecastingConfig
from core.forecasting.session import build
from core.runs import archive, store

torch.set_num_threads(1)
EXAMPLES = store.examples("forecasting")


# scores


def test_scores_have_known_answers():
    forecast = np.array([[[8.0, 10.0, 12.0], [18.0, 20.0, 22.0]]])
    found = scores.score(forecast, np.array([[11.0, 25.0]]), unit=2.0, percent=True)
    assert found["mae"] == 3 and found["rmse"] == pytest.approx(np.sqrt(13)) and found["mase"] == 1.5
    assert found["mape"] == pytest.approx(50 * (1 / 11 + 5 / 25))
    assert found["smape"] == pytest.approx(100 * (1 / 21 + 5 / 45))
    assert found["coverage"] == 0.5
    assert scores.score(forecast, np.array([[np.nan, 25.0]]), unit=0.0, percent=False)["mae"] == 5


def test_percentages_only_far_from_zero():
    assert scores.far_from_zero(np.array([5.0, 6.0])) and scores.far_from_zero(np.array([-5.0, -6.0]))
    assert not scores.far_from_zero(np.array([-1.0, 5.0])) and not scores.far_from_zero(np.array([0.01, 5.0, 6.0]))


def test_the_unit_of_mase_is_the_seasonal_naive_error():
    assert scores.seasonal_naive_error(np.array([1.0, 2, 3, 5, 5, 9]), 2) == pytest.approx((2 + 3 + 2 + 4) / 4)


def test_measures_by_step_of_the_horizon():
    forecast = np.zeros((2, 3, 3))
    actual = np.array([[1.0, np.nan, np.nan], [3.0, 4.0, np.nan]])
    found = scores.by_step(forecast, actual, unit=2.0, percent=False)
    assert found["mae"] == [2.0, 4.0, None] and found["mase"] == [1.0, 2.0, None]
    assert found["rmse"][0] == pytest.approx(np.sqrt(5)) and found["coverage"] == [0.0, 0.0, None]
    assert found["mape"] == [None, None, None] and set(found) == set(scores.METRICS)


# verdict


def facts(mine, rivals, season=12):
    errors = {"network": mine, **rivals}
    return {
        "names": {key: key.upper() for key in errors},
        "scores": {key: {"x": {"mase": value, "mae": value}} for key, value in errors.items()},
        "season": season,
        "step": "MS",
        "origins": [1],
        "held": 29,
        "of": 36,
    }


def test_the_sentence_says_by_how_much_it_wins():
    found = predict.judge(facts(0.5, {"ets": 1.0, "snaive": 2.0}))
    assert found["beats"] and found["best_referee"] == "ets"
    assert "beats the best simple forecast, ETS, by 50 % (MASE 0.50 against 1.00)" in found["sentence"]
    assert "beats the seasonal naive forecast by 75 %" in found["sentence"]
    assert found["sentence"].endswith("Its 80 % band held 29 of 36 months.")


def test_the_sentence_says_when_it_does_not():
    found = predict.judge(facts(1.2, {"ets": 1.0, "snaive": 2.0}))
    assert not found["beats"] and "does not beat the best simple forecast, ETS: its error is 20 % larger" in found["sentence"]


def test_a_rival_without_any_error_is_said_and_divides_nothing():
    for mine in (0.0, 0.01):
        found = predict.judge(facts(mine, {"ets": 1.0, "snaive": 0.0}))
        assert not found["beats"] and "SNAIVE, which makes no error" in found["sentence"]


def test_a_series_that_gives_no_scale_is_judged_by_mae():
    given = facts(0.5, {"ets": 1.0, "snaive": 2.0})
    for by_target in given["scores"].values():
        by_target["x"]["mase"] = None
    assert "(MAE 0.5 against 1)" in predict.judge(given)["sentence"]


@pytest.mark.parametrize("run_id", EXAMPLES)
def test_the_shipped_weights_give_the_shipped_verdict(run_id):
    found, kept = predict.evaluate(run_id), store.result(run_id)
    for target, by_metric in kept["scores"]["network"].items():
        for metric, value in by_metric.items():
            assert found["scores"]["network"][target][metric] == pytest.approx(value, rel=1e-4), metric
    assert set(found["scores"]) == set(found["forecasts"]) == set(found["names"])


def test_every_forecaster_is_scored_on_the_same_points():
    kept = store.result(EXAMPLES[0])
    assert all(len(values) == 36 for values in (f for f in kept["forecasts"].values()))
    assert kept["of"] == 36 and kept["origins"] == [108]


# use


def test_the_forecast_goes_on_where_the_series_ends():
    answer = predict.forecast(EXAMPLES[0])
    quantiles = np.array(answer["quantiles"])
    assert quantiles.shape == (36, 1, 3) and answer["times"][0].startswith("1961-01")
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_editing_the_past_moves_the_forecast():
    series = data.builtin("airline")
    recent = series.values()[-24:]
    same = predict.forecast(EXAMPLES[0], recent.tolist())
    assert same["quantiles"] == predict.forecast(EXAMPLES[0])["quantiles"]
    raised = predict.forecast(EXAMPLES[0], (recent * 1.5).tolist())
    assert np.mean(raised["quantiles"]) > 1.2 * np.mean(same["quantiles"])


@pytest.mark.parametrize("recent", [[[1.0]], [[float("nan")]] * 24, [[1.0, 2.0]] * 24])
def test_edits_that_are_no_numbers_are_refused(recent):
    with pytest.raises(UserError, match="must hold a number"):
        predict.forecast(EXAMPLES[0], recent)


def test_a_run_without_weights_says_so(fresh_runs, small):
    run = store.create("forecasting", *small)
    with pytest.raises(UserError, match="no weights yet"):
        predict.forecast(run.id)


# look inside


@pytest.mark.parametrize("run_id", EXAMPLES)
def test_the_gates_shown_are_the_gates_that_ran(run_id):
    path = interpret.signal_path(run_id, 120)
    gates, h = path["gates"], path["h"]
    before = np.vstack([np.zeros_like(h[:1]), h[:-1]])
    if path["model"] == "lstm":
        c = path["c"]
        earlier = np.vstack([np.zeros_like(c[:1]), c[:-1]])
        assert np.allclose(c, gates["f"] * earlier + gates["i"] * gates["g"], atol=1e-5)
        assert np.allclose(h, gates["o"] * np.tanh(c), atol=1e-5)
    elif path["model"] == "gru":
        assert np.allclose(h, (1 - gates["z"]) * gates["n"] + gates["z"] * before, atol=1e-5)
    else:
        assert np.allclose(h, gates["a"], atol=1e-5)
        assert np.allclose(h, np.tanh(path["from_x"] + path["from_h"] + path["bias"]), atol=1e-5)


def test_the_signal_path_ends_in_the_forecast_of_the_network():
    config, series, network = predict.opened(EXAMPLES[1])
    path = interpret.signal_path(EXAMPLES[1], series.length)
    assert np.allclose(path["forecast"], np.array(predict.forecast(EXAMPLES[1])["quantiles"]), rtol=1e-5)
    assert len(path["names"]) == path["x"].shape[1]
    assert not np.allclose(path["h"], interpret.signal_path(EXAMPLES[1], series.length, trained=False)["h"])
    for bad in (0, series.length + 1):
        with pytest.raises(UserError):
            interpret.signal_path(EXAMPLES[1], bad)


def test_the_gradient_of_a_plain_rnn_vanishes_as_its_weights_say():
    """With W_hh = 0.5 I and tiny signals tanh' is 1, so each step back halves the gradient."""
    series = data.builtin("airline")
    config = ForecastingConfig(model="rnn", window=12, horizon=3, hidden_size=4, calendar=False, difference="none")
    network = build(config, series)
    cell = network.cells[0]
    with torch.no_grad():
        for parameter in (cell.weight_ih, cell.bias_ih, cell.bias_hh):
            parameter.zero_()
        cell.weight_hh.copy_(0.5 * torch.eye(4))
    windows = interpret.windows_of(config, series, torch.device("cpu"))
    from core.forecasting.parts import split

    norms = interpret.gradient_by_lag(network, windows, split(series.length, config))
    assert np.allclose(norms[1:] / norms[:-1], 0.5, atol=1e-5)


def test_vanishing_compares_the_three_cells_before_and_after():
    found = interpret.vanishing(EXAMPLES[0], EXAMPLES[1:])
    assert set(found["initial"]) == set(found["trained"]) == {"rnn", "lstm", "gru"}
    assert all(len(norms) == 24 and norms[0] > 0 for part in found.values() for norms in part.values())


def test_memory_is_zero_for_a_network_that_reads_nothing(monkeypatch):
    config, series, network = predict.opened(EXAMPLES[0])
    changed = interpret.memory(EXAMPLES[0], 144)["change"]
    assert len(changed) == config.window and max(changed) > 0
    blind = build(config, series).eval()
    with torch.no_grad():
        blind.head.weight.zero_()
    monkeypatch.setattr(interpret, "opened", lambda run_id: (config, series, blind))
    assert interpret.memory(EXAMPLES[0], 144)["change"] == [0.0] * config.window


def test_memory_is_of_the_target_that_is_asked_for(monkeypatch):
    values = np.random.default_rng(0).normal(size=(60, 2)).cumsum(0)
    series = data.Series("two", pd.DataFrame(values, columns=["a", "b"]), ("a", "b"))
    config = ForecastingConfig(window=8, horizon=3, hidden_size=4)
    network = build(config, series).eval()
    with torch.no_grad():
        network.cells[0].weight_ih[:, 0] = 0.0  # it does not read the first target
    monkeypatch.setattr(interpret, "opened", lambda run_id: (config, series, network))
    assert interpret.memory("", 60)["change"] == [0.0] * 8
    assert min(interpret.memory("", 60, target=1)["change"]) > 0
    for wrong in (-1, 2):
        with pytest.raises(UserError, match="no such target"):
            interpret.memory("", 60, target=wrong)


# export


@pytest.mark.parametrize("run_id", EXAMPLES)
def test_the_exported_script_reproduces_the_metrics(run_id, tmp_path):
    zipfile.ZipFile(io.BytesIO(archive.pack(run_id))).extractall(tmp_path)
    done = subprocess.run([sys.executable, "-W", "error", "reproduce.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "largest difference from the run" in done.stdout
    assert "from core" not in (tmp_path / "reproduce.py").read_text()


@pytest.mark.parametrize("name", data.BUILTIN)
def test_built_in_series_are_whole_and_survive_a_round_trip(name, tmp_path):
    series = data.builtin(name)
    assert np.isfinite(series.values()).all() and series.length == len(series.frame) >= 100
    data.save(series, tmp_path)
    again = data.load(tmp_path)
    assert again.frame.equals(series.frame) and (again.season, again.step, again.notes) == (series.season, series.step, series.notes)
    assert series.times(3)[-4] == series.frame.index[-1]
