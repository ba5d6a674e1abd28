"""The blocks of the forecasting page that show a run: live training, race, history, verdict, use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.forecasting import scores
from core.forecasting.data import Series
from core.forecasting.tidy import count
from core.runs import store
from core.runs.metrics import Curve
from ui import charts, charts_forecasting
from ui.explain import safe_csv
from ui.live_plot import live_plot
from ui.session import cached_call, reader, run_stamp


@st.cache_data(max_entries=32, show_spinner=False)
def series_of(run_id: str) -> Series:
    """The series of a run, from its folder."""
    return store.dataset(run_id)


def target_of(data: Series, key: str) -> int:
    """Which target is shown, chosen where there are several."""
    if len(data.targets) == 1:
        return 0
    return data.targets.index(st.segmented_control("Target", data.targets, default=data.targets[0], required=True, key=key))


def live(run: store.Run, curves: dict[str, Curve]) -> None:
    """What is drawn while it trains: loss, and the forecast on the validation part as it learns."""
    data = series_of(run.id)
    n = target_of(data, f"live_target_{run.id}")
    left, right = st.columns(2)
    with left:
        names = {"train/loss": "training", "val/loss": "validation"}
        refit = _refit_from(curves, int(run.config["validate_every"]))
        live_plot(charts.loss_chart(curves, groups=names, title="Loss", revision=run.id, refit_from=refit), key=f"loss_{run.id}")
    with right:
        steps = store.sample_steps(run.id)
        if steps:
            sample = store.sample(run.id, steps[-1])
            if "forecast" in sample:
                _validation_plot(run, data, sample, n, f"Forecast of {data.targets[n]}, step {steps[-1]:,}", f"sample_{run.id}")
        else:
            st.skeleton(height=360)


def _refit_from(curves: dict[str, Curve], validate_every: int) -> int:
    """The step after which nothing was validated any more: there the refit begins."""
    train, val = curves.get("train/loss"), curves.get("val/loss")
    if train is None or val is None or not len(val[0]):
        return 0
    return int(val[0][-1]) if train[0][-1] >= val[0][-1] + validate_every else 0


def _validation_plot(run: store.Run, data: Series, sample: dict[str, np.ndarray], n: int, title: str, key: str) -> None:
    """The forecast on the validation part; of a network that is refitted, what must be said: it forecasts the unknown no more."""
    begin = int(sample["origin"][0])
    chart = charts_forecasting.forecast_chart(
        data.times(), data.values()[:, n], begin, sample["forecast"][:, n], title=title, revision=f"{run.id}-{n}"
    )
    live_plot(chart, key=key)
    if sample.get("refit", np.zeros(1)).any():
        st.caption("This is the refit: it learns from this part, too.")


def history(run: store.Run) -> None:
    """A scrubber over the forecasts it made while it learned."""
    steps = store.sample_steps(run.id)
    if len(steps) < 3:
        st.caption("It was trained so fast that too few moments were kept to replay it.")
        return
    data = series_of(run.id)
    n = target_of(data, f"scrub_target_{run.id}")
    step = st.select_slider(
        "Training step", steps, value=steps[-1], key=f"scrub_{run.id}", help="Drag to watch the forecast and its band take shape."
    )
    sample = store.sample(run.id, step)
    if "forecast" in sample:
        _validation_plot(run, data, sample, n, f"Validation forecast of {data.targets[n]} at step {step:,}", f"history_{run.id}")


def race(runs: list[store.Run]) -> None:
    """The validation loss of runs started together, on one chart, with the place of each."""
    curves = {f"{str(run.config['model']).upper()}": reader(run.id).read().get("val/loss") for run in runs}
    shown = {name: curve for name, curve in curves.items() if curve is not None}
    if shown:
        live_plot(
            charts.compare_chart(shown, title="Race: validation loss from the same seed", revision=runs[0].id), key=f"race_{runs[0].id}"
        )


def verdict(run: store.Run) -> None:
    """The referee's sentence, the test forecast, the table of scores, and the error by step."""
    result = store.result(run.id)
    if result is None:
        return
    (st.success if result["beats"] else st.warning)(result["sentence"], icon=":material/gavel:")
    data = series_of(run.id)
    n = target_of(data, f"target_{run.id}")
    target = data.targets[n]
    best, begin = result["best_referee"], result["origins"][-1]
    forecasts = {key: np.array(values)[:, n] for key, values in result["forecasts"].items()}
    stamp = f"{run_stamp(run)}-{n}"
    charts.finished(
        lambda: charts_forecasting.forecast_chart(
            data.times(),
            data.values()[:, n],
            begin,
            forecasts["network"],
            rivals={result["names"][best]: forecasts[best][:, 1]},
            title="On the test part, never seen in training",
        ),
        key=f"test_{run.id}",
        stamp=stamp,
        alt=result["sentence"],
    )
    table = pd.DataFrame({result["names"][key]: by_target[target] for key, by_target in result["scores"].items()}).T
    table["coverage"] *= 100
    table = table.sort_values("mae")
    labels = {
        "mae": "MAE",
        "rmse": "RMSE",
        "smape": "sMAPE %",
        "mape": "MAPE %",
        "mase": "MASE",
        "pinball": "pinball",
        "coverage": "80 % band held",
    }
    columns = {
        name: st.column_config.NumberColumn(label, help=scores.METRICS[name], format="%.0f %%" if name == "coverage" else "%.3g")
        for name, label in labels.items()
    }
    st.dataframe(table.dropna(axis=1, how="all"), column_config=columns, alt="Scores of the network and every simple forecast, best first")
    many = len(result["origins"])
    each = count(len(forecasts["network"]), "step")
    apart = f", {count(result['origins'][1] - result['origins'][0], 'step')} apart" if many > 1 else ""
    st.caption(
        f"Scored over {many} starting point{'s' if many > 1 else ''} in the test part{apart}, {each} each. "
        "Every forecaster knew only what came before each of them."
    )
    names = list(table.dropna(axis=1, how="all").columns)
    measure = (
        st.segmented_control("Measure", names, format_func=lambda name: labels[name], default="mae", required=True, key=f"measure_{run.id}")
        or "mae"
    )
    percent = 100 if measure == "coverage" else 1
    by_step = {key: percent * np.array(values[target][measure], np.float64) for key, values in result["by_step"].items()}
    charts.finished(
        lambda: charts_forecasting.by_step_chart(by_step, result["names"], best=best, measure=labels[measure]),
        key=f"steps_{run.id}",
        stamp=f"{stamp}-{measure}",
        alt=f"{labels[measure]} at each step of the horizon",
    )


