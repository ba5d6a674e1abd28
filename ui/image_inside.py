"""Look inside a classifier: all layers, one number down to its products, what mattered, attacks, filters switched off."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import source
from core.image.data import PHOTOS, photo
from core.runs import store
from ui import charts, maps
from ui.image_views import ANATOMY, INTERPRET, OWN, PHOTO_KINDS, data_of
from ui.live_plot import live_plot
from ui.session import cached_call, run_stamp
from ui.sheets import overlaid, png, sheet, signed
from ui.simulator import simulator
from ui.upload import uploader
from ui.words import plain

MEANINGS = source.constant("core.image.explain", "METHODS")
ALIKE = 0.5  # rank correlation with the map of shuffled weights, above which a map does not show what was learned
FLAT = 0.05  # of a curve of chances, between its ends
GAP = 0.2  # of the logit's rise, by which integrated gradients may miss it
SLOW = 90.0  # s that the explanations of a large network may take
OPENED = ("Conv2d", "Sequential", "MaxPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "Linear", "Softmax")  # that can be taken apart
Layers = list[dict[str, Any]]


def inside(run: store.Run) -> None:
    """All blocks, for a picture that was held out, an example photo or one's own."""
    data = data_of(run.id)
    picture = _chosen(run)
    if picture is not None:
        look_into(run.id, run_stamp(run), picture, data.classes, run if data.train < len(data.values) else None)


def look_into(run_id: str, stamp: str, picture: np.ndarray, classes: tuple[str, ...], judged: store.Run | None) -> None:
    """Every block for a picture uint8. run_id: "" for EfficientNet itself; judged: the run, if pictures were held out to judge by."""
    key = run_id[-12:] or "imagenet"
    stamp = f"{stamp}-{hashlib.sha256(picture.tobytes()).hexdigest()[:16]}"
    st.subheader("Every layer", anchor=False)
    layers: Layers | None = cached_call(ANATOMY, "layers", stamp=stamp, run_id=run_id, picture=picture)
    if layers is None:
        return
    chances = layers[-1]["values"]
    best = int(chances.argmax())
    st.markdown(f"The network says: **{plain(classes[best])}**, {chances[best]:.0%} sure.")
    chosen = _atlas(key, layers)
    st.subheader("Down to the multiply", anchor=False)
    _multiply(run_id, key, stamp, picture, layers, chosen, classes)
    with st.expander("Kernel, stride, padding and dilation", icon=":material/grid_4x4:", on_change="rerun", key=f"window_{key}") as window:
        if window.open:
            simulator()
    st.subheader("What mattered", anchor=False)
    _explained(run_id, key, stamp, picture, classes)
    st.subheader("An attack", anchor=False)
    _attack(run_id, key, stamp, picture, classes)
    if judged:
        st.subheader("Filters switched off", anchor=False)
        _filters_off(judged, run_stamp(judged), layers)


