"""The referees: simple forecasts under the same contract as the networks (see `models.py`).

Naive bands assume independent errors of the size seen in the past, growing with the square root of the number
of steps or seasons ahead (Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.5).
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

Z80 = 1.2815515655446004  # half-width of an 80 % band of the normal distribution, in standard deviations
MOST_HISTORY = 1500  # newest steps that ETS and Theta are fitted on: older ones change little and cost seconds


class Baseline(nn.Module):
    """A forecaster without weights: `forecast` does one series, `forward` keeps the shared contract."""

    name = ""

    def __init__(self, horizon: int, season: int) -> None:
        super().__init__()
        self.horizon, self.season = horizon, max(1, season)

    def forecast(self, history: np.ndarray) -> np.ndarray:
        """One series (time,) -> quantiles (horizon, 3), in the units of the data."""
        raise TypeError("Baseline is abstract")

    def forward(self, past: Tensor, known: Tensor | None = None) -> Tensor:
        """Past (batch, time, targets) -> (batch, horizon, targets, 3). `known` is not used."""
        series = past.double().cpu().numpy()
        future = [[self.forecast(window[:, target]) for target in range(window.shape[1])] for window in series]
        return torch.tensor(np.array(future)).movedim(1, 2)

    def _band(self, middle: np.ndarray, errors: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        width = Z80 * np.sqrt(np.mean(errors**2) if len(errors) else 0.0) * np.sqrt(ahead)
        return np.stack([middle - width, middle, middle + width], -1)


class LastValue(Baseline):
    """Tomorrow is like today."""

    name = "last value"

    def forecast(self, history: np.ndarray) -> np.ndarray:
        """See `Baseline.forecast`."""
        steps = np.arange(1, self.horizon + 1)
        return self._band(np.full(self.horizon, history[-1]), np.diff(history), steps)


class SeasonalNaive(Baseline):
    """This January is like last January."""

    name = "seasonal naive"

    def forecast(self, history: np.ndarray) -> np.ndarray:
        """See `Baseline.forecast`."""
        season = min(self.season, len(history))
        steps = np.arange(self.horizon)
        errors = history[season:] - history[:-season]
        return self._band(history[len(history) - season + steps % season], errors, steps // season + 1)


class SeasonalNaiveDrift(Baseline):
    """This January is like last January, plus the average growth so far (the slope from first to last value)."""

    name = "seasonal naive with drift"

    def forecast(self, history: np.ndarray) -> np.ndarray:
        """See `Baseline.forecast`."""
        season = min(self.season, len(history))
        steps = np.arange(self.horizon)
        seasons = steps // season + 1
        slope = (history[-1] - history[0]) / max(1, len(history) - 1)
        errors = history[season:] - history[:-season] - slope * season
        return self._band(history[len(history) - season + steps % season] + slope * season * seasons, errors, seasons)


class ETS(Baseline):
    """Exponential smoothing with additive trend and season (multiplicative where all values are positive).

    Seasons longer than 24 steps are taken off by STL first. Fitted by statsmodels.
    """

    name = "exponential smoothing (ETS)"

    def forecast(self, history: np.ndarray) -> np.ndarray:
        """See `Baseline.forecast`. Falls back to the seasonal naive forecast where the fit does not converge."""
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel
        from statsmodels.tsa.seasonal import STL

        whole = history = history[-MOST_HISTORY:]
        season = self.season if self.season > 1 and len(history) >= 2 * self.season + 2 else 1
        seasonal = np.zeros(self.horizon)
        if season > 24:
            cycle = STL(history, period=season, robust=False).fit().seasonal
            history = history - cycle
            seasonal = cycle[len(cycle) - season + np.arange(self.horizon) % season]
            season = 1
        kind = None if season == 1 else "mul" if history.min() > 0 else "add"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence: the fit is used as far as it got
                fit = ETSModel(pd.Series(history), error="add", trend="add", seasonal=kind, seasonal_periods=season if kind else None).fit(
                    disp=False, maxiter=300
                )
                paths = np.asarray(fit.simulate(self.horizon, anchor="end", repetitions=400, rng=np.random.default_rng(0))).reshape(
                    self.horizon, -1
                )
                middle = np.asarray(fit.forecast(self.horizon))
        except (ValueError, np.linalg.LinAlgError):
            return SeasonalNaive(self.horizon, self.season).forecast(whole)
        low, high = np.quantile(paths, [0.1, 0.9], axis=1)
        return np.stack([np.minimum(low, middle), middle, np.maximum(high, middle)], -1) + seasonal[:, None]


class Theta(Baseline):
    """The Theta method (Assimakopoulos & Nikolopoulos 2000), best of its year's competition. Fitted by statsmodels."""

    name = "Theta"

    def forecast(self, history: np.ndarray) -> np.ndarray:
        """See `Baseline.forecast`."""
        from statsmodels.tsa.forecasting.theta import ThetaModel

        history = history[-MOST_HISTORY:]
        season = self.season if self.season > 1 and len(history) >= 2 * self.season else 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = ThetaModel(
                    pd.Series(history),
                    period=season,
                    deseasonalize=season > 1,
                    method="multiplicative" if history.min() > 0 else "additive",
                ).fit()
                middle = np.asarray(fit.forecast(self.horizon))
                band = np.asarray(fit.prediction_intervals(self.horizon, alpha=0.2))
        except (ValueError, np.linalg.LinAlgError):
            return SeasonalNaiveDrift(self.horizon, self.season).forecast(history)
        return np.stack([band[:, 0], middle, band[:, 1]], -1)


REFEREES: dict[str, type[Baseline]] = {
    "last": LastValue,
    "snaive": SeasonalNaive,
    "snaive_drift": SeasonalNaiveDrift,
    "ets": ETS,
    "theta": Theta,
}
