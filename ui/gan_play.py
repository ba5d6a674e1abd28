"""Use a GAN: new samples, walks through the noise, arithmetic; and take the role of one of the two."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pandas as pd
import streamlit as st

from core.gan.data import Samples
from core.runs import store
from ui import charts, charts_gan
from ui.explain import safe_csv
from ui.gan_views import samples_of
from ui.live_plot import live_plot
from ui.session import cached_call, call, run_stamp
from ui.sheets import png, sheet

PREDICT = "core.gan.predict"
NEAREST = 32  # samples shown beside their nearest training picture: rows of eight
WALK = 9  # pictures on the way between two samples
GUESSES = 12  # samples in a round of guessing
CANVAS = 340  # pixels a side


def use(run: store.Run) -> None:
    """Make samples and take them away; for pictures also walks, a plane, arithmetic and the memorisation check."""
    data = samples_of(run.id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.number_input("Samples", 1, 2000, 500 if data.points else 64, key=f"count_{run.id}", help="How many to make.")
        seed = st.number_input("Noise seed", 0, 10**6, 0, key=f"noise_{run.id}", help="The same seed gives the same samples.")
        label = _class_choice(run, data, "all in turn")
    answer = cached_call(PREDICT, "sample", stamp=run_stamp(run), run_id=run.id, count=int(count), seed=int(seed), label=label)
    if answer is None:
        return
    if data.points:
        _points(run, data, answer)
    else:
        _pictures(run, data, answer)
        with st.expander("Walk, plane and arithmetic in the noise", icon=":material/explore:", on_change="rerun") as box:
            if box.open:
                _latent(run, data, int(seed), label)
        with st.expander(
            "Did it memorise? Each sample beside its nearest training picture", icon=":material/compare:", on_change="rerun"
        ) as box:
            if box.open:
                _nearest(run, int(seed), label)


def _class_choice(run: store.Run, data: Samples, none: str) -> int | None:
    """Which class to make, for networks that know classes."""
    if not run.config["conditional"] or not data.classes:
        return None
    names = [*([none] if none else []), *data.classes]
    place = st.selectbox("Class", range(len(names)), format_func=names.__getitem__, key=f"class_{bool(none)}_{run.id}")
    return place if not none else place - 1 if place else None


def _points(run: store.Run, data: Samples, answer: dict[str, np.ndarray]) -> None:
    sample = {"fake": answer["values"]}
    chart = charts_gan.cloud_chart(data.values, sample, data.axes(), title="New samples", revision=run.id)
    table = pd.DataFrame({"x": answer["values"][:, 0], "y": answer["values"][:, 1], "D": answer["logits"]})
    if answer["labels"] is not None:
        table["class"] = [data.classes[kind] for kind in answer["labels"]]
    left, right = st.columns([5, 4])
    with left:
        live_plot(chart, key=f"new_{run.id}")
    right.dataframe(table, height=400, hide_index=True, alt="The new samples and what D says of each")
    st.download_button(
        "Samples as CSV", safe_csv(table), f"samples-{run.id[:8]}.csv", "text/csv", icon=":material/download:", on_click="ignore"
    )


def _pictures(run: store.Run, data: Samples, answer: dict[str, np.ndarray]) -> None:
    pictures = answer["values"]
    columns = 16 if len(pictures) > 64 else 8 if len(pictures) > 4 else len(pictures)
    shown = sheet(pictures[:256], columns)
    with st.container(width=min(700, shown.width * charts_gan.ZOOM)):
        st.image(png(shown, charts_gan.ZOOM), caption=f"{min(len(pictures), 256)} new samples", width="stretch")
    with st.container(horizontal=True):
        whole = png(sheet(pictures, 32 if len(pictures) > 256 else columns))
        st.download_button("Sheet as PNG", whole, f"samples-{run.id[:8]}.png", "image/png", icon=":material/download:", on_click="ignore")
        st.download_button(
            "Each as PNG, zipped",
            _zip(pictures, answer["labels"], data.classes),
            f"samples-{run.id[:8]}.zip",
            "application/zip",
            icon=":material/folder_zip:",
            on_click="ignore",
        )


@st.cache_data(max_entries=8, show_spinner=False)
def _zip(pictures: np.ndarray, labels: np.ndarray | None, classes: tuple[str, ...]) -> bytes:
    """One PNG a picture; folders are numbered, since class names are the visitor's."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for n, picture in enumerate(pictures):
            folder = "" if labels is None else f"class-{int(labels[n]):02d}/"
            archive.writestr(f"{folder}{n:05d}.png", png(sheet(picture[None], 1)))
        if labels is not None:
            archive.writestr("classes.txt", "\n".join(f"class-{n:02d}: {name}" for n, name in enumerate(classes)))
    return buffer.getvalue()


