"""The blocks of the GAN page that show a run: the live fight, its health, history, verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import source
from core.errors import UserError
from core.gan.config import GanConfig
from core.gan.data import Samples
from core.gan.diagnose import REMEDIES, Remedy, findings
from core.runs import store
from core.runs.metrics import Curve
from ui import charts, charts_gan
from ui.live_plot import live_plot
from ui.session import get_engine, guarded, link, look, reader, visitor

MEASURES = source.constant("core.gan.quality", "METRICS")
LABELS = {
    "kl": "KL",
    "js": "JS",
    "wasserstein": "sliced Wasserstein",
    "modes": "clusters covered",
    "on_modes": "on clusters",
    "diversity": "diversity",
    "precision": "precision",
    "recall": "recall",
    "fidelity": "class fidelity",
    "balance": "class balance",
    "frechet": "Frechet (our judge)",
}


@st.cache_data(max_entries=16, show_spinner=False)
def samples_of(run_id: str) -> Samples:
    """The dataset of a run, from its folder."""
    return store.dataset(run_id)


@st.cache_data(max_entries=64, show_spinner=False)
def axes_of(run_id: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of D's surface (as `core.gan.session.surface_axes`), for points.  # (side,), (side,)"""
    data = samples_of(run_id)
    low, high = data.values.min(0), data.values.max(0)
    margin = 0.15 * np.maximum(high - low, 1e-6)
    return tuple(np.linspace(low[k] - margin[k], high[k] + margin[k], side, dtype=np.float32) for k in (0, 1))  # type: ignore[return-value]


def picture_of(run: store.Run, sample: dict[str, np.ndarray], layers: list[str], title: str) -> Any:
    """The chart of one sample: a cloud of points with what is around it, or a sheet of pictures."""
    data = samples_of(run.id)
    if data.points:
        axes = axes_of(run.id, len(sample["surface"]))
        return charts_gan.cloud_chart(data.values[: data.train], sample, axes, layers=layers, title=title, revision=run.id)
    return charts_gan.sheet_chart(sample["pictures"], title=title, revision=run.id)


def _layers(run: store.Run, key: str) -> list[str]:
    if not samples_of(run.id).points:
        return []
    return st.segmented_control(
        "Shown",
        charts_gan.LAYERS,
        selection_mode="multi",
        default=charts_gan.LAYERS[:3],
        key=f"{key}_layers_{run.id[-12:]}",
        label_visibility="collapsed",
    )


def live(run: store.Run, curves: dict[str, Curve]) -> None:
    """What is drawn while it trains: the samples, the two losses, the quality; in slow motion the way of one update."""
    if run.active and run.owner == store.owner_of(visitor()):
        _whose_turn(run)
    part = curves.get("flow/part")
    if part is not None and run.active:
        live_plot(charts_gan.flow_chart(int(part[1][-1]), revision=run.id), key=f"flow_{run.id}")
    steps = store.sample_steps(run.id)
    layers = _layers(run, "live")
    sample = store.sample(run.id, steps[-1]) if steps else {}
    notice(run, curves, sample)
    left, right = st.columns([5, 4])
    with left:
        if steps:
            if sample:
                what = "Samples" if samples_of(run.id).points else "The same 64 noises"
                live_plot(picture_of(run, sample, layers, f"{what}, round {steps[-1]:,}"), key=f"cloud_{run.id}")
        else:
            st.skeleton(height=460)
    with right:
        losses = {"train/d_loss": "D", "train/g_loss": "G"}
        live_plot(_curves(curves, losses, "Losses", run.id, height=230), key=f"losses_{run.id}")
        points = samples_of(run.id).points
        shown = ("on_modes", "diversity", "js") if points else ("fidelity", "precision", "recall")
        quality = {f"quality/{name}": LABELS[name] for name in shown} | {"train/d_accuracy": "D is right"}
        live_plot(_curves(curves, quality, "Quality", run.id, height=230), key=f"quality_{run.id}")


def _curves(curves: dict[str, Curve], names: dict[str, str], title: str, revision: str, *, height: int) -> Any:
    chart = charts.figure(title=title, height=height, uirevision=revision)
    for (metric, name), color in zip(names.items(), (charts.NETWORK, charts.RIVAL, charts.THIRD, charts.QUIET), strict=False):
        if metric in curves:
            steps, values = charts.thin(curves[metric], 300)
            charts.add_line(chart, steps.astype(np.int32), values, name, color=color)
    return chart


