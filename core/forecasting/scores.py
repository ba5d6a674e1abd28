"""How good a forecast was: the measures of the verdict. Numpy only, so the exported script can carry it along."""

from __future__ import annotations

import numpy as np

METRICS = {
    "mae": "MAE: mean absolute error, in units of the data.",
    "rmse": "RMSE: root of the mean squared error; large misses weigh more.",
    "smape": "sMAPE: symmetric mean absolute percentage error, 0 to 200 %.",
    "mape": "MAPE: mean absolute error in per cent of the value. Only where the series stays far from zero.",
    "mase": "MASE: error over that of the seasonal naive forecast inside the training part. Below 1 is better than it.",
    "pinball": "Pinball loss of the 10, 50 and 90 % quantiles: rewards a band that is narrow and right.",
    "coverage": "Share of values inside the 80 % band. 80 % is right; more means too wide, less too narrow.",
}


def far_from_zero(values: np.ndarray) -> bool:
    """Whether percentages make sense: one sign, and never nearer to zero than a tenth of the usual size."""
    return bool((values > 0).all() or (values < 0).all()) and bool(np.abs(values).min() > 0.1 * np.abs(values).mean())


def seasonal_naive_error(training: np.ndarray, season: int) -> float:
    """Mean absolute error of the seasonal naive forecast inside the training part: the unit of MASE (Hyndman & Koehler 2006)."""
    season = season if len(training) > season else 1
    return float(np.abs(training[season:] - training[:-season]).mean())


def score(forecast: np.ndarray, actual: np.ndarray, *, unit: float, percent: bool) -> dict[str, float | None]:
    """All measures of one target over all starting points.

    forecast (origins, horizon, 3) quantiles 10/50/90 %, actual (origins, horizon) with NaN where unknown;
    unit: `seasonal_naive_error`; percent: whether MAPE makes sense.
    """
    known = ~np.isnan(actual)
    low, middle, high = (forecast[..., k][known] for k in range(3))
    truth = actual[known]
    error = truth - middle
    size = np.abs(truth) + np.abs(middle)
    quantile_errors = truth[:, None] - np.stack([low, middle, high], -1)
    levels = np.array([0.1, 0.5, 0.9])
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "smape": float((200 * np.abs(error) / np.where(size > 0, size, 1)).mean()),
        "mape": float((100 * np.abs(error) / np.abs(truth)).mean()) if percent else None,
        "mase": float(np.abs(error).mean() / unit) if unit > 0 else None,
        "pinball": float(np.maximum(levels * quantile_errors, (levels - 1) * quantile_errors).mean()),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
    }


def by_step(forecast: np.ndarray, actual: np.ndarray, *, unit: float, percent: bool) -> dict[str, list[float | None]]:
    """Every measure at each step of the horizon (see `score`); None where nothing is known or the measure has no meaning."""
    steps = [
        score(forecast[:, [step]], actual[:, [step]], unit=unit, percent=percent) if not np.isnan(actual[:, step]).all() else {}
        for step in range(actual.shape[1])
    ]
    return {name: [found.get(name) for found in steps] for name in METRICS}