def _latent(run: store.Run, data: Samples, seed: int, label: int | None) -> None:
    """Between two samples, over a plane of three, and a - b + c."""

    def mixed(weights: list[list[float]]) -> np.ndarray | None:
        return cached_call(PREDICT, "mix", stamp=run_stamp(run), run_id=run.id, seed=seed, weights=weights, label=label)

    def unit(*places: int) -> list[float]:
        return [float(n in places) for n in range(8)]

    shown = mixed([unit(n) for n in range(8)])
    if shown is None:
        return
    kind = f", each as {data.classes[label or 0]}" if run.config["conditional"] else ""
    st.image(png(sheet(shown, 8), 4), caption=f"Samples 1 to 8 of this seed{kind}")
    normal = run.config["noise"] == "normal"
    with st.container(horizontal=True):
        start = st.selectbox("Walk from", range(1, 9), key=f"from_{run.id}") - 1
        end = st.selectbox("to", range(1, 9), index=1, key=f"to_{run.id}") - 1
    weights = []
    for share in np.linspace(0, 1, WALK):
        a, b = (np.cos(share * np.pi / 2), np.sin(share * np.pi / 2)) if normal else (1 - share, share)
        weights.append([float(a * (n == start) + b * (n == end)) if start != end else float(n == start) for n in range(8)])
    walk = mixed(weights)
    if walk is not None:
        st.image(png(sheet(walk, WALK), 4), caption=f"The way from {start + 1} to {end + 1}, in equal steps")
    left, right = st.columns([1, 3], vertical_alignment="center")
    with right:
        across = st.slider("Along sample 2", -1.5, 1.5, 0.0, 0.05, key=f"across_{run.id}", help="How much of sample 2's noise is mixed in.")
        up = st.slider("Along sample 3", -1.5, 1.5, 0.0, 0.05, key=f"up_{run.id}", help="How much of sample 3's noise is mixed in.")
    plane = mixed([[1.0, across, up, 0, 0, 0, 0, 0]])
    if plane is not None:
        left.image(png(sheet(plane, 1), 6), caption="Sample 1 + both")
    with st.container(horizontal=True):
        a, b, c = (
            st.selectbox(f"{sign} sample", range(1, 9), index=place, key=f"sum{place}_{run.id}") - 1
            for place, sign in enumerate(("Take", "minus", "plus"))
        )
    total = [float((n == a) - (n == b) + (n == c)) for n in range(8)]
    sums = mixed([unit(a), unit(b), unit(c), total])
    if sums is not None:
        st.image(png(sheet(sums, 4), 4), caption=f"{a + 1}, {b + 1}, {c + 1}, and {a + 1} - {b + 1} + {c + 1}")


def _nearest(run: store.Run, seed: int, label: int | None) -> None:
    found = cached_call(PREDICT, "nearest", stamp=run_stamp(run), run_id=run.id, seed=seed, count=NEAREST, label=label)
    if found is None:
        return
    rows = [found[name].reshape(-1, 8, *found[name].shape[1:]) for name in ("pictures", "neighbours")]
    both = np.stack(rows, 1).reshape(-1, *found["pictures"].shape[1:])  # a row of samples, then a row of their neighbours
    st.image(
        png(sheet(both, 8), 4),
        caption="In turn: a row of samples, and below the nearest pictures that were learned from.",
    )
    mine, usual = float(np.median(found["distance"])), float(found["usual"])
    if np.isfinite(usual):
        word = "closer than" if mine < 0.7 * usual else "about as far as" if mine < 1.3 * usual else "farther than"
        st.caption(
            f"Median pixel distance {mine:.3f}, {word} held-out real pictures are from theirs ({usual:.3f}). "
            "A generator that copies would be far closer."
        )


# roles


def roles(run: store.Run) -> None:
    """Be the discriminator, or be the generator."""
    data = samples_of(run.id)
    names = ["Be the discriminator", *(["Be the generator"] if data.points else [])]
    role = st.segmented_control("Role", names, default=names[0], required=True, key=f"role_{run.id}", label_visibility="collapsed")
    if role == "Be the generator":
        _generator(run, data)
    else:
        _discriminator(run, data)


def _discriminator(run: store.Run, data: Samples) -> None:
    """Guess which samples are real; D guesses too."""
    turn = st.session_state.setdefault(f"quiz_{run.id}", 0)
    quiz = cached_call(PREDICT, "quiz", stamp=run_stamp(run), run_id=run.id, count=GUESSES, seed=int(turn))
    if quiz is None:
        return
    st.caption("Half of them are real, half were made by G. Mark the ones you take for real.")
    numbers = [str(n + 1) for n in range(len(quiz["values"]))]
    if data.points:
        chart = charts.figure(height=420, hovermode="closest", showlegend=False)
        marks = {"mode": "markers+text", "text": numbers, "textposition": "top center"}
        chart["data"].append(charts_gan.dots(data.values[: data.train][:600], "real", charts.QUIET, size=3, hoverinfo="skip"))
        chart["data"].append(charts_gan.dots(quiz["values"], "?", charts.RIVAL, size=11, hoverinfo="text") | {"type": "scatter", **marks})
        live_plot(chart, key=f"guess_{run.id}")
    else:
        st.image(png(sheet(quiz["values"], 6, gap=2), 5), caption="1 to 6 above, 7 to 12 below")
    guessed = st.pills("Real", numbers, selection_mode="multi", key=f"marks_{run.id}_{turn}", help="Mark those you take for real.")
    done = f"done_{run.id}_{turn}"
    with st.container(horizontal=True):
        if st.button("Judge me", type="primary", icon=":material/gavel:", key=f"judge_{run.id}_{turn}"):
            st.session_state[done] = True
        if st.button("Another round", icon=":material/refresh:", key=f"again_{run.id}"):
            st.session_state[f"quiz_{run.id}"] = turn + 1
            st.rerun(scope="fragment")
    if st.session_state.get(done):
        real = quiz["real"]
        mine = np.array([number in (guessed or []) for number in numbers])
        theirs = quiz["logits"] >= np.sort(quiz["logits"])[::-1][max(0, int(real.sum()) - 1)]  # D takes its surest half
        right, other = int((mine == real).sum()), int((theirs == real).sum())
        word = "You see more than D." if right > other else "D sees more than you." if right < other else "You and D are even."
        st.info(f"You are right about {right} of {len(real)}, D about {other}. {word}", icon=":material/scoreboard:")
        st.caption("Real: " + ", ".join(number for number, is_real in zip(numbers, real, strict=True) if is_real))


