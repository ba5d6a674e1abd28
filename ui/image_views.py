"""The blocks of the image page that show a run: live curves, filters and maps; the verdict, what it confuses, its certainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.image.config import HEAD, TUNED, ImageConfig
from core.image.data import Pictures, loyal
from core.runs import store
from core.runs.metrics import Curve
from ui import charts
from ui.config_form import apply
from ui.live_plot import live_plot
from ui.session import cached_call, reader, run_stamp
from ui.sheets import grey, png, sheet, signed, thin
from ui.words import plain

PREDICT, INTERPRET, ANATOMY, OWN = "core.image.predict", "core.image.interpret", "core.image.anatomy", "core.image.own"
PHOTO_KINDS = ["png", "jpg", "jpeg", "webp", "heic", "heif"]
MOST_MAPS = 16  # of a layer, drawn live
ENOUGH = 50  # pictures, to speak of calibration


@st.cache_resource(max_entries=3, show_spinner=False)
def data_of(run_id: str) -> Pictures:
    """The pictures of a run, from its folder."""
    found: Pictures = store.dataset(run_id)
    return found


def suits(config: ImageConfig | None, data: Pictures | None) -> bool:
    """Whether the network is one for these pictures; if not, what would be is offered."""
    if not config or not data:
        return False
    photos = data.shape[1] > 32
    if not photos and config.network != TUNED:
        return True
    if photos and (config.network == HEAD or (config.network == TUNED and data.shape[0] == 3)):
        return True
    words = "photos" if photos else "small pictures"
    st.warning(f"{config.network} is not for {words} of {data.shape[1]}x{data.shape[2]} pixels.", icon=":material/warning:")
    preset = "Your photos" if photos else "Small photos"
    st.button(
        f"Take {ImageConfig.from_preset(preset).network} instead",
        key="image_suit",
        icon=":material/tune:",
        on_click=lambda: apply(ImageConfig, "image", ImageConfig.from_preset(preset)),
    )
    return False


def same_network(run: store.Run, config: ImageConfig, data: Pictures) -> bool:
    """Whether settings ask for the network that a run trained, for pictures as large: its weights could be the beginning."""
    same = (run.config["network"], run.config["width"]) == (config.network, config.width) and data_of(run.id).shape == data.shape
    return same and store.checkpoint_step(run.id) > 0


def mate_name(mate: store.Run, shown: store.Run) -> str:
    """What the button to another run says."""
    return "The run before" if mate.id == shown.config.get("warm") else store.name(mate)


def loyal_to(run: store.Run, data: Pictures) -> Pictures:
    """The pictures, with all that a run has learned from among those to learn from; a built-in dataset is so by itself."""
    return data if data.builtin else loyal(data, data_of(run.id))


def held_out(run_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels to look at: those held out, or all where none were."""
    data = data_of(run_id)
    return data.held_out() if data.train < len(data.values) else (data.values, data.labels)


def live(run: store.Run, curves: dict[str, Curve]) -> None:
    """What is drawn while it trains: loss, accuracy, the filters of the first layer, the maps of one picture."""
    left, right = st.columns(2, gap="large")
    for column, what, title in ((left, "loss", "Loss"), (right, "accuracy", "Accuracy")):
        with column:
            chart = charts.figure(title=title, height=260, uirevision=run.id)
            for part, color in (("train", charts.QUIET), ("val", charts.NETWORK)):
                if f"{part}/{what}" in curves:
                    at, values = charts.thin(curves[f"{part}/{what}"], 300)
                    name = "train: the batch" if part == "train" else "val: held out"
                    charts.add_line(chart, at.astype(np.int32), values, name, color=color)
            live_plot(chart, key=f"{what}_{run.id}")
    steps = store.sample_steps(run.id)
    if not steps:
        st.skeleton(height=200)
        return
    _sample(run, store.sample(run.id, steps[-1]), f"step {steps[-1]:,}")


