"""Look inside a GAN: D's view, every layer over time, what D attends to, one noise on its way through."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.runs import store
from ui import charts, charts_gan
from ui.gan_views import samples_of
from ui.live_plot import live_plot
from ui.session import cached_call, run_stamp
from ui.sheets import png, sheet

INTERPRET = "core.gan.interpret"


def inside(run: store.Run) -> None:
    """All blocks, in the order of the way of a sample."""
    stamp = run_stamp(run)
    data = samples_of(run.id)
    st.subheader("One noise on its way", anchor=False)
    seed = st.number_input("Noise seed", 0, 10**6, 0, key=f"way_{run.id}", help="Another seed, another noise.")
    way = cached_call(INTERPRET, "path_of_a_sample", stamp=stamp, run_id=run.id, seed=int(seed))
    if way is not None:
        _way(run, way, data.points)
    st.subheader("Every layer over time", anchor=False)
    _layers(run, stamp)
    if not data.points:
        st.subheader("What D attends to", anchor=False)
        _saliency(run, stamp, int(seed))


def _way(run: store.Run, way: dict, points: bool) -> None:
    left, right = st.columns([2, 1])
    with left:
        noise = way["noise"]
        chart = charts.figure(title=f"The noise: {len(noise)} numbers", height=200, showlegend=False)
        chart["data"].append({"type": "bar", "x": np.arange(1, len(noise) + 1), "y": noise, "marker": {"color": charts.NETWORK}})
        live_plot(chart, key=f"noise_{run.id}_chart")
    with right:
        if points:
            st.metric("G makes", f"({way['sample'][0]:.3f}, {way['sample'][1]:.3f})")
        else:
            st.image(png(sheet(way["sample"][None], 1), 5), caption="G makes")
        st.metric("D says", f"{way['logit']:.2f}", help="Large: real. Only the comparison with other samples has a meaning.")
    rows = [
        {"network": name.upper(), "layer": layer, "numbers": units, "mean size": size}
        for name in ("g", "d")
        for layer, units, size in way[name]
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Each layer, how many numbers it gives and how large they are on average")


def _layers(run: store.Run, stamp: str) -> None:
    """Weights and gradients of both networks, from the samples that were kept."""
    names = cached_call(INTERPRET, "layers", stamp=stamp, run_id=run.id)
    steps, rows = _norms(run.id, stamp)
    if names is None or len(steps) < 2:
        st.caption("As soon as there are two pictures of the fight, its layers are shown here.")
        return
    for who, title in (("g", "G"), ("d", "D")):
        left, right = st.columns(2)
        with left:
            live_plot(
                charts_gan.layers_chart(steps, rows[f"{who}_weights"], names[who], title=f"{title}: length of the weights"),
                key=f"w{who}_{run.id}",
            )
        with right:
            live_plot(
                charts_gan.layers_chart(
                    steps, np.maximum(rows[f"{who}_gradients"], 1e-9), names[who], title=f"{title}: length of the gradient"
                ),
                key=f"g{who}_{run.id}",
            )
    st.caption("A gradient of G that sinks while D's stays shows a D that has won: G no longer hears how to improve.")


@st.cache_data(max_entries=16, show_spinner=False)
def _norms(run_id: str, stamp: str) -> tuple[list[int], dict[str, np.ndarray]]:
    steps, rows = [], []
    for step in store.sample_steps(run_id):
        sample = store.sample(run_id, step)
        if "g_weights" in sample:
            steps.append(step)
            rows.append(sample)
    names = ("g_weights", "g_gradients", "d_weights", "d_gradients")
    return steps, {name: np.array([row[name] for row in rows]) for name in names}


def _saliency(run: store.Run, stamp: str, seed: int) -> None:
    found = cached_call(INTERPRET, "saliency", stamp=stamp, run_id=run.id, count=6, seed=seed)
    if found is None:
        return
    half = len(found["pictures"]) // 2
    heat = np.stack([255 * found["maps"], 140 * found["maps"], 40 * found["maps"]], 1).astype(np.uint8)
    for name, rows in (("Real", slice(0, half)), ("Made by G", slice(half, None))):
        shown = found["pictures"][rows]
        shown = np.repeat(shown, 3, 1) if shown.shape[1] == 1 else shown
        numbers = ", ".join(f"{value:.1f}" for value in found["logits"][rows])
        both = sheet(np.concatenate([shown, heat[rows]]), half)
        st.image(png(both, 4), caption=f"{name}: the pictures, and below the pixels that move D's number most. D says {numbers}.")