def _generator(run: store.Run, data: Samples) -> None:
    """Place points and hear what D says."""
    x, y = data.axes()
    label = _class_choice(run, data, "") or 0
    view = cached_call("core.gan.interpret", "surface", stamp=run_stamp(run), run_id=run.id, label=label)
    if view is None:
        return
    st.caption("Fool D: click where you would put samples, or type a place. D's view stays hidden until you ask for it.")
    places = st.session_state.setdefault(f"places_{run.id}", [])
    left, right = st.columns([3, 2])
    with left:
        clicked = _clicks(run, data, x, y)
    with right:
        across = st.number_input("x", float(x[0]), float(x[-1]), float(x[len(x) // 2]), key=f"px_{run.id}", format="%.3f")
        up = st.number_input("y", float(y[0]), float(y[-1]), float(y[len(y) // 2]), key=f"py_{run.id}", format="%.3f")
        with st.container(horizontal=True):
            if st.button("Place", icon=":material/add_location:", key=f"place_{run.id}"):
                places.append([across, up])
            if st.button("Clear typed", icon=":material/delete:", key=f"clear_{run.id}"):
                places.clear()
        shown = st.toggle("Show D's view", key=f"view_{run.id}")
    points = [*clicked, *places]
    if not points:
        return
    logits = call(PREDICT, "opinion", run_id=run.id, values=points, label=label)
    if logits is None:
        return
    known = data.values[: data.train]
    if run.config["conditional"] and data.labels is not None:
        known = known[data.labels[: data.train] == label]
    real = cached_call(PREDICT, "opinion", stamp=run_stamp(run), run_id=run.id, values=known[:500].tolist(), label=label)
    low = float(np.percentile(real, 10)) if real is not None else 0.0
    fooled = int((logits >= low).sum())
    with right:
        st.metric(
            "Points that fool D", f"{fooled} of {len(points)}", help="D gives them more than it gives the worst tenth of real samples."
        )
    if shown:
        chart = charts.figure(title="What D thinks", height=420, hovermode="closest")
        chart["data"] += [charts_gan.surface(view["logits"], x, y), charts_gan.dots(np.array(points), "yours", charts.RIVAL, size=9)]
        live_plot(chart, key=f"fooled_{run.id}")


def _clicks(run: store.Run, data: Samples, x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Points placed on a canvas over the real samples, in the data's units."""
    from streamlit_drawable_canvas import st_canvas

    size = CANVAS
    drawing = st_canvas(
        drawing_mode="point",
        point_display_radius=4,
        stroke_color=charts.RIVAL,
        fill_color=charts.RIVAL,
        stroke_width=1,
        background_image=_ground(data, x, y, size),
        height=size,
        width=size,
        key=f"points_{run.id}",
    )
    found = []
    for thing in (drawing.json_data or {}).get("objects", []):
        if thing.get("type", "").lower() == "circle":
            radius = float(thing.get("radius", 4))
            left = float(thing["left"]) + (radius if thing.get("originX", "left") == "left" else 0)
            top = float(thing["top"]) + (radius if thing.get("originY", "top") == "top" else 0)
            found.append([float(x[0] + left / size * (x[-1] - x[0])), float(y[-1] - top / size * (y[-1] - y[0]))])
    return found[:500]


def _ground(data: Samples, x: np.ndarray, y: np.ndarray, size: int) -> bytes:
    """The real samples as a faint picture to draw on."""
    from PIL import Image

    shown = data.values[: data.train][:3000]
    column = ((shown[:, 0] - x[0]) / (x[-1] - x[0]) * (size - 1)).astype(int)
    row = ((y[-1] - shown[:, 1]) / (y[-1] - y[0]) * (size - 1)).astype(int)
    paper = np.full((size, size, 3), 255, np.uint8)
    paper[row.clip(0, size - 1), column.clip(0, size - 1)] = (170, 178, 190)
    return png(Image.fromarray(paper))