def _chosen(run: store.Run) -> np.ndarray | None:
    """Let the visitor choose the picture to look at.  # (colours, size, size) uint8"""
    data, key = data_of(run.id), run.id[-12:]
    values, labels = data.held_out()
    ways = (["Held out"] if len(values) else []) + ["An example photo", "Your photo"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        way = st.segmented_control("Picture", ways, default=ways[0], required=True, key=f"inside_way_{key}")
        if way == "Held out":
            number = int(st.number_input("Number", 0, len(values) - 1, 0, key=f"inside_{key}", help="Of those held out.", width=130))
        name = ""
        if way == "An example photo":
            name = str(st.segmented_control("Which", list(PHOTOS), default="A cat", required=True, key=f"inside_photo_{key}"))
    if way == "Held out":
        picture = np.asarray(values[number])
        st.image(png(sheet(picture[None], 1), max(1, 96 // data.shape[1])), caption=f"It is: {plain(data.classes[labels[number]])}")
        return picture
    given = {"content": photo(name)} if name else _photo(key)
    if not given:
        return None
    stamp = f"{name or given}-{data.shape}"
    found: np.ndarray | None = cached_call(OWN, "picture", stamp=stamp, size=data.shape[1], colour=data.shape[0] == 3, **given)
    if found is not None:
        st.image(png(sheet(found[None], 1), max(1, 96 // data.shape[1])), caption="As the network gets it")
    return found


def _photo(key: str) -> dict[str, Any]:
    brought = uploader(
        f"inside_{key}", label="A photo", kinds=PHOTO_KINDS, help="PNG, JPEG, WebP or HEIC; its middle is taken.", clean=True
    )
    return {"upload_id": brought[0]} if brought else {}


def _atlas(key: str, layers: Layers) -> tuple[str, int]:
    """All maps and numbers to click; returns the chosen layer, and which of its maps or numbers."""
    names = [layer["name"] for layer in layers if layer["kind"] in OPENED]
    name, number = st.session_state.get(f"chosen_{key}", (names[0], 0))
    if name not in names:
        name, number = names[0], 0

    def chose(layer: str, number: int) -> None:
        if layer in names:
            st.session_state[f"chosen_{key}"] = (layer, number)
            st.session_state[f"layer_{key}"], st.session_state[f"map_{layer}_{key}"] = layer, number

    st.caption(
        "Click a map of a convolution or of pooling, or a number of a linear layer or of softmax, to take it apart further down. Of a "
        "layer with many maps, the first 16 or 32 are drawn; the number of any other can be typed."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = str(st.selectbox("Layer", names, index=names.index(name), key=f"layer_{key}", width=220))
        most = next(layer["shape"][0] for layer in layers if layer["name"] == name) - 1
        number = int(st.number_input("Map or number", 0, most, 0, key=f"map_{name}_{key}", width=120, help=f"0 to {most}."))
    st.session_state[f"chosen_{key}"] = (name, number)
    whole = len(layers) <= 24
    with st.container(height="content" if whole else 520, border=not whole):
        maps.atlas(layers, key=f"atlas_{key}", pick=set(names), chosen=(name, number), chose=chose)
    return name, number


def _multiply(
    run_id: str, key: str, stamp: str, picture: np.ndarray, layers: Layers, chosen: tuple[str, int], classes: tuple[str, ...]
) -> None:
    """The chosen number down to its products: of a map with a window, of a linear layer, or a chance."""
    name, channel = chosen
    kind = next(layer["kind"] for layer in layers if layer["name"] == name)
    if kind == "Softmax" or name == "output":
        _softmax(run_id, stamp, picture, layers, classes, channel)
    elif kind == "Linear":
        _weighed(run_id, stamp, picture, name, channel)
    else:
        _slide(run_id, key, stamp, picture, chosen)
        with st.expander("The last layer, and softmax", icon=":material/functions:", on_change="rerun", key=f"last_{key}") as last:
            if last.open:
                logits = next(layer["values"] for layer in layers if layer["name"] == "output")
                _softmax(run_id, stamp, picture, layers, classes, int(logits.argmax()))
                st.caption("For another class, click its number in output or softmax above.")


def _slide(run_id: str, key: str, stamp: str, picture: np.ndarray, chosen: tuple[str, int]) -> None:
    name, channel = chosen
    depth_key = f"depth_{name}_{key}"
    depth = int(st.session_state.get(depth_key, 0))
    found = cached_call(ANATOMY, "computed", stamp=stamp, run_id=run_id, picture=picture, name=name, channel=channel, depth=depth)
    if found is None:
        return
    maps.window(found, picture, key=f"slide_{key}", place=f"{stamp}-{name}-{channel}-{depth}", name=name, channel=channel)
    if found["depths"] > 1:
        words = "The window goes through all maps of the layer before; the numbers shown are of this one."
        st.slider("Map of the layer before", 0, found["depths"] - 1, key=depth_key, help=words)


def _weighed(run_id: str, stamp: str, picture: np.ndarray, name: str, unit: int) -> None:
    """A number of a linear layer as a sum of products, and what ReLU makes of it."""
    found = cached_call(ANATOMY, "weighed", stamp=stamp, run_id=run_id, picture=picture, name=name, unit=unit)
    if found is None:
        return
    st.caption(
        f"Number {unit} of {name} is the sum of {found['count']:,} products and a bias; these weigh most. It sees the whole picture: that "
        "is its receptive field."
    )
    st.dataframe(pd.DataFrame(found["products"]).style.format(precision=3), hide_index=True, alt="The products that weigh most")
    relu = f" → ReLU = {max(0.0, found['sum']):.3f}" if found["relu"] else ""
    st.caption(f"All products {found['sum'] - found['bias']:.3f} + bias {found['bias']:.3f} = **{found['sum']:.3f}**{relu}")


def _softmax(run_id: str, stamp: str, picture: np.ndarray, layers: Layers, classes: tuple[str, ...], unit: int) -> None:
    """The logit of a class as a sum of products, and the chances as shares of exponentials."""
    logits = next(layer["values"] for layer in layers if layer["name"] == "output").astype(float)
    order = list(np.argsort(-logits)[:10])
    order += [] if unit in order else [unit]
    powers = np.exp(logits - logits.max())
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"Class **{plain(classes[unit])}**")
        _weighed(run_id, stamp, picture, "output", unit)
    with right:
        st.caption("Softmax: exp(logit) over the sum of all.")
        rows = {"class": [classes[n] for n in order], "logit": logits[order], "exp(logit)": np.exp(logits[order])}
        table = pd.DataFrame(rows | {"chance": powers[order] / powers.sum()})
        st.dataframe(table.style.format(precision=3), hide_index=True, alt="Logits, their exponentials and the chances")
        st.caption(f"The sum of all {len(logits):,} is {np.exp(logits).sum():.3f}.")


def _explained(run_id: str, key: str, stamp: str, picture: np.ndarray, classes: tuple[str, ...]) -> None:
    kind = int(
        st.selectbox(
            "For the class",
            range(-1, len(classes)),
            format_func=lambda n: "the one it answers" if n < 0 else classes[n],
            key=f"asked_{key}",
            help="What speaks for another class? Type a part of its name.",
        )
    )
    with st.spinner("Five methods, on the network and on its shuffled copy …", show_time=True):
        found = cached_call(INTERPRET, "explained", stamp=stamp, run_id=run_id, picture=picture, kind=kind, seconds=SLOW)
    if found is None:
        return
    seen = found["picture"]
    st.caption(
        f"For {plain(classes[found['kind']])}, which it gives {found['chances'][found['kind']]:.0%}. Orange speaks for it, blue against it."
    )
    if level(next(iter(found["methods"].values()))["deletion"]):  # the ends are the same for every method
        st.caption(":material/warning: Even an all-grey picture gets this answer, so deletion and insertion tell nothing here.")
    with st.grid(5, min_column_width=150):
        for name, facts in found["methods"].items():
            with st.container(border=True):
                st.image(png(sheet(overlaid(seen, facts["map"])[None], 1), max(1, 150 // seen.shape[1])), caption=name)
                st.caption(MEANINGS[name])
                st.caption(trust(facts["same"], facts["blank"]))
                if name == "Integrated gradients":
                    st.caption(added_up(facts["sum"], found["logit"]))
                drop, rise = float(facts["deletion"].mean()), float(facts["insertion"].mean())
                st.caption(f"Chance by % of pixels. Deletion, blue, {drop:.2f}: low is good. Insertion, orange, {rise:.2f}: high is good.")
                chart = charts.figure(height=120, uirevision=key, hovermode="closest", showlegend=False)
                for curve, color in (("deletion", charts.NETWORK), ("insertion", charts.RIVAL)):
                    charts.add_line(chart, np.linspace(0, 100, len(facts[curve])), facts[curve], curve, color=color)
                charts.axis(chart, "yaxis", range=[0, 1.02])
                live_plot(chart, key=f"curves_{name}_{key}")


def level(curve: np.ndarray) -> bool:
    """Whether a deletion curve ends about where it begins: the grey picture gets nearly the chance of the picture itself."""
    return abs(float(curve[-1] - curve[0])) < FLAT


def added_up(total: float, rise: float) -> str:
    """What integrated gradients add up to beside the rise of the logit, which it would be if they were exact."""
    words = f"It adds up to {total:.1f}; the logit rises by {rise:.1f} from grey to this picture"
    if abs(total - rise) > max(GAP * abs(rise), 0.1):  # 0.1: the last digit that is shown
        return f":material/warning: {words}. The sum misses the rise, so this map is not exact here."
    return f"{words}."


def trust(same: float, blank: bool = False) -> str:
    """What the sanity check says of a map that is `same` like that of shuffled weights; NaN: there is nothing to compare."""
    if blank:
        return ":material/error: This map is blank: it tells nothing."
    if same != same:
        return ":material/help: Not tested: with shuffled weights, the map is blank, so there is nothing to compare."
    lies = same > ALIKE
    words = f"{same:.2f} like the map of shuffled weights (at most {ALIKE:g}){': do not trust it' if lies else ''}"
    return f":material/{'error' if lies else 'check'}: {words}"


def _attack(run_id: str, key: str, stamp: str, picture: np.ndarray, classes: tuple[str, ...]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epsilon = st.slider(
            "Epsilon", 0.0, 0.5, 0.1, 0.01, key=f"epsilon_{key}", help="How far a pixel may move, of a range of 2.", width=300
        )
        kind = st.segmented_control("Attack", ["FGSM", "PGD"], default="FGSM", required=True, key=f"attack_{key}")
    steps = 1 if kind == "FGSM" else 20
    found = cached_call(INTERPRET, "attacked", stamp=stamp, run_id=run_id, picture=picture, epsilon=float(epsilon), steps=steps)
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


def _filters_off(run: store.Run, stamp: str, layers: Layers) -> None:
    names = [layer["name"] for layer in layers if len(layer["shape"]) == 3 and layer["name"] != "input"]
    left, right = st.columns([1, 2], gap="large")
    with left:
        name = str(st.selectbox("Of layer", names, key=f"off_layer_{run.id[-12:]}"))
        count = next(layer["shape"][0] for layer in layers if layer["name"] == name)
        off = st.multiselect("Maps switched off", list(range(count)), default=[0], key=f"off_{name}_{run.id[-12:]}")
    found = cached_call(INTERPRET, "without_filters", stamp=stamp, run_id=run.id, name=name, channels=[int(n) for n in off], seconds=SLOW)
    if found is None:
        return
    with right:
        chart = charts.figure(title="Accuracy by class", height=260, uirevision=run.id)
        for key, title, color in (("whole", "all maps", charts.QUIET), ("without", "without them", charts.RIVAL)):
            chart["data"].append(
                {
                    "type": "bar",
                    "x": [charts.as_text(name) for name in found["classes"]],
                    "y": found[key],
                    "name": title,
                    "marker": {"color": color},
                }
            )
        charts.axis(chart, "xaxis", type="category")
        live_plot(chart, key=f"off_{run.id}")
