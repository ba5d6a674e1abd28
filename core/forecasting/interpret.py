"""Look inside a recurrent forecaster: the signal path step by step, vanishing gradients, and how far it remembers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import UserError
from core.forecasting.config import QUANTILES, ForecastingConfig
from core.forecasting.data import Series
from core.forecasting.models import RecurrentForecaster, pinball
from core.forecasting.parts import split
from core.forecasting.predict import opened
from core.forecasting.session import build, known_features
from core.forecasting.windows import Windows, spread

GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("a",)}
CELL_NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def windows_of(config: ForecastingConfig, data: Series, device: torch.device) -> Windows:
    """The windows that the network of these settings reads."""
    return Windows(data.values(), known_features(config, data), config.window, config.horizon, device)


def initial(config: ForecastingConfig, data: Series, device: torch.device) -> RecurrentForecaster:
    """The network as it was before the first step: same seed, fitted scales."""
    torch.manual_seed(config.seed)
    network = build(config, data).to(device)
    train = split(data.length, config).train
    network.fit_scales(*windows_of(config, data, device).at(spread(config.window, train, 4096), train))
    return network.eval()


def gate_values(cell: nn.RNNCellBase, x: Tensor, state: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The gates of one step of a torch cell, by the names of the papers.  # each (batch, hidden)

    LSTM: input i, forget f, candidate g, output o. GRU: reset r, update z, candidate n. RNN: activation a.
    """
    from_x = x @ cell.weight_ih.T + cell.bias_ih
    from_h = state[0] @ cell.weight_hh.T + cell.bias_hh
    if isinstance(cell, nn.LSTMCell):
        i, f, g, o = (from_x + from_h).chunk(4, -1)
        return {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
    if isinstance(cell, nn.GRUCell):
        (xr, xz, xn), (hr, hz, hn) = from_x.chunk(3, -1), from_h.chunk(3, -1)
        r = (xr + hr).sigmoid()
        return {"r": r, "z": (xz + hz).sigmoid(), "n": (xn + r * hn).tanh()}
    return {"a": (from_x + from_h).tanh()}


@torch.no_grad()
def signal_path(run_id: str, origin: int, *, layer: int = 0, trained: bool = True) -> dict[str, Any]:
    """Everything that flows through one layer while it reads the window before step `origin`.

    Returns `x` (time, inputs), `names` of the inputs, `h` (time, hidden), `c` (LSTM only), `gates` {name: (time, hidden)},
    `from_x`, `from_h` and `bias` (time, gates * hidden): the three parts of what goes into each gate, and
    `forecast` (horizon, targets, 3). Arrays are float32. Raises `UserError` for an origin outside the series.
    """
    config, data, network = opened(run_id)
    device = next(network.parameters()).device
    if not config.window <= origin <= data.length or not 0 <= layer < config.layers:
        raise UserError("This window is not inside the series.")
    if not trained:
        network = initial(config, data, device)
    past, known, _ = windows_of(config, data, device).at(torch.tensor([origin]), data.length)
    states = network.start(1)
    cell = cast(nn.RNNCellBase, network.cells[layer])
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("x", "h", "c", "from_x", "from_h", *GATES[config.model])}
    for x in network.inputs(past, known).unbind(1):
        before = states[layer]
        states = network.step(x, states)
        seen = x if layer == 0 else states[layer - 1][0]
        values = {"x": seen, "h": states[layer][0], **gate_values(cell, seen, before)}
        values |= {"from_x": seen @ cell.weight_ih.T, "from_h": before[0] @ cell.weight_hh.T}
        if len(states[layer]) == 2:
            values["c"] = states[layer][1]
        for name, value in values.items():
            rows[name].append(value[0].cpu().numpy())
    arrays = {name: np.stack(values).astype(np.float32) for name, values in rows.items() if values}
    calendar = known.shape[2] - len(data.covariates)
    names = [*data.targets, *(f"calendar {n + 1}" for n in range(calendar)), *data.covariates]
    return {
        "model": config.model,
        "names": names if layer == 0 else [f"h of layer {layer}, unit {n + 1}" for n in range(config.hidden_size)],
        "gates": {name: arrays.pop(name) for name in GATES[config.model]},
        "bias": (cell.bias_ih + cell.bias_hh).cpu().numpy(),
        "bias_h": cell.bias_hh.cpu().numpy(),
        "forecast": network(past, known)[0].float().cpu().numpy(),
        "past": past[0].float().cpu().numpy(),
        **arrays,
    }


