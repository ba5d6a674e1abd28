"""Look inside a classifier: all layers, one number down to its products, what mattered, attacks, filters switched off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import source
from core.runs import store
from ui import charts
from ui.image_views import INTERPRET, data_of, held_out
from ui.live_plot import live_plot
from ui.session import cached_call, run_stamp
from ui.sheets import grey, overlaid, png, sheet, signed
from ui.words import plain

MEANINGS = source.constant("core.image.explain", "METHODS")
MOST_MAPS = 32


def inside(run: store.Run) -> None:
    """All blocks, for one held-out picture."""
    if run.config["network"] == "EfficientNet, new head":
        st.caption("Its head has one layer. What EfficientNet itself looks at is shown under Recognise.")
        return
    values, labels = held_out(run.id)
    data = data_of(run.id)
    number = int(st.number_input("Picture", 0, len(values) - 1, 0, key=f"inside_{run.id[-12:]}", help="A picture that was held out."))
    stamp = run_stamp(run)
    st.image(png(sheet(values[number][None], 1), max(1, 120 // data.shape[1])), caption=f"It is: {plain(data.classes[labels[number]])}")
    st.subheader("Every layer", anchor=False)
    layers = cached_call(INTERPRET, "layers", stamp=stamp, run_id=run.id, number=number)
    if layers is None:
        return
    _layers(layers)
    st.subheader("Down to the multiply", anchor=False)
    _multiply(run, stamp, number, layers, values[number])
    with st.expander("Kernel, stride, padding and dilation", icon=":material/grid_4x4:", on_change="rerun") as window:
        if window.open:
            _window()
    st.subheader("What mattered", anchor=False)
    _explained(run, stamp, number, values[number], data.classes)
    st.subheader("An attack", anchor=False)
    _attack(run, stamp, number, data.classes)
    if data.train < len(data.values):
        st.subheader("Filters switched off", anchor=False)
        _filters_off(run, stamp, layers)


def _layers(layers: list[dict[str, Any]]) -> None:
    with st.grid(4, min_column_width=170):
        for layer in layers:
            values, count = layer["values"], layer["parameters"]
            words = f"**{layer['name']}** · {' x '.join(map(str, values.shape))}" + (f" · {count:,} weights" if count else "")
            with st.container(border=True):
                st.caption(words)
                if values.ndim == 3 and values.shape[1] > 1:
                    maps = values[:MOST_MAPS]
                    across = min(8, len(maps))
                    st.image(png(sheet(grey(maps), across), max(1, 160 // (across * maps.shape[1]))))
                else:
                    flat = values.reshape(1, 1, -1)[:, :, :256]
                    wide = int(np.ceil(flat.shape[2] ** 0.5))
                    square = np.pad(flat.ravel(), (0, wide * wide - flat.shape[2])).reshape(1, wide, wide)
                    st.image(png(sheet(signed(square), 1), max(1, 100 // wide)))


def _multiply(run: store.Run, stamp: str, number: int, layers: list[dict[str, Any]], picture: np.ndarray) -> None:
    names = [layer["name"] for layer in layers if layer["kind"] in {"Conv2d", "Sequential", "Residual", "MaxPool2d"}]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = str(st.selectbox("Layer", names, key=f"layer_{run.id[-12:]}", width=160))
        shape = next(layer["values"].shape for layer in layers if layer["name"] == name)
        channel = st.number_input("Map", 0, shape[0] - 1, 0, key=f"map_{name}_{run.id[-12:]}", width=110)
        row = st.number_input("Row", 0, shape[1] - 1, shape[1] // 2, key=f"row_{name}_{run.id[-12:]}", width=110)
        column = st.number_input("Column", 0, shape[2] - 1, shape[2] // 2, key=f"column_{name}_{run.id[-12:]}", width=110)
    found = cached_call(
        INTERPRET, "multiply", stamp=stamp, run_id=run.id, number=number, name=name, channel=int(channel), row=int(row), column=int(column)
    )
    if found is None:
        return
    window, kernel = found["window"], found["kernel"]
    depth = 0
    if len(window) > 1:
        depth = int(
            st.slider(
                "Map below", 0, len(window) - 1, 0, key=f"depth_{name}_{run.id[-12:]}", help="The window has one layer for each map below."
            )
        )
    columns = st.columns(4 if kernel is not None else 2, gap="medium")
    with columns[0]:
        st.caption("The window below")
        st.dataframe(pd.DataFrame(window[depth]).style.format("{:.2f}"), hide_index=True, alt="The numbers in the window")
    if kernel is not None:
        with columns[1]:
            st.caption("The filter")
            st.dataframe(pd.DataFrame(kernel[depth]).style.format("{:.2f}"), hide_index=True, alt="The weights of the filter")
        with columns[2]:
            st.caption("Their products")
            st.dataframe(pd.DataFrame(window[depth] * kernel[depth]).style.format("{:.2f}"), hide_index=True, alt="The products")
    with columns[-1]:
        if kernel is None:
            st.metric("The largest", f"{found['sum']:.3f}")
        else:
            st.metric(
                "Sum of all products and bias", f"{found['sum']:.3f}", help=f"Over {window.size} products; the bias is {found['bias']:.3f}."
            )
            for step in found["steps"]:
                st.caption(f"after {step['what']}: **{step['value']:.3f}**")
    if found["field"]:
        top, left, bottom, right = found["field"]
        shown = np.repeat(picture.mean(0, keepdims=True), 3, 0) * 0.35
        shown[:, top:bottom, left:right] = picture.mean(0)[top:bottom, left:right]
        st.image(
            png(sheet(shown.astype(np.uint8)[None], 1), max(1, 140 // picture.shape[1])),
            caption=f"Its receptive field: rows {top + 1} to {bottom}, columns {left + 1} to {right}",
        )


def _window() -> None:
    """What kernel, stride, padding and dilation do to the size of a map, and which numbers one place takes."""
    with st.grid(5, min_column_width=130):
        size = int(st.slider("Input", 4, 16, 8, key="window_input"))
        kernel = int(st.slider("Kernel", 1, 7, 3, key="window_kernel"))
        stride = int(st.slider("Stride", 1, 4, 1, key="window_stride", help="How far the window moves."))
        padding = int(st.slider("Padding", 0, 3, 1, key="window_padding", help="Zeros around the input."))
        dilation = int(st.slider("Dilation", 1, 3, 1, key="window_dilation", help="Gaps between the numbers that the window takes."))
    span = dilation * (kernel - 1) + 1
    out = (size + 2 * padding - span) // stride + 1
    st.latex(
        rf"\left\lfloor\frac{{{size} + 2\cdot{padding} - {dilation}\cdot({kernel}-1) - 1}}{{{stride}}}\right\rfloor + 1 = "
        + (str(out) if size + 2 * padding >= span else r"\text{none: the window is larger than the input}")
    )
    if size + 2 * padding < span:
        return
    place = int(st.slider("Place in the output", 0, out - 1, 0, key="window_place")) if out > 1 else 0
    across = np.full((size + 2 * padding,) * 2, 0.15)
    across[padding : padding + size, padding : padding + size] = 0.45
    taken = place * stride + dilation * np.arange(kernel)
    across[np.ix_(taken, taken)] = 1.0
    st.image(
        png(sheet(signed(across[None]), 1), max(4, 240 // len(across))),
        caption="Orange: what one place takes. Pale: the zeros around the input.",
    )


def _explained(run: store.Run, stamp: str, number: int, picture: np.ndarray, classes: tuple[str, ...]) -> None:
    asked = st.selectbox(
        "For the class", ["the one it answers", *classes], key=f"asked_{run.id[-12:]}", help="What speaks for another class?"
    )
    kind = -1 if asked == "the one it answers" else classes.index(str(asked))
    found = cached_call(INTERPRET, "explained", stamp=stamp, run_id=run.id, number=number, kind=kind)
    if found is None:
        return
    st.caption(
        f"For {plain(classes[found['kind']])}, which it gives {found['chances'][found['kind']]:.0%}. Orange speaks for it, blue against it."
    )
    with st.grid(5, min_column_width=150):
        for name, facts in found["methods"].items():
            with st.container(border=True):
                st.image(png(sheet(overlaid(picture, facts["map"])[None], 1), max(1, 150 // picture.shape[1])), caption=name)
                drop, rise = float(facts["deletion"].mean()), float(facts["insertion"].mean())
                lies = facts["same"] > 0.5
                st.caption(MEANINGS[name])
                st.caption(f"Deletion {drop:.2f} (low is good), insertion {rise:.2f} (high is good).")
                warning = ": do not trust it" if lies else ""
                st.caption(f":material/{'error' if lies else 'check'}: {facts['same']:.2f} like the map of shuffled weights{warning}")
    chart = charts.figure(title="Deletion: the chance while the hottest pixels turn grey", height=260, uirevision=run.id)
    for name, facts in found["methods"].items():
        charts.add_line(chart, np.linspace(0, 100, len(facts["deletion"])), facts["deletion"], name)
    live_plot(chart, key=f"deletion_{run.id}")


def _attack(run: store.Run, stamp: str, number: int, classes: tuple[str, ...]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epsilon = st.slider(
            "Epsilon", 0.0, 0.5, 0.1, 0.01, key=f"epsilon_{run.id[-12:]}", help="How far a pixel may move, of a range of 2.", width=300
        )
        kind = st.segmented_control("Attack", ["FGSM", "PGD"], default="FGSM", required=True, key=f"attack_{run.id[-12:]}")
    steps = 1 if kind == "FGSM" else 20
    found = cached_call(INTERPRET, "attacked", stamp=stamp, run_id=run.id, number=number, epsilon=float(epsilon), steps=steps)
    if found is None:
        return
    zoom = max(1, 140 // found["before"].shape[1])
    columns = st.columns(3, gap="medium")
    for column, name in zip(columns, ("before", "after"), strict=False):
        chances = found[f"chances_{name}"]
        with column:
            st.image(png(sheet(found[name][None], 1), zoom), caption=f"{name}: {plain(classes[int(chances.argmax())])} {chances.max():.0%}")
    with columns[2]:
        moved = found["after"].astype(float).mean(0) - found["before"].astype(float).mean(0)
        st.image(png(sheet(signed(moved[None]), 1), zoom), caption="What was changed")


def _filters_off(run: store.Run, stamp: str, layers: list[dict[str, Any]]) -> None:
    names = [layer["name"] for layer in layers if layer["values"].ndim == 3 and layer["name"] != "input"]
    left, right = st.columns([1, 2], gap="large")
    with left:
        name = str(st.selectbox("Of layer", names, key=f"off_layer_{run.id[-12:]}"))
        count = next(layer["values"].shape[0] for layer in layers if layer["name"] == name)
        off = st.multiselect("Maps switched off", list(range(count)), default=[0], key=f"off_{name}_{run.id[-12:]}")
    found = cached_call(INTERPRET, "without_filters", stamp=stamp, run_id=run.id, name=name, channels=[int(n) for n in off])
    if found is None:
        return
    with right:
        chart = charts.figure(title="Accuracy by class", height=260, uirevision=run.id)
        for key, title, color in (("whole", "all maps", charts.QUIET), ("without", "without them", charts.RIVAL)):
            chart["data"].append({"type": "bar", "x": list(found["classes"]), "y": found[key], "name": title, "marker": {"color": color}})
        charts.axis(chart, "xaxis", type="category")
        live_plot(chart, key=f"off_{run.id}")
