"""What Manabi is: a card per capability with a small live picture of it, and the way in."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import streamlit as st

from core.gridworld.env import world_of
from core.runs import store
from ui import board
from ui.charts import Chart, axis
from ui.charts_forecasting import forecast_chart
from ui.charts_gan import cloud_chart
from ui.live_plot import live_plot
from ui.session import engine_if_started, visitor
from ui.sheets import film, grey, png, sheet
from ui.words import plain

st.title("Manabi", icon=":material/neurology:")
st.markdown("##### Bring your own data. Train a network while you watch. See inside it, and whether it was worth it.")

PAGES = Path(__file__).parent
PASSENGERS = PAGES.parent / "core" / "forecasting" / "builtin" / "airline.csv"  # read without pandas, which a cold server has not yet
MOMENTS = 8  # of a training that are played
LITTLE_MOTION = """<style>
.film { margin: 0; text-align: center; }
.film img { width: 100%; max-width: 258px; border-radius: 8px; image-rendering: pixelated; }
.film figcaption { font-size: 0.875rem; opacity: 0.6; }
.film .still { display: none; }
@media (prefers-reduced-motion: reduce) { .film .moving { display: none; } .film .still { display: inline; } }
</style>"""


def card(capability: str, title: str, icon: str, text: str, sentence: str, draw: Callable[[], None]) -> None:
    """A capability: a small real picture, what it does, the verdict of an example, and the way in."""
    with st.container(border=True):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
        with left:
            draw()
        with right:
            st.subheader(title, anchor=False, icon=icon)
            st.write(text)
            st.caption(f":material/gavel: {sentence}")
            st.page_link(PAGES / f"{capability}.py", label=f"Open {title}", icon=":material/arrow_forward:")


def moments(example: str) -> list[tuple[int, dict[str, np.ndarray]]]:
    """Some moments of an example's training: its step, and what was kept of it."""
    steps = store.sample_steps(example)
    return [(steps[n], store.sample(example, steps[n])) for n in sorted({round(n) for n in np.linspace(0, len(steps) - 1, MOMENTS)})]


@st.cache_data(show_spinner=False)
def forecasts(example: str) -> list[Chart]:
    """How an LSTM learns to forecast the validation part, and at last what it forecasts of the test part."""
    months, passengers = zip(*(line.split(",") for line in PASSENGERS.read_text().split()[1:]), strict=True)
    values = np.array(passengers, np.float64)

    def chart(begin: int, forecast: np.ndarray, title: str) -> Chart:
        made = forecast_chart(months, values, begin, forecast, title=title, before=72, revision="home")
        axis(made, "yaxis", range=[0, 1.25 * float(values.max())])
        return made

    known = [(step, sample) for step, sample in moments(example) if not sample["refit"].any()]
    learning = [chart(int(sample["origin"][0]), sample["forecast"][:, 0], f"Learning: step {step}") for step, sample in known]
    forecast = np.array(airline["forecasts"]["network"])[:, 0]
    return [*learning, chart(airline["origins"][-1], forecast, "Airline passengers, forecast three years ahead")]


@st.cache_data(show_spinner=False)
def clouds(example: str) -> list[Chart]:
    """How a generator spreads its samples over eight clusters, and what the discriminator thinks of them."""
    data, title = store.dataset(example), "Eight clusters, made out of noise: round"
    real, axes = data.values[: data.train], data.axes()
    return [cloud_chart(real, sample, axes, title=f"{title} {step:,}", revision="home") for step, sample in moments(example)]


def forecasting() -> None:
    """An LSTM that learns to forecast the airline passengers."""
    *learning, end = forecasts("example-forecasting-airline-lstm")
    live_plot(end, key="home_forecasting", before=learning)


def gan() -> None:
    """A generator that learns eight clusters."""
    *learning, end = clouds("example-gan-ring8")
    live_plot(end, key="home_gan", before=learning)