def _sample(run: store.Run, sample: dict[str, np.ndarray], when: str) -> None:
    """Filters, maps and answers of one moment."""
    if not sample:
        return
    data = data_of(run.id)
    values, labels = held_out(run.id)
    if "filters" in sample:
        left, right = st.columns([1, 3], gap="large")
        with left:
            filters = sample["filters"].astype(np.float32).mean(1)[:64]
            st.image(png(sheet(signed(filters), 8), max(4, 160 // (8 * filters.shape[1]))), caption=f"Filters of the first layer, {when}")
        with right:
            names = sorted(name for name in sample if name.startswith("maps."))[:6]
            with st.grid(max(1, len(names)), min_column_width=90):
                for name in names:
                    maps = sample[name].astype(np.float32)[:MOST_MAPS]
                    st.image(png(sheet(grey(maps), 4), max(1, 120 // (4 * maps.shape[1]))), caption=f"{name[8:]}, of the first picture")
    answers = sample["answers"].astype(np.float32)
    truth = sample.get("truth", labels[: len(answers)]).astype(int)  # older runs did not note it
    rows = [
        {"it is": data.classes[kind], "answer": data.classes[int(chances.argmax())], "sure": float(chances.max())}
        for kind, chances in zip(truth, answers, strict=True)
    ]
    left, right = st.columns([1, 3], gap="large")
    with left:
        if np.array_equal(labels[: len(truth)], truth):  # another copy of the data may have another order
            small = thin(values[: len(truth)], 64)
            st.image(png(sheet(small, 4), max(1, 200 // (4 * small.shape[2]))), caption="The first pictures to judge by")
        else:
            st.caption("The pictures themselves are not on this machine.")
    with right:
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            height=180,
            column_config={"sure": st.column_config.ProgressColumn("sure", min_value=0, max_value=1, format="percent")},
            alt="What the network says of the first held-out pictures",
        )


def preview(data: Pictures, how: str) -> None:
    """Some pictures as they are, and as the network would be shown them."""
    few = thin(data.values[:16], 64)
    shown = cached_call(INTERPRET, "previewed", stamp=f"{data.name}-{how}-{len(data.values)}", values=few, how=how)
    if shown is not None:
        across, zoom = (16, 40 // few.shape[2]) if few.shape[2] <= 32 else (8, 1)
        st.image(png(sheet(few, across), max(1, zoom)), caption="As they are")
        st.image(png(sheet(shown, across), max(1, zoom)), caption="As they are shown in one epoch; in the next, otherwise")


def history(run: store.Run) -> None:
    """A scrubber over the whole training."""
    steps = store.sample_steps(run.id)
    if len(steps) < 2:
        st.caption("As soon as there are two moments, the training can be replayed here.")
        return
    step = st.select_slider("Step", steps, value=steps[-1], key=f"scrub_{run.id}", help="Drag through the whole training.")
    at, values = reader(run.id).read().get("val/accuracy", (np.zeros(0), np.zeros(0)))
    known = values[at <= step]
    judged = f", accuracy on pictures held out {known[-1]:.1%}" if len(known) else ""
    a_round = -(-(data_of(run.id).train - 1) // run.config["batch_size"])  # steps of an epoch: one picture alone is no batch
    st.caption(f"Epoch {step / a_round:.1f}, step {step:,}{judged}" if a_round > 0 else f"Step {step:,}{judged}")
    _sample(run, store.sample(run.id, step), f"step {step:,}")


def verdict(run: store.Run) -> None:
    """The referee's sentence, the rivals, what is confused with what, and how well it knows how sure it may be."""
    result = store.result(run.id)
    if result is None:
        return
    (st.success if result["beats"] else st.warning)(plain(result["sentence"]), icon=":material/gavel:")
    if not result["scores"]:
        return
    there = len(data_of(run.id).held_out()[0])
    if 0 < there != result["held_out"]:
        st.caption(f"{there:,} of the {result['held_out']:,} pictures that it was judged by are here: they are in the cells below.")
    table = pd.DataFrame({result["names"][key]: found for key, found in result["scores"].items()}).T
    bar = st.column_config.ProgressColumn("accuracy", min_value=0, max_value=1, format="percent")
    st.dataframe(table, column_config={"accuracy": bar}, alt="Accuracy of the network and of every simple way")
    learned = result.get("learned_from", {})  # older runs did not note it
    if learned and learned["rivals"] < learned["network"]:
        st.caption(
            f"The simple ways learned from {learned['rivals']:,} of the {learned['network']:,} pictures that the network learned from."
        )
    if not len(data_of(run.id).values):
        st.caption(f"The pictures of {plain(run.data)} are not on this machine, so the pictures behind these figures can't be opened.")
        _table(run, result)
        return
    with st.expander("What it confuses", icon=":material/grid_on:", on_change="rerun") as confusion:
        if confusion.open:
            st.fragment(_confusion)(run, result)
    with st.expander("How sure it may be", icon=":material/target:", on_change="rerun") as sure:
        if sure.open:
            _calibration(run, result)
    with st.expander("Its surest mistakes", icon=":material/report:", on_change="rerun") as wrong:
        if wrong.open:
            _mistakes(run)


def _confusion(run: store.Run, result: dict[str, Any]) -> None:
    classes = list(data_of(run.id).classes)
    st.caption("Rows: what it is. Columns: what the network says. Choose a cell to see the pictures in it.")
    table = _matrix(result, classes)
    chosen = st.dataframe(
        shaded(table),
        key=f"confusion_{run.id[-12:]}",
        on_select="rerun",
        selection_mode="single-cell",
        alt="Confusion matrix on held-out pictures",
    )
    cells = chosen["selection"]["cells"]
    if cells:
        row, name = cells[0]
        said = classes.index(name) if name in classes else 0
        found = cached_call(PREDICT, "confused", stamp=run_stamp(run), run_id=run.id, truth=int(row), said=said)
        if found is not None and len(found["pictures"]):
            shown, count = len(found["pictures"]), found["count"]
            many = f"the surest {shown} of {count:,}" if count > shown else f"{count}, the surest first"
            strip(found["pictures"], f"{plain(classes[row])}, named {plain(classes[said])}: {many}")
        elif found is not None:
            st.caption("No picture lies in this cell.")
    _by_class(result, classes)


def _matrix(result: dict[str, Any], classes: list[str]) -> pd.DataFrame:
    return pd.DataFrame(result["confusion"], index=classes, columns=classes)


def shaded(table: pd.DataFrame) -> Any:
    """A table of counts, each cell the darker the larger its share of the row."""
    share = table.div(table.sum(axis=1).clip(lower=1), axis=0)
    return table.style.apply(lambda _: share.map(lambda part: f"background-color: rgba(46, 134, 222, {0.75 * part:.2f})"), axis=None)


def _by_class(result: dict[str, Any], classes: list[str]) -> None:
    scores = pd.DataFrame({"precision": result["precision"], "recall": result["recall"]}, index=classes)
    st.dataframe(scores.astype(float).style.format("{:.1%}", na_rep="–"), alt="Precision and recall of each class")
    if scores.isna().to_numpy().any():
        st.caption("–: no picture of this class was held out, or none was named so.")


def _table(run: store.Run, result: dict[str, Any]) -> None:
    """What it confuses and how sure it may be, where the pictures are not there."""
    classes = list(data_of(run.id).classes)
    with st.expander("What it confuses", icon=":material/grid_on:"):
        st.caption("Rows: what it is. Columns: what the network says.")
        st.dataframe(shaded(_matrix(result, classes)), alt="Confusion matrix on held-out pictures")
        _by_class(result, classes)
    with st.expander("How sure it may be", icon=":material/target:", on_change="rerun") as sure:
        if sure.open:
            _calibration(run, result)


def strip(pictures: np.ndarray, caption: str) -> None:
    """Pictures side by side, made small."""
    small = thin(pictures, 64)
    st.image(png(sheet(small, 12), max(1, 40 // small.shape[2])), caption=caption)


def _calibration(run: store.Run, result: dict[str, Any]) -> None:
    judged = sum(result["calibration"]["as it is"]["count"])
    if judged < ENOUGH:
        st.caption(f"{judged} pictures are too few to say how sure it may be: at least {ENOUGH} are needed.")
        return
    chart = charts.figure(title="When it says so sure, how often is it right?", height=320, uirevision=run.id)
    charts.axis(chart, "xaxis", title="how sure it says it is")
    charts.axis(chart, "yaxis", title="how often it is right")
    charts.add_line(chart, np.array([0.0, 1.0]), np.array([0.0, 1.0]), "perfect", color=charts.QUIET, dash="dot")
    for (name, found), color in zip(result["calibration"].items(), (charts.RIVAL, charts.NETWORK), strict=False):
        there = np.array(found["count"]) > 0
        x, y = np.array(found["sure"])[there], np.array(found["right"])[there]
        charts.add_line(chart, x, y, f"{name}: off by {100 * found['error']:.1f} %", color=color, mode="lines+markers")
    live_plot(chart, key=f"calibration_{run.id}")
    st.caption(f"The temperature that mends it is {result['temperature']:.2f}: above 1 the network was too sure, below 1 not sure enough.")


def _mistakes(run: store.Run) -> None:
    found = cached_call(PREDICT, "mistakes", stamp=run_stamp(run), run_id=run.id)
    if found is None:
        return
    if not len(found["pictures"]):
        st.caption("It makes none on the pictures held out.")
        return
    classes = data_of(run.id).classes
    if found["count"] > len(found["pictures"]):
        st.caption(f"The {len(found['pictures'])} surest of {found['count']:,}.")
    with st.grid(8, min_column_width=90):
        for picture, sure, said, truth in zip(found["pictures"], found["sure"], found["said"], found["truth"], strict=True):
            st.image(
                png(sheet(picture[None], 1), max(1, 90 // picture.shape[1])),
                caption=f"{plain(classes[said])} {sure:.0%}, is {plain(classes[truth])}",
            )