def _whose_turn(run: store.Run) -> None:
    """One round for D alone, for G alone or for both, or one numbered part of a round; then it pauses."""

    @guarded
    def ask(**settings: Any) -> None:
        get_engine().ask(run.id, steps=1, settings=settings)

    started = run.status != "queued"
    with st.container(horizontal=True):
        for text, icon, settings, words in (
            ("Step D", ":material/policy:", {"turn": "only D", "sub_steps": False}, "One update of D alone, then pause. G stands still."),
            ("Step G", ":material/brush:", {"turn": "only G", "sub_steps": False}, "One update of G alone, then pause. D stands still."),
            ("Step both", ":material/swap_vert:", {"turn": "both", "sub_steps": False}, "One whole round, then pause."),
            (
                "Next part",
                ":material/account_tree:",
                {"turn": "both", "sub_steps": True},
                "One of the twelve parts of a round, shown in the picture.",
            ),
        ):
            st.button(text, icon=icon, help=words, key=f"{text}_{run.id[-12:]}", on_click=ask, kwargs=settings, disabled=not started)
        if run.status == "paused":
            whole = {"turn": run.config["turn"], "sub_steps": run.config["sub_steps"]}
            st.button(
                "Play on",
                icon=":material/play_arrow:",
                key=f"play_{run.id[-12:]}",
                help="Go on as the settings say: both networks, whole rounds.",
                on_click=guarded(lambda: get_engine().ask(run.id, state="running", settings=whole)),
            )


def race(runs: list[store.Run]) -> None:
    """The deciding measure of runs side by side, with the picture of each."""
    measure = "quality/wasserstein" if samples_of(runs[0].id).points else "quality/frechet"
    names = _distinct(runs)
    curves = {name: reader(run.id).read().get(measure) for name, run in zip(names, runs, strict=True)}
    shown = {name: curve for name, curve in curves.items() if curve is not None}
    if shown:
        title = f"Side by side: {LABELS[measure.split('/')[1]]}, less is better"
        live_plot(charts.compare_chart(shown, title=title, revision=runs[0].id), key=f"race_{runs[0].id}")
    for column, run, name in zip(st.columns(len(runs[:3])), runs[:3], names, strict=False):
        steps = store.sample_steps(run.id)
        sample = store.sample(run.id, steps[-1]) if steps else {}
        if sample:
            with column:
                chart = picture_of(run, sample, list(charts_gan.LAYERS[:2]), name)
                chart["layout"] |= {"height": 300, "showlegend": False}
                live_plot(chart, key=f"beside_{runs[0].id}_{run.id}")


def _distinct(runs: list[store.Run]) -> list[str]:
    """Names that say how each run differs from the first."""
    names: list[str] = []
    for run in runs:
        other = {key: value for key, value in run.config.items() if any(value != mate.config.get(key) for mate in runs)}
        text = ", ".join(
            f"{GanConfig.model_fields[key].title} {value}" for key, value in list(other.items())[:3] if key in GanConfig.model_fields
        )
        names.append(f"{len(names) + 1}: {text or 'the same settings'}")
    return names


def notice(run: store.Run, curves: dict[str, Curve], sample: dict[str, np.ndarray]) -> None:
    """Mode collapse and a D that has won, in words and by name, as soon as the measurements show it."""
    data = samples_of(run.id)
    found = findings(curves, len(data.mode_names))
    if not found:
        return
    lost = [name for name, covered in zip(data.mode_names, sample.get("covered", ()), strict=False) if not covered]
    missing = f" Missing: {', '.join(lost[:12])}{' and more' if len(lost) > 12 else ''}." if lost else ""
    lines = [f"- {finding.sentence}{missing if finding.kind == 'modes' else ''}" for finding in found]
    st.warning("\n".join(lines), icon=":material/personal_injury:")
    if run.active:
        st.caption("Once it has ended, or you stop it, remedies are offered below.")