def use(run: store.Run) -> None:
    """Forecast beyond the end; edit the recent past and see the forecast move; take it away as CSV."""
    data, window = series_of(run.id), int(run.config["window"])
    values = data.values()
    recent = pd.DataFrame(values[-window:], columns=list(data.targets), index=data.times()[-window:])
    shown = recent.tail(24).copy()
    when = next(name for name in ("time", "when", "time stamp of the row") if name not in data.targets)
    shown.insert(0, when, [str(time)[:16].removesuffix(" 00:00") for time in shown.index])
    left, right = st.columns([1, 2])
    with left:
        st.caption("What if the recent past had been different? Edit a number and watch the forecast move.")
        edited = st.data_editor(
            shown, hide_index=True, disabled=[when], key=f"edit_{run.id}", height=330, alt="The newest values, editable"
        )
    changed = recent.to_numpy().copy()
    changed[-len(edited) :] = edited[list(data.targets)].to_numpy(np.float64)
    wanted = changed.tolist() if not np.array_equal(changed, recent.to_numpy(), equal_nan=True) else None
    answer = cached_call("core.forecasting.predict", "forecast", stamp=run_stamp(run), run_id=run.id, recent=wanted)
    if answer is None:
        return
    quantiles = np.array(answer["quantiles"])  # (horizon, targets, 3)
    plain = cached_call("core.forecasting.predict", "forecast", stamp=run_stamp(run), run_id=run.id, recent=None) if wanted else None
    with right:
        n = target_of(data, f"use_target_{run.id}")
        past = np.concatenate([values[:-window, n], changed[:, n]])
        rivals = {"before your edit": np.array(plain["quantiles"])[:, n, 1]} if plain else None
        title = f"{data.targets[n]} beyond the end of the series"
        chart = charts_forecasting.forecast_chart(
            data.times(len(quantiles)), past, data.length, quantiles[:, n], rivals=rivals, title=title, revision=run.id
        )
        live_plot(chart, key=f"beyond_{run.id}")
    columns = {f"{t} {name}": quantiles[:, k, q] for k, t in enumerate(data.targets) for q, name in enumerate(("10 %", "50 %", "90 %"))}
    table = pd.DataFrame({"time": answer["times"], **columns})
    st.download_button(
        "Forecast as CSV",
        safe_csv(table),
        f"forecast-{run.id[:8]}.csv",
        "text/csv",
        icon=":material/download:",
        key=f"csv_{run.id}",
        on_click="ignore",
    )