def gradient_by_lag(network: RecurrentForecaster, windows: Windows, parts: Any) -> np.ndarray:
    """Norm of d loss / d h_t of the last layer, by lag: 0 is the newest step.  # (window,) float64

    The mean over up to 64 windows of the training part of the norm for one window (Pascanu et al. 2013).
    """
    past, known, future = windows.at(spread(windows.window, parts.train, 64), parts.train)
    states, hidden = network.start(len(past)), []
    for x in network.inputs(past, known).unbind(1):
        states = network.step(x, states)
        hidden.append(states[-1][0])
    out = network.quantiles(hidden[-1], known)
    loss = pinball(out, network.normalise_future(past, future), QUANTILES) * len(past)
    gradients = torch.autograd.grad(loss, hidden)
    return np.array([gradient.norm(dim=-1).mean().item() for gradient in reversed(gradients)])


def vanishing(run_id: str, mates: list[str]) -> dict[str, dict[str, list[float]]]:
    """Gradient by lag for RNN, LSTM and GRU at initialisation, and after training where a run of it is among `mates`.

    Returns {"initial": {cell: norms}, "trained": {cell: norms}}; the run itself always counts.
    """
    config, data, own = opened(run_id)
    device = next(own.parameters()).device
    windows, parts = windows_of(config, data, device), split(data.length, config)
    result: dict[str, dict[str, list[float]]] = {"initial": {}, "trained": {}}
    for cell in CELL_NAMES:
        network = initial(config.model_copy(update={"model": cell}), data, device)
        result["initial"][cell] = gradient_by_lag(network, windows, parts).tolist()
    for mate in [*mates, run_id]:
        its, its_data, network = opened(mate)
        if its.window == config.window and its_data.length == data.length:
            result["trained"][its.model] = gradient_by_lag(network, windows_of(its, its_data, device), split(its_data.length, its)).tolist()
    return result


@torch.no_grad()
def memory(run_id: str, origin: int, target: int = 0) -> dict[str, list[float]]:
    """How much the forecast of a target changes when its input at one lag is raised by one standard deviation.

    Returns `change` by lag (0 is the newest step): the mean absolute change of the middle forecast, in units of the data. Only what
    flows through the network counts, not the simple forecast that it corrects. Raises `UserError` for a window or target there is not.
    """
    config, data, network = opened(run_id)
    device = next(network.parameters()).device
    if not config.window <= origin <= data.length:
        raise UserError("This window is not inside the series.")
    if not 0 <= target < len(data.targets):
        raise UserError("This series has no such target.")
    past, known, _ = windows_of(config, data, device).at(torch.tensor([origin]), data.length)
    inputs = network.inputs(past, known).repeat(config.window + 1, 1, 1)
    lags = torch.arange(config.window, device=device)
    inputs[lags + 1, config.window - 1 - lags, target] += 1.0  # row 0 stays as it was
    states = network.start(len(inputs))
    for x in inputs.unbind(1):
        states = network.step(x, states)
    out = network.quantiles(states[-1][0], known.expand(len(inputs), -1, -1))
    middle = network.denormalise(past.expand(len(inputs), -1, -1), out)[:, :, target, 1]
    return {"change": (middle[1:] - middle[:1]).abs().mean(1).tolist()}
