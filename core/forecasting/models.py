"""The recurrent forecaster, written to be read.

Every forecaster of this capability, the simple baselines in `baselines.py` too, keeps one contract:

    forward(past, known) -> future

    past    (batch, time, targets)                    values in the units of the data, float64
    known   (batch, time + horizon, covariates)       known in advance: calendar, planned prices, ...
    future  (batch, horizon, targets, quantiles)      the 10, 50 and 90 % quantiles, in the units of the data
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
SEASONAL = ("last season", "seasons and trend")  # differences that look one season back, or at all that the window holds
FARTHEST = 12  # seasons apart that the growth per season is fitted on: the number of pairs grows with it
State = tuple[Tensor, ...]  # (h,) for RNN and GRU, (h, c) for the LSTM


class Transform(NamedTuple):
    """A monotone map of the values and its inverse, so that quantiles stay quantiles."""

    there: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


TRANSFORMS = {
    "none": Transform(lambda values: values, lambda values: values),
    "square root": Transform(torch.sqrt, lambda values: values.clamp_min(0).square()),
    "log": Transform(torch.log, torch.exp),
}


class RecurrentForecaster(nn.Module):
    """Reads the window one step at a time, then forecasts the whole horizon at once.

    At each time step a cell mixes the input x_t with the hidden state h_{t-1} into h_t. After the last step a
    linear head turns h_T into three quantiles per forecast step. What it sees is made level-free first (see
    `normalise`), and what it says is added to a simple forecast (see `base`), so it learns the correction.
    """

    centre: Tensor
    scale: Tensor
    known_centre: Tensor
    known_scale: Tensor
    output_scale: Tensor
    trend: Tensor
    margin: Tensor
    least: Tensor

    def __init__(
        self,
        *,
        model: str,
        targets: int,
        known: int,
        horizon: int,
        season: int,
        hidden_size: int,
        layers: int = 1,
        dropout: float = 0.0,
        transform: str = "none",
        difference: str = "none",
    ) -> None:
        super().__init__()
        self.horizon, self.targets, self.season = horizon, targets, season
        self.transform, self.difference = TRANSFORMS[transform], difference
        sizes = [targets + known] + [hidden_size] * layers
        self.cells = nn.ModuleList(CELLS[model](sizes[layer], hidden_size) for layer in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, horizon * targets * 3)
        self.known_head = nn.Linear(known, targets * 3, bias=False) if known else None
        with torch.no_grad():
            self.head.weight.mul_(0.1)  # the first forecast is close to the simple one
        # Fitted by `fit_scales` and `calibrate`, saved with the weights.
        for name, size in (("centre", targets), ("trend", targets), ("known_centre", known)):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))
        for name, size in (("scale", targets), ("known_scale", known), ("output_scale", targets)):
            self.register_buffer(name, torch.ones(size, dtype=torch.float64))
        for name in ("margin", "least"):
            self.register_buffer(name, torch.zeros(horizon, targets))

    # the way in: level-free inputs

    def level(self, past: Tensor) -> Tensor:
        """What is taken off a transformed window before the network sees it.  # (batch, 1, targets)"""
        if self.difference == "last value":
            return past[:, -1:]
        if self.difference in SEASONAL:
            return past[:, -self.season :].mean(1, keepdim=True)
        return self.centre.expand(len(past), 1, -1)

    def base(self, past: Tensor) -> Tensor:
        """The simple forecast that the network corrects, transformed.  # (batch, horizon, targets)"""
        if self.difference not in SEASONAL:
            return self.level(past).expand(-1, self.horizon, -1)
        count = past.shape[1] // self.season if self.difference == "seasons and trend" else 1
        mean = past[:, -count * self.season :].unflatten(1, (count, self.season)).mean(1)  # (batch, season, targets)
        steps = torch.arange(self.horizon, device=past.device)
        ahead = (steps // self.season + 1).double() + (count - 1) / 2  # seasons from the middle of those to this step
        return mean[:, steps % self.season] + self.trend * ahead.unsqueeze(-1)  # without a trend, it is 0

    def inputs(self, past: Tensor, known: Tensor) -> Tensor:
        """What the network reads, step by step.  # (batch, time, targets + known) float32"""
        past = self.transform.there(past)
        values = ((past - self.level(past)) / self.scale).float()
        return torch.cat([values, self._known(known[:, : past.shape[1]])], -1)

    def _known(self, known: Tensor) -> Tensor:
        return ((known - self.known_centre) / self.known_scale).float()

    def normalise_future(self, past: Tensor, future: Tensor) -> Tensor:
        """What the network should have said.  # (batch, horizon, targets) float32, NaN where unknown"""
        return ((self.transform.there(future) - self.base(self.transform.there(past))) / self.output_scale).float()

    @torch.no_grad()
    def fit_scales(self, past: Tensor, known: Tensor, future: Tensor) -> None:
        """Fit centres and scales on n windows of the training part, shaped as in the contract above."""
        past, future = self.transform.there(past), self.transform.there(future)
        self.centre.copy_(past.mean((0, 1)))
        self.scale.copy_((past - self.level(past)).square().mean((0, 1)).sqrt().clamp_min(1e-12))
        if self.difference == "seasons and trend":
            self.trend.copy_(_growth(torch.cat([past, future], 1), self.season))
        error = future - self.base(past)
        self.output_scale.copy_(error.square().nanmean((0, 1)).sqrt().clamp_min(1e-12))
        known = known[:, : past.shape[1]]  # what comes after the window may lie in a part that is not learned from
        self.known_centre.copy_(known.mean((0, 1)))
        spread = (known - self.known_centre).square().mean((0, 1)).sqrt()
        self.known_scale.copy_(torch.where(spread > 1e-9, spread, torch.ones_like(spread)))

    # the signal path

    def start(self, batch: int) -> list[State]:
        """Hidden states of all layers before the first step: zeros."""
        zeros = self.head.weight.new_zeros(batch, self.head.in_features)
        return [(zeros, zeros) if isinstance(cell, nn.LSTMCell) else (zeros,) for cell in self.cells]

    def step(self, x: Tensor, states: list[State]) -> list[State]:
        """One time step through all layers.  # x (batch, inputs) -> per layer (batch, hidden)"""
        after: list[State] = []
        for cell, state in zip(self.cells, states, strict=True):
            after.append(cell(x, state) if isinstance(cell, nn.LSTMCell) else (cell(x, state[0]),))
            x = self.dropout(after[-1][0])  # what the next layer reads
        return after

    def quantiles(self, hidden: Tensor, known: Tensor) -> Tensor:
        """Last hidden state -> 10, 50, 90 % in the network's units.  # (batch, horizon, targets, 3)"""
        out = self.head(self.dropout(hidden)).view(-1, self.horizon, self.targets, 3)
        if self.known_head is not None:
            out = out + self.known_head(self._known(known[:, -self.horizon :])).view(-1, self.horizon, self.targets, 3)
        below, middle, above = out.unbind(-1)
        return torch.stack([middle - F.softplus(below), middle, middle + F.softplus(above)], -1)  # never cross

    def normalised(self, past: Tensor, known: Tensor) -> Tensor:
        """The forecast in the network's units, before calibration: what the loss compares."""
        states = self.start(len(past))
        for x in self.inputs(past, known).unbind(1):
            states = self.step(x, states)
        return self.quantiles(states[-1][0], known)

    # the way out: calibrated, in the units of the data

    @torch.no_grad()
    def calibrate(self, forecast: Tensor, actual: Tensor, share: float) -> None:
        """Move the band so that it holds `share` of the validation values.

        forecast (n, horizon, targets, 3) and actual (n, horizon, targets) in the network's units, NaN where unknown.
        A step with at least 20 known values takes its own margin (conformalised quantile regression, Romano,
        Patterson & Candes 2019). The others take a least half-width: the errors of all steps together, grown with
        the square root of the step as those of a random walk are.
        """
        outside = torch.maximum(forecast[..., 0] - actual, actual - forecast[..., 2])
        error = (actual - forecast[..., 1]).abs()
        growth = torch.arange(1, self.horizon + 1, device=error.device).sqrt()
        self.margin.zero_()
        self.least.zero_()
        for target in range(self.targets):
            pooled = _known(error[..., target] / growth)
            for step in range(self.horizon):
                own = _known(outside[:, step, target])
                if len(own) >= 20:
                    self.margin[step, target] = _conformal(own, share)
                elif len(pooled):
                    self.least[step, target] = _conformal(pooled, share) * growth[step]

    def calibrated(self, out: Tensor) -> Tensor:
        """The band moved by the margin, never nearer to its middle than the least half-width."""
        below, middle, above = out.unbind(-1)
        below = torch.minimum(below - self.margin, middle - self.least)
        return torch.stack([below, middle, torch.maximum(above + self.margin, middle + self.least)], -1)

    def denormalise(self, past: Tensor, out: Tensor) -> Tensor:
        """Quantiles in the network's units -> in the units of the data, float64."""
        base = self.base(self.transform.there(past)).unsqueeze(-1)
        return self.transform.back(base + out.double() * self.output_scale.unsqueeze(-1))

    def forward(self, past: Tensor, known: Tensor) -> Tensor:
        """See the contract at the top of this file."""
        return self.denormalise(past, self.calibrated(self.normalised(past, known)))


def _growth(values: Tensor, season: int) -> Tensor:
    """Growth per season: least squares through zero over all pairs that are whole seasons apart.

    values (n, time, targets), NaN where unknown -> (targets,)
    """
    products, squares = values.new_zeros(values.shape[-1]), values.new_zeros(values.shape[-1])
    for apart in range(1, min(FARTHEST, (values.shape[1] - 1) // season) + 1):
        growth = values[:, apart * season :] - values[:, : -apart * season]
        products += (growth * apart).nansum((0, 1))
        squares += (~growth.isnan()).sum((0, 1)) * apart**2
    return products / squares


def _known(values: Tensor) -> Tensor:
    return values[~values.isnan()]


def _conformal(scores: Tensor, share: float) -> Tensor:
    """The margin that holds `share` of n scores, with the finite-sample correction (n + 1) / n."""
    level = min(1.0, share * (len(scores) + 1) / len(scores))
    return torch.quantile(scores[:100_000], level, interpolation="higher")


def pinball(forecast: Tensor, actual: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Mean pinball (quantile) loss over the known values (Koenker & Bassett 1978).

    forecast (..., quantiles), actual (...) with NaN where unknown.
    """
    error = actual.unsqueeze(-1) - forecast
    levels = forecast.new_tensor(quantiles)
    return torch.maximum(levels * error, (levels - 1) * error).nanmean()
