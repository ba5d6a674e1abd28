"""Forecasting accuracy and the speed of its loop.

    python -m benchmarks.forecasting [--json]

Airline passengers: trained before 1958-01, 36 months ahead, the median of `--runs` seeds. Nothing is chosen on the test
part: `--choose` shows how the preset was found, from rolling origins that all end before 1958.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import torch

from benchmarks.report import Figure, main
from core.errors import UserError
from core.forecasting import data, session
from core.forecasting.baselines import REFEREES, Baseline
from core.forecasting.config import QUANTILES, ForecastingConfig
from core.forecasting.models import pinball
from core.forecasting.predict import network_of, verdict
from core.forecasting.train import THREADS, train
from core.forecasting.windows import Windows

CPU = torch.device("cpu")
RIVALS = {
    "gru": "the same settings with a GRU",
    "rnn": "the same settings with an RNN",
    "ets": "exponential smoothing",
    "theta": "Theta",
    "snaive_drift": "seasonal naive with drift",
    "snaive": "seasonal naive",
    "last": "last value",
}
FIGURES = {
    "airline_mape_lstm": Figure("airline, 36 months ahead: MAPE of the LSTM preset", "%", 5.11),
    **{f"airline_mape_{key}": Figure(name, "%") for key, name in RIVALS.items()},
    "airline_smape_lstm": Figure("the same, sMAPE: the LSTM preset", "%"),
    **{f"airline_smape_{key}": Figure(name, "%") for key, name in RIVALS.items()},
    "airline_coverage_80": Figure("share of the 36 months inside the LSTM's 80 % band", "%"),
    "airline_train_s": Figure("training of the LSTM preset", "s", 60),
    "sunspots_mae_lstm": Figure("sunspots: MAE of the LSTM preset", ""),
    "sunspots_mase_lstm": Figure("sunspots: MASE of the LSTM preset", ""),
    "sunspots_mase_snaive": Figure("sunspots: MASE of the seasonal naive forecast", ""),
    "co2_mae_lstm": Figure("CO2: MAE of the LSTM preset", "ppm"),
    "co2_mase_lstm": Figure("CO2: MASE of the LSTM preset", ""),
    "co2_mase_snaive": Figure("CO2: MASE of the seasonal naive forecast", ""),
    "loop_ratio": Figure("our loop's steps/s over a minimal hand-written loop with the same model and batches", "", 0.95, True),
}


def trained(config: ForecastingConfig, series: data.Series) -> tuple[dict[str, Any], float]:
    """Train to the end; the verdict and the seconds it took."""
    began = time.perf_counter()
    *_, last = train(config, series, device=CPU)
    seconds = time.perf_counter() - began
    assert last.checkpoint
    return verdict(config, series, last.checkpoint()), seconds


def accuracy(name: str, seeds: int, **changes: Any) -> tuple[dict[str, dict[str, float]], float]:
    """Medians over seeds of every model's scores on a built-in series with its preset, and of the training time."""
    series = data.builtin(name)
    config = ForecastingConfig.from_preset(data.BUILTIN[name].preset).updated(changes)
    results = [trained(config.updated({"seed": seed}), series) for seed in range(seeds)]
    target = series.targets[0]
    medians = {
        model: {
            metric: statistics.median(r["scores"][model][target][metric] or float("nan") for r, _ in results)
            for metric in ("mae", "mape", "smape", "mase", "coverage")
        }
        for model in results[0][0]["scores"]
    }
    return medians, statistics.median(seconds for _, seconds in results)


def bare_loop(config: ForecastingConfig, series: data.Series, steps: int) -> float:
    """Steps/s of the least loop that trains the same model on the same batches."""
    state = session.Session(config, series, CPU)
    network, optimiser = state.network, torch.optim.AdamW(state.network.parameters(), lr=config.learning_rate)
    began = time.perf_counter()
    for _ in range(steps):
        past, known, future = state.batch()
        loss = pinball(network.normalised(past, known), network.normalise_future(past, future), QUANTILES)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimiser.step()
    return steps / (time.perf_counter() - began)


def our_loop(config: ForecastingConfig, series: data.Series, steps: int) -> float:
    """Steps/s of `train`, validation left out as in the bare loop."""
    loop = train(config, series, device=CPU)
    next(loop)
    began = time.perf_counter()
    for _ in itertools.islice(loop, steps):
        continue
    return steps / (time.perf_counter() - began)


