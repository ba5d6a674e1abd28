"""Use a trained forecaster: the verdict on the test part, and forecasts beyond the end.

Functions that take a run id read everything from the run's folder, so a page can call them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from core.device import pick
from core.errors import UserError
from core.forecasting import scores
from core.forecasting.baselines import REFEREES
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import Series, load, step_name
from core.forecasting.models import RecurrentForecaster
from core.forecasting.parts import backtest_origins, known_then, season_of, split
from core.forecasting.session import build, known_features
from core.forecasting.windows import Windows
from core.progress import Checkpoint
from core.runs import checkpoints

NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def network_of(config: ForecastingConfig, data: Series, checkpoint: Checkpoint, part: str = "best") -> RecurrentForecaster:
    """The trained network of a checkpoint, ready to forecast. Raises `UserError` if it does not fit the settings."""
    network = build(config, data)
    try:
        network.load_state_dict(checkpoint.part(part))
    except RuntimeError:
        raise UserError("The weights of this run do not fit its settings.") from None
    return network.to(pick()).eval()


def restored(config: ForecastingConfig, data: Series, checkpoint: Checkpoint) -> tuple[ForecastingConfig, Series, RecurrentForecaster]:
    """Settings, series and best network of a run."""
    return config, data, network_of(config, data, checkpoint)


opened = checkpoints.opener(ForecastingConfig, load, restored)


@torch.no_grad()
def backtest(model: nn.Module, windows: Windows, origins: list[int], length: int, *, whole_past: bool) -> np.ndarray:
    """Forecasts from rolling origins.  # (origins, horizon, targets, 3)

    A network reads its window; a baseline (`whole_past`) everything before the origin.
    """
    forecasts = []
    for origin in origins:
        past, known, _ = windows.at(torch.tensor([origin]), length)
        if whole_past:
            past = windows.values[:origin].unsqueeze(0)
        forecasts.append(model(past, known)[0].cpu().numpy())
    return np.stack(forecasts)


def verdict(config: ForecastingConfig, data: Series, checkpoint: Checkpoint) -> dict[str, Any]:
    """The network and every referee on the test part, under the same protocol, and one sentence.

    Returns JSON-ready facts: `names`, `scores[model][target][metric]`, `by_step[model][target][metric]`, `origins`,
    `forecasts[model]` (horizon, targets, 3) from the last origin, `held` and `of` for the band, `beats`, `sentence`.
    """
    return _judged(*restored(config, data, checkpoint))


def _judged(config: ForecastingConfig, data: Series, network: RecurrentForecaster) -> dict[str, Any]:
    parts, season = split(data.length, config), season_of(config, data)
    device = next(network.parameters()).device
    values = known_then(data.values(), data.filled, parts)
    windows = Windows(values, known_features(config, data), config.window, config.horizon, device)
    origins = backtest_origins(parts, config)
    actual = windows.at(torch.tensor(origins), parts.length)[2].cpu().numpy()  # (origins, horizon, targets)
    steps = np.array(origins)[:, None] + np.arange(config.horizon)
    actual[np.isin(steps, data.filled)] = np.nan  # what was filled in is nothing to be scored against
    models: dict[str, nn.Module] = {"network": network}
    models |= {key: kind(config.horizon, season) for key, kind in REFEREES.items()}
    names = {"network": NAMES[config.model]} | {key: kind.name for key, kind in REFEREES.items()}
    forecasts = {key: backtest(model, windows, origins, parts.length, whole_past=key != "network") for key, model in models.items()}
    terms = [
        {"unit": scores.seasonal_naive_error(values[: parts.train, n], season), "percent": scores.far_from_zero(values[:, n])}
        for n in range(len(data.targets))
    ]

    def each(measure: Callable[..., Any]) -> dict[str, Any]:
        """The measure of every model and target."""
        return {
            key: {t: measure(f[:, :, n], actual[:, :, n], **terms[n]) for n, t in enumerate(data.targets)} for key, f in forecasts.items()
        }

    inside = (forecasts["network"][..., 0] <= actual) & (actual <= forecasts["network"][..., 2])
    result = {
        "names": names,
        "targets": list(data.targets),
        "scores": each(scores.score),
        "by_step": each(scores.by_step),
        "origins": origins,
        "parts": list(parts),
        "forecasts": {key: forecast[-1].tolist() for key, forecast in forecasts.items()},
        "held": int(inside.sum()),
        "of": int((~np.isnan(actual)).sum()),
        "season": season,
        "step": data.step,
    }
    return result | judge(result)


def judge(result: dict[str, Any]) -> dict[str, Any]:
    """One sentence with numbers: does the network beat the simple forecasts?"""
    names = result["names"]
    errors = {key: _error(by_target) for key, by_target in result["scores"].items()}
    rivals = {key: error for key, error in errors.items() if key != "network"}
    best = min(rivals, key=lambda key: rivals[key])
    mine = errors["network"]
    beats = mine < rivals[best]
    scaled = all(target["mase"] is not None for by_target in result["scores"].values() for target in by_target.values())
    unit = ("MASE" if result["season"] > 1 else "scaled error") if scaled else "MAE"
    numbers = f"{unit} {mine:.2f} against {rivals[best]:.2f}" if scaled else f"{unit} {mine:.3g} against {rivals[best]:.3g}"
    if rivals[best] == 0:
        sentence = f"The {names['network']} does not beat the best simple forecast, {names[best]}, which makes no error ({numbers})"
    elif beats:
        sentence = f"The {names['network']} beats the best simple forecast, {names[best]}, by {_less(mine, rivals[best])} ({numbers})"
    else:
        sentence = (
            f"The {names['network']} does not beat the best simple forecast, {names[best]}: its error is "
            f"{_less(rivals[best], mine, of=rivals[best])} larger ({numbers})"
        )
    naive = rivals["snaive"]
    if best != "snaive":
        sentence += f"; it {'beats' if mine < naive else 'does not beat'} the seasonal naive forecast"
        sentence += f" by {_less(mine, naive)}" if mine < naive else f" ({naive:.2f})"
    step = step_name(result["step"])
    noun = {"row": "values"}.get(step, f"{step}s" if len(result["origins"]) == 1 else "values")
    sentence += f". Its 80 % band held {result['held']} of {result['of']} {noun}."
    return {"beats": beats, "best_referee": best, "sentence": sentence}


def _error(by_target: dict[str, dict[str, float | None]]) -> float:
    """MASE, averaged over the targets; MAE for a series without any change to scale by."""
    values = [target["mase"] if target["mase"] is not None else target["mae"] for target in by_target.values()]
    return float(np.mean([value for value in values if value is not None]))


def _less(small: float, large: float, *, of: float | None = None) -> str:
    share = 100 * (large - small) / (of or large)
    return f"{share:.0f} %" if share >= 1 else f"{share:.1f} %"


def evaluate(run_id: str) -> dict[str, Any]:
    """The verdict of a run, from its folder. The worker calls it when a training ends."""
    return _judged(*opened(run_id))


@torch.no_grad()
def forecast(run_id: str, recent: list[list[float]] | None = None) -> dict[str, Any]:
    """The forecast beyond the end of the series.

    recent: (window, targets) values that stand in for the newest ones ("what if"). Raises `UserError` for a wrong
    shape or values that are not finite. Returns `times` (ISO or row numbers), `targets`, `quantiles` (horizon, targets, 3).
    """
    config, data, network = opened(run_id)
    device = next(network.parameters()).device
    values = data.values()
    if recent is not None:
        edited = np.array(recent, np.float64)
        if edited.shape != (config.window, len(data.targets)) or not np.isfinite(edited).all():
            raise UserError("Every edited cell must hold a number.")
        if config.transform != "none" and edited.min() < (1e-9 if config.transform == "log" else 0):
            raise UserError(f"With the {config.transform} transform, every edited value must be positive.")
        values = np.concatenate([values[: -config.window], edited])
    windows = Windows(values, known_features(config, data), config.window, config.horizon, device)
    past, known, _ = windows.at(torch.tensor([data.length]), data.length)
    quantiles = network(past, known)[0].cpu().numpy()
    if not np.isfinite(quantiles).all():
        raise UserError("The forecast is not a finite number: the network has diverged.")
    times = [str(time) for time in data.times(config.horizon)[-config.horizon :]]
    return {"times": times, "targets": list(data.targets), "quantiles": quantiles.tolist()}
