"""A standalone script for a run: PyTorch, pandas and safetensors only, and the same test metrics to 1e-5."""

from __future__ import annotations

import json

from core import source
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import load
from core.forecasting.parts import difference_of, season_of
from core.runs import store

_HEAD = '''"""Reproduces the test metrics of a Manabi run, from the files beside this script.

    pip install torch numpy pandas safetensors
    python reproduce.py

Beside it: checkpoint.safetensors (weights), series.csv (data), run.json (settings), result.json (the metrics).
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent


class UserError(Exception):
    """The settings and the data do not go together."""

'''
_MAIN = '''

def main() -> None:
    """Load, forecast the test part from the same starting points, compare."""
    facts = json.loads({facts!r})
    config = SimpleNamespace(**facts["config"])
    frame = pd.read_csv(HERE / "series.csv", index_col=0)
    if facts["dated"]:
        frame.index = pd.to_datetime(frame.index, utc=bool(facts["zone"]))
        frame.index = frame.index.tz_convert(facts["zone"]) if facts["zone"] else frame.index
    targets, covariates = facts["targets"], facts["covariates"]
    table = frame.to_numpy(np.float64)  # columns by position: targets, then covariates
    ends = split(facts["length"], config)
    values = known_then(table[: facts["length"], : len(targets)], facts["filled"], ends)
    length, horizon, season = facts["length"], config.horizon, facts["season"]
    if facts["dated"]:
        index = pd.date_range(frame.index[0], periods=length + horizon, freq=facts["step"])
    else:
        index = pd.RangeIndex(length + horizon)
    parts = [calendar(index, facts["step"], season)] if config.calendar else []
    if covariates:
        given = table[: len(index), len(targets) :]
        parts.append(extend(given, len(index) - len(given), season))
    known = np.concatenate(parts, 1) if parts else np.zeros((len(index), 0))

    network = RecurrentForecaster(
        model=config.model, targets=len(targets), known=known.shape[1], horizon=horizon, season=season,
        hidden_size=config.hidden_size, layers=config.layers, dropout=config.dropout, transform=config.transform,
        difference=config.difference,
    ).eval()
    tensors = load_file(HERE / "checkpoint.safetensors")
    network.load_state_dict({{name[5:]: value for name, value in tensors.items() if name.startswith("best.")}})

    origins = torch.tensor(backtest_origins(ends, config))
    past, known, actual = Windows(values, known, config.window, horizon, torch.device("cpu")).at(origins, length)
    actual[torch.isin(origins[:, None] + torch.arange(horizon), torch.tensor(facts["filled"], dtype=torch.long))] = torch.nan
    with torch.no_grad():
        forecast = torch.cat([network(past[i : i + 1], known[i : i + 1]) for i in range(len(past))]).numpy()
    if not (HERE / "result.json").exists():
        raise SystemExit("This run has no verdict (result.json), so there is nothing to compare with.")
    expected = json.loads((HERE / "result.json").read_text())["scores"]["network"]
    worst = 0.0
    for n, target in enumerate(targets):
        unit = seasonal_naive_error(values[: ends.train, n], season)
        found = score(forecast[:, :, n], actual[:, :, n].numpy(), unit=unit, percent=far_from_zero(values[:, n]))
        for name, value in found.items():
            if value is not None:
                difference = abs(value - expected[target][name]) / max(1.0, abs(value))
                worst = max(worst, difference)
                print(f"{{target}} {{name}}: {{value:.6g}}")
    print(f"largest difference from the run: {{worst:.1e}}")
    raise SystemExit(worst > 1e-5)


if __name__ == "__main__":
    main()
'''


def files(run_id: str) -> dict[str, bytes]:
    """The files that go with a run's export: `reproduce.py` and `series.csv`."""
    config = ForecastingConfig.model_validate(store.read(run_id).config)
    data = load(store.folder(run_id))
    zone = getattr(data.frame.index, "tz", None)
    facts = {
        "config": config.model_dump() | {"difference": difference_of(config, data)},
        "targets": list(data.targets),
        "covariates": list(data.covariates),
        "length": data.length,
        "season": season_of(config, data),
        "step": data.step,
        "dated": data.step != "row",
        "zone": str(zone) if zone is not None else "",
        "filled": list(data.filled),
    }
    modules = ("core.forecasting.models", "core.forecasting.parts", "core.forecasting.windows", "core.forecasting.scores")
    parts = [_HEAD, *(source.body(module) + "\n\n" for module in modules), _MAIN.format(facts=json.dumps(facts))]
    frame = data.frame[[*data.targets, *data.covariates]]
    names = [f"target {n + 1}" for n in range(len(data.targets))] + [f"covariate {n + 1}" for n in range(len(data.covariates))]
    frame = frame.set_axis(names, axis=1)  # the real names are the visitor's: in a spreadsheet they could be formulas
    frame = frame.tz_convert("UTC") if zone is not None else frame
    return {"reproduce.py": "\n".join(parts).encode(), "series.csv": frame.to_csv(float_format="%.17g").encode()}