@st.cache_data(show_spinner=False)
def maps_of(example: str, layer: str) -> tuple[str, str]:
    """Nine maps of a layer while it learns: as a film and as its last picture, both in base64."""
    sheets = [sheet(grey(sample[layer].astype(np.float32)[:9]), 3) for _, sample in moments(example)]
    return b64encode(film(sheets)).decode(), b64encode(png(sheets[-1])).decode()


def image() -> None:
    """What a small network sees in a shoe, layer by layer, while it learns."""
    layers = {"maps.00.conv1": "the first layer: edges", "maps.03.pool1": "further in: parts", "maps.07.conv4": "near the end: the gist"}
    for column, (layer, caption) in zip(st.columns(len(layers)), layers.items(), strict=True):
        moving, still = maps_of("example-image-fashion", layer)
        alt = f"Nine maps of a shoe, {caption}"
        column.html(
            f'{LITTLE_MOTION}<figure class="film"><img class="moving" src="data:image/gif;base64,{moving}" alt="{alt}">'
            f'<img class="still" src="data:image/png;base64,{still}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'
        )


def gridworld() -> None:
    """What Q-learning found out about the frozen lake, and its way across."""
    run = store.read("example-gridworld-frozenlake")
    task, sample = store.dataset(run.id), store.sample(run.id, store.sample_steps(run.id)[-1])
    world = world_of(task.map)
    shown = board.view(world, values=sample["q"].max(-1).astype(np.float64), greedy=sample["greedy"])
    trail = [int(state) for state in sample["trail"]]
    board.board(shown, key="home_gridworld", path=trail, walk="home", pace=300)


airline, ring = store.result("example-forecasting-airline-lstm") or {}, store.result("example-gan-ring8") or {}
lake, clothes = store.result("example-gridworld-frozenlake") or {}, store.result("example-image-fashion") or {}
card(
    "forecasting",
    "Forecasting",
    ":material/show_chart:",
    "An RNN, LSTM or GRU learns your time series in seconds. Follow the numbers through its gates, watch the gradient "
    "vanish, and read whether it beats last year's value.",
    str(airline["sentence"]),
    forecasting,
)
card(
    "gan",
    "GAN",
    ":material/swords:",
    "A generator and a discriminator fight over points or pictures of yours. Go through one update part by part, watch a "
    "collapse and heal it, and read in numbers how good the samples are.",
    str(ring["sentence"]),
    gan,
)
card(
    "image",
    "Image",
    ":material/image_search:",
    "Recognise a photo at once. Teach a network classes of your own, follow one number down to the multiply, and learn which "
    "explanations of its answers can be trusted.",
    str(clothes["sentence"]),
    image,
)
card(
    "gridworld",
    "Gridworld",
    ":material/route:",
    "Draw a map and let sixteen methods learn it, from value iteration to DQN. Ask an arrow why it points there, change the map "
    "under the agent's feet, play against it, and see how far everyone is from the exact optimum.",
    str(lake["sentence"]),
    gridworld,
)

steps = st.columns(3, border=True)
for column, (icon, title, text) in zip(
    steps,
    (
        (
            ":material/upload_file:",
            "Yours",
            "Tables, pictures or a drawing of your own. Nothing leaves this server, and every example works without a network.",
        ),
        (
            ":material/visibility:",
            "Open",
            "Pause, step and slow down the training. Every number on the screen comes with the code that made it.",
        ),
        (":material/balance:", "Honest", "A simple method competes under the same rules. If it wins, the page says so."),
    ),
    strict=True,
):
    column.markdown(f"**{icon} {title}**")
    column.write(text)

mine = store.of(visitor())[:3]
if mine:
    st.subheader("Where you left off", anchor=False)
    engine = engine_if_started()
    for run in (engine.look(run.id) if engine else run for run in mine):
        st.page_link(
            Path(__file__).with_name(f"{run.capability}.py"),
            label=f"{plain(store.name(run))} · {run.status}",
            icon=":material/experiment:",
            query_params={f"{run.capability}_run": run.id},
        )
