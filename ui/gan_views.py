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
from core.runs import control, store
from core.runs.metrics import Curve
from ui import charts, charts_gan
from ui.live_plot import live_plot
from ui.run_panel import begin
from ui.session import get_engine, guarded, look, reader, visitor

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


@st.cache_resource(max_entries=16, show_spinner=False)  # frozen: nobody changes it, and copying it each second would cost
def samples_of(run_id: str) -> Samples:
    """The dataset of a run, from its folder."""
    return store.dataset(run_id)


def picture_of(run: store.Run, sample: dict[str, np.ndarray], layers: list[str], title: str) -> Any:
    """The chart of one sample: a cloud of points with what is around it, or a sheet of pictures."""
    data = samples_of(run.id)
    if data.points:
        return charts_gan.cloud_chart(data.values[: data.train], sample, data.axes(), layers=layers, title=title, revision=run.id)
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
    part = _part(curves)
    if run.active and run.owner == store.owner_of(visitor()):
        _whose_turn(run, part)
    if part and run.active:
        live_plot(charts_gan.flow_chart(part, revision=run.id), key=f"flow_{run.id}")
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
    _latest(run, curves, sample)


def _latest(run: store.Run, curves: dict[str, Curve], sample: dict[str, np.ndarray]) -> None:
    """Every measure as it was last found, and the clusters that are missing by name."""
    names = [name for name in LABELS if f"quality/{name}" in curves]
    if not names:
        return
    values = {name: float(curves[f"quality/{name}"][1][-1]) for name in names}
    step = int(curves[f"quality/{names[0]}"][0][-1])
    told = " · ".join(f"{LABELS[name]} **{value:.3g}**" for name, value in values.items())
    lost = missing_of(run, sample)
    st.caption(f"Round {step:,}: {told}{f' · missing: {lost}' if lost else ''}")


def missing_of(run: store.Run, sample: dict[str, np.ndarray], most: int = 12) -> str:
    """Names of the clusters that are not covered, from the latest sample; "" if none is missing or nothing is known."""
    names = samples_of(run.id).mode_names
    lost = [name for name, covered in zip(names, sample.get("covered", ()), strict=False) if not covered]
    return ", ".join(lost[:most]) + (f" and {len(lost) - most} more" if len(lost) > most else "")


def _curves(curves: dict[str, Curve], names: dict[str, str], title: str, revision: str, *, height: int) -> Any:
    chart = charts.figure(title=title, height=height, uirevision=revision)
    for (metric, name), color in zip(names.items(), (charts.NETWORK, charts.RIVAL, charts.THIRD, charts.QUIET), strict=False):
        if metric in curves:
            steps, values = charts.thin(curves[metric], 300)
            charts.add_line(chart, steps.astype(np.int32), values, name, color=color)
    return chart


def _part(curves: dict[str, Curve]) -> int:
    """The part of a round (1 to 12) that a run stands at, 0 between whole rounds."""
    parts, whole = curves.get("flow/part"), curves.get("train/d_loss", curves.get("train/g_loss"))
    if parts is None or not len(parts[0]) or (whole is not None and len(whole[0]) and whole[0][-1] >= parts[0][-1]):
        return 0
    return int(parts[1][-1])


def whole_rounds(run: store.Run) -> dict[str, Any]:
    """The wish that brings a run back from single turns and parts to what its settings say: for Resume and Step."""
    settings = {"turn": run.config["turn"], "sub_steps": run.config["sub_steps"]}
    slowed = control.wanted(store.folder(run.id))["settings"].get("sub_steps")
    return {"settings": settings} | ({"speed": 0.0} if slowed and not settings["sub_steps"] else {})


def _whose_turn(run: store.Run, part: int) -> None:
    """One round for D alone or for G alone, or the numbered parts of a round, by the click or slowly by themselves."""

    @guarded
    def ask(**wish: Any) -> None:
        get_engine().ask(run.id, **wish)

    alone = 2 if part else 1  # a round that has begun is finished first
    with st.container(horizontal=True):
        for text, icon, wish, words in (
            (
                "Step D",
                ":material/policy:",
                {"steps": alone, "settings": {"turn": "only D", "sub_steps": False}},
                "One round in which D learns and G stands still, then pause.",
            ),
            (
                "Step G",
                ":material/brush:",
                {"steps": alone, "settings": {"turn": "only G", "sub_steps": False}},
                "One round in which G learns and D stands still, then pause.",
            ),
            (
                "Next part",
                ":material/account_tree:",
                {"steps": 1, "settings": {"turn": "both", "sub_steps": True}},
                "One of the twelve parts of a round, shown in the picture, then pause.",
            ),
            (
                "Play parts",
                ":material/slow_motion_video:",
                {"state": "running", "speed": 1.0, "settings": {"turn": "both", "sub_steps": True}},
                "The parts by themselves, one a second. Resume or Step goes back to whole rounds.",
            ),
        ):
            st.button(text, icon=icon, help=words, key=f"{text}_{run.id[-12:]}", on_click=ask, kwargs=wish, disabled=run.status == "queued")


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
    found = findings(curves, len(data.mode_names), run.total)
    if not found:
        return
    lost = missing_of(run, sample)
    missing = f" Missing: {lost}." if lost else ""
    lines = [f"- {finding.sentence}{missing if finding.kind == 'modes' else ''}" for finding in found]
    st.warning("\n".join(lines), icon=":material/personal_injury:")
    if run.active:
        st.caption("Once it has ended, or you stop it, remedies are offered below.")


def remedies(run: store.Run) -> None:
    """For a run that ended sick: changes that help, each started beside it."""
    if run.active or not findings(reader(run.id).read(), len(samples_of(run.id).mode_names), run.total):
        return
    with st.expander("Remedies, side by side with this run", icon=":material/healing:", expanded=True):
        st.caption("Each also lets both networks learn in turn, D with the larger learning rate, and draws it out to 3,000 rounds.")
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
    config = GanConfig.model_validate(run.config).updated(remedy.changes)
    start_beside(run, config, weights_of(run_id) if keep_weights else None)


def start_beside(run: store.Run, config: GanConfig, start: dict[str, np.ndarray] | None) -> None:
    """Queue a run on the same data, its mate the given one, and open it."""
    import dataclasses

    begin("gan", [config], dataclasses.replace(samples_of(run.id), start=start), named=run.data, beside=[run.id])


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
            both, of_d, of_g = np.intersect1d(d[0], g[0], return_indices=True)  # rounds in which each had its turn
            past = both <= step
            chart = charts_gan.phase_chart(d[1][of_d[past]], g[1][of_g[past]], title="Phase: loss of D against loss of G", revision=run.id)
            live_plot(chart, key=f"phase_{run.id}")
            st.caption("A settled game stays in one spot. A loop means that each keeps undoing what the other has learned.")