def remedies(run: store.Run) -> None:
    """For a run that ended sick: changes that help, each started beside it."""
    if run.active or not findings(reader(run.id).read(), len(samples_of(run.id).mode_names)):
        return
    with st.expander("Remedies, side by side with this run", icon=":material/healing:", expanded=True):
        for remedy in REMEDIES:
            if all(run.config.get(name) == value for name, value in remedy.changes.items()):
                continue
            with st.container(border=True):
                st.markdown(f"**{remedy.title}.** {remedy.why}")
                with st.container(horizontal=True):
                    st.button(
                        "Same seed, from scratch",
                        key=f"seed_{remedy.title}_{run.id[-12:]}",
                        icon=":material/casino:",
                        on_click=_treat,
                        args=(run.id, remedy, False),
                    )
                    st.button(
                        "From these weights",
                        key=f"weights_{remedy.title}_{run.id[-12:]}",
                        icon=":material/fork_right:",
                        on_click=_treat,
                        args=(run.id, remedy, True),
                        disabled=not remedy.fits_weights or not store.checkpoint_step(run.id),
                        help=None if remedy.fits_weights else "It changes the shape of D, so it must start afresh.",
                    )


@guarded
def _treat(run_id: str, remedy: Remedy, keep_weights: bool) -> None:
    """Start a run with a remedy beside the sick one, and open it."""
    run = look(run_id)
    changes = dict(remedy.changes)
    if run.config.get("conditional") and "packing" not in changes:
        changes.pop("conditional", None)
    config = GanConfig.model_validate(run.config).updated(changes)
    start_beside(run, config, weights_of(run_id) if keep_weights else None)


def start_beside(run: store.Run, config: GanConfig, start: dict[str, np.ndarray] | None) -> None:
    """Queue a run on the same data, its mate the given one, and open it."""
    import dataclasses

    data = dataclasses.replace(samples_of(run.id), start=start)
    began = get_engine().start("gan", [config], data, visitor=visitor(), data=run.data, beside=[run.id])
    link("gan_run", began[0].id)


def weights_of(run_id: str) -> dict[str, np.ndarray]:
    """Both networks of a run, to start another from: read without torch. Raises `UserError` if there are none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(store.folder(run_id) / store.CHECKPOINT, framework="numpy") as file:
            names = [name for name in file.keys() if name.split(".")[0] in {"generator", "discriminator"}]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError):
        raise UserError("This run has no weights to start from.") from None


def verdict(run: store.Run) -> None:
    """The referee's sentence and the table of scores, with the ceiling."""
    result = store.result(run.id)
    if result is None:
        return
    (st.success if result["beats"] else st.warning)(result["sentence"], icon=":material/gavel:")
    table = pd.DataFrame({result["names"][key]: scores for key, scores in result["scores"].items()}).T
    table = table[[name for name in LABELS if name in table]]
    columns = {name: st.column_config.NumberColumn(LABELS[name], help=MEASURES[name], format="%.3g") for name in map(str, table)}
    st.dataframe(table, column_config=columns, alt="Scores of the GAN, of every simple way and of held-out real samples")
    st.caption(
        "All are compared with the samples that were learned from. The held-out real samples show what a perfect generator would score. "
        + ("The Gaussian mixture is told how many clusters there are." if result["modes"] else "")
    )


def history(run: store.Run) -> None:
    """A scrubber over the whole fight, and the phase plot."""
    steps = store.sample_steps(run.id)
    if len(steps) < 2:
        st.caption("As soon as there are two pictures, the fight can be replayed here.")
        return
    layers = _layers(run, "history")
    step = st.select_slider("Round", steps, value=steps[-1], key=f"scrub_{run.id}", help="Drag through the whole fight.")
    sample = store.sample(run.id, step)
    left, right = st.columns([5, 4])
    with left:
        if sample:
            live_plot(picture_of(run, sample, layers, f"Round {step:,}"), key=f"history_{run.id}")
    with right:
        curves = reader(run.id).read()
        if {"train/d_loss", "train/g_loss"} <= set(curves):
            d, g = curves["train/d_loss"], curves["train/g_loss"]
            length = min(np.searchsorted(d[0], step, "right"), np.searchsorted(g[0], step, "right"))
            chart = charts_gan.phase_chart(d[1][:length], g[1][:length], title="Phase: loss of D against loss of G", revision=run.id)
            live_plot(chart, key=f"phase_{run.id}")
            st.caption("A settled game stays in one spot. A loop means that each keeps undoing what the other has learned.")