def loop_ratio(runs: int, steps: int = 300) -> float:
    """The median over paired runs, in turns, of our loop's speed over the bare loop's."""
    config = ForecastingConfig(steps=20_000, validate_every=1000)
    series = data.builtin("airline")
    bare_loop(config, series, 50)
    return statistics.median(our_loop(config, series, steps) / bare_loop(config, series, steps) for _ in range(runs))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures."""
    torch.set_num_threads(THREADS)
    airline, seconds = accuracy("airline", options.runs)
    found = {"airline_coverage_80": 100 * airline["network"]["coverage"], "airline_train_s": seconds}
    airline["lstm"] = airline.pop("network")
    airline |= {cell: accuracy("airline", options.runs, model=cell)[0]["network"] for cell in ("gru", "rnn")}
    found |= {f"airline_{metric}_{key}": airline[key][metric] for metric in ("mape", "smape") for key in airline}
    for name in ("sunspots", "co2"):
        scores, _ = accuracy(name, options.runs)
        found |= {
            f"{name}_mae_lstm": scores["network"]["mae"],
            f"{name}_mase_lstm": scores["network"]["mase"],
            f"{name}_mase_snaive": scores["snaive"]["mase"],
        }
    found["loop_ratio"] = loop_ratio(5 * max(options.runs, 5))  # five pairs alone scatter by a tenth
    return found


# how the airline preset was chosen

HORIZON = 36
ORIGINS = range(48, 73, 3)  # 1953-01 to 1955-01: all 36 months after each end before 1958
CANDIDATES: dict[str, list[Any]] = {
    "transform": ["none", "square root", "log"],
    "window": [12, 24],
    "hidden_size": [8, 16, 32, 64],
    "difference": ["last season", "seasons and trend"],
    "learning_rate": [0.002, 0.005, 0.01],
    "dropout": [0.0, 0.2, 0.4],
    "weight_decay": [0.0, 0.1, 0.3, 1.0],
    "validation_size": [12, 18, 24],
    "refit": [False, True],
}


def rolling_error(config: ForecastingConfig, seeds: int) -> float:
    """MAPE of 36 months ahead: the median over seeds, averaged over rolling origins before 1958."""
    series = data.builtin("airline")
    errors = []
    for origin in ORIGINS:
        known = dataclasses.replace(series, frame=series.frame.iloc[: origin + HORIZON])
        by_seed = []
        for seed in range(seeds):
            seeded = config.updated({"seed": seed})
            *_, last = train(seeded, known, device=CPU)
            assert last.checkpoint
            network = network_of(seeded, known, last.checkpoint())
            features = session.known_features(seeded, known)
            windows = Windows(known.values(), features, config.window, HORIZON, CPU)
            past, covariates, future = windows.at(torch.tensor([origin]), origin + HORIZON)
            with torch.no_grad():
                by_seed.append(float(((network(past, covariates)[..., 1] - future).abs() / future).mean()) * 100)
        errors.append(statistics.median(by_seed))
    return float(np.mean(errors))


def referee_error(kind: type[Baseline]) -> float:
    """The same for a simple forecast."""
    values = data.builtin("airline").values()[:, 0]
    forecasts = [(kind(HORIZON, 12).forecast(values[:origin])[:, 1], values[origin : origin + HORIZON]) for origin in ORIGINS]
    return float(np.mean([np.abs(forecast - actual) / actual for forecast, actual in forecasts])) * 100


def choose(seeds: int = 3) -> None:
    """Print the rolling error of the referees, of the preset, and of the preset with one setting changed at a time."""
    torch.set_num_threads(THREADS)
    print(json.dumps({key: round(referee_error(kind), 2) for key, kind in REFEREES.items()}), flush=True)
    preset = ForecastingConfig.from_preset("Airline passengers")
    print(json.dumps({"preset": round(rolling_error(preset, seeds), 2)}), flush=True)
    for name, values in CANDIDATES.items():
        for value in values:
            if value == getattr(preset, name):
                continue
            try:
                found: Any = round(rolling_error(preset.updated({name: value}), seeds), 2)
            except UserError as error:  # the first origin has 48 months: too few for some
                found = str(error)
            print(json.dumps({name: value, "error": found}), flush=True)


if __name__ == "__main__":
    if "--choose" in sys.argv:
        choose()
    else:
        main("Forecasting: accuracy against the referees, and the speed of the loop", FIGURES, measure)
