"""The race: methods side by side on one map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.gridworld.config import DEEP, LEARNERS, GridworldConfig
from core.runs import store
from core.runs.metrics import Curve
from ui import charts_gridworld
from ui.gridworld_views import latest, possible, task_of
from ui.live_plot import live_plot
from ui.session import look, reader
from ui.words import plain


def name_of(run: store.Run) -> str:
    """A run of a race by its method."""
    return str(run.config["method"])


def race(runs: list[store.Run]) -> None:
    """Methods side by side on the same map: what they earn, the regret, and how long each took to 95 %."""
    runs = [run for run in runs if run.config["method"] in LEARNERS]
    if len(runs) < 2:
        return
    st.subheader("The race", anchor=False)
    st.caption(f"Below it: {plain(name_of(runs[0]))}, move by move. The others open by their buttons above.")
    names = _distinct(runs)
    curves = {name: reader(run.id).read() for name, run in zip(names, runs, strict=True)}
    grid = task_of(runs[0].id).map
    left, right = st.columns(2, gap="large")
    with left:
        live_plot(
            charts_gridworld.return_chart(
                curves, possible=possible(grid), title="Greedy policy: median and quartiles of the agents", revision=runs[0].id
            ),
            key=f"race_{runs[0].id}",
        )
    with right:
        regrets = {name: found["charts/regret"] for name, found in curves.items() if "charts/regret" in found}
        if regrets:
            live_plot(charts_gridworld.race_chart(regrets, title="Regret, less is better", revision=runs[0].id), key=f"regret_{runs[0].id}")
    st.dataframe(
        pd.DataFrame([_standing(name, run, curves[name]) for name, run in zip(names, runs, strict=True)]),
        hide_index=True,
        alt="The race in numbers",
    )


def _standing(name: str, run: store.Run, curves: dict[str, Curve]) -> dict[str, Any]:
    sample = latest(run.id)
    solved = sample.get("solved_at", np.zeros(0, np.int64))
    first = np.sort(solved[solved > 0])
    half = len(first) * 2 > len(solved)
    return {
        "method": name,
        "greedy return": float(curves["charts/greedy_return"][1][-1]) if "charts/greedy_return" in curves else None,
        "regret": round(float(curves["charts/regret"][1][-1]), 1) if "charts/regret" in curves else None,
        "agents at 95 %": f"{len(first)} of {len(solved)}",
        "moves to 95 % (median)": int(first[(len(solved) - 1) // 2]) if half else None,
        "status": look(run.id).status,
    }


def _distinct(runs: list[store.Run]) -> list[str]:
    names = [name_of(run) for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({names[: n + 1].count(name)})" for n, name in enumerate(names)]


def rivals_of(config: GridworldConfig, methods: list[str]) -> list[GridworldConfig]:
    """The same settings for other methods; a network gets the settings of its own preset."""
    found = []
    for method in methods:
        own = {name: value for name, value in GridworldConfig.PRESETS.get(method, {}).items() if name not in {"seeds", "steps"}}
        found.append(config.updated({**(own if method in DEEP else {}), "method": method}))
    return found
