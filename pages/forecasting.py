"""Forecasting: data, settings, train, use, look inside, how it works."""

import streamlit as st

from core import source
from core.errors import UserError
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import Series
from core.forecasting.parts import check, split
from core.runs import store
from ui import explain, forecasting_inside, forecasting_views
from ui.blocks import run_blocks
from ui.charts_forecasting import series_chart
from ui.config_form import config_form
from ui.forecasting_data import PREFIX, data_block
from ui.live_plot import live_plot
from ui.run_panel import begin_now, run_head, run_panel
from ui.session import current_run, look, show_message, warm_up
from ui.words import say_error

EXAMPLE = "example-forecasting-airline-lstm"
CELLS = ("lstm", "gru", "rnn")
METRICS = source.constant("core.forecasting.train", "METRICS")


def start(series: Series, config: ForecastingConfig, cells: tuple[str, ...]) -> None:
    """Queue a run for each cell and open the first."""
    begin_now(PREFIX, [config.updated({"model": cell}) for cell in cells], series)


def setup(series: Series | None) -> None:
    """Settings, what they mean for the series, and the start buttons. A fragment: a slider reruns this alone."""
    st.header("Settings", divider="gray")
    config = config_form(ForecastingConfig, PREFIX)
    parts: tuple[int, ...] = ()
    fits = False
    if series and config:
        try:
            parts = tuple(split(series.length, config))
            check(config, series)
            fits = True
        except UserError as error:
            say_error(error)
        title = f"{series.name}: learned from, judged by"
        live_plot(series_chart(series.times(), series.values(), series.targets, parts=parts, title=title), key="series")
    st.header("Train", divider="gray")
    with st.container(horizontal=True):
        train = st.button("Train", type="primary", icon=":material/play_arrow:", disabled=not fits)
        race = st.button(
            "Race the three cells",
            icon=":material/flag:",
            disabled=not fits,
            help="Train RNN, LSTM and GRU with these settings from the same seed, one after the other, on one chart.",
        )
    if series and config and train:
        start(series, config, (config.model,))
    if series and config and race:
        start(series, config, (config.model, *(cell for cell in CELLS if cell != config.model)))


st.title("Forecasting", icon=":material/show_chart:")
st.markdown("A recurrent network reads a series step by step, keeps what matters in its hidden state, and forecasts what comes next.")
run = current_run(PREFIX)
warm_up()
show_message()

st.header("Data", divider="gray")
series = data_block()
st.fragment(setup)(series)
if not run:
    st.info(
        "Nothing of yours is open. This is a finished example: an LSTM on the airline passengers, trained with the preset of that name.",
        icon=":material/lightbulb:",
    )
shown = run or store.read(EXAMPLE)
family = [shown] + [look(mate) for mate in shown.mates if store.exists(mate)]
run_head(family, ForecastingConfig, PREFIX, mate_name=lambda mate: str(mate.config["model"]).upper())


def live(current: store.Run, curves: dict) -> None:
    """The live figures of a run, and of its race."""
    forecasting_views.live(current, curves)
    if len(family) > 1:
        forecasting_views.race(family)


run_panel(family, live, key=f"panel_{shown.id[-12:]}")
explain.curves(METRICS)

if shown.result == "ready":
    forecasting_views.verdict(shown)
if shown.settled:
    with st.expander("How the forecast took shape", icon=":material/history:", on_change="rerun") as scrubber:
        if scrubber.open:
            forecasting_views.history(shown)


def inside(current: store.Run) -> None:
    """The signal path, beside those that were trained with it."""
    forecasting_inside.inside(current, [mate for mate in family[1:] if store.checkpoint_step(mate.id)])


def how() -> None:
    """The lesson, and the code that ran."""
    explain.readme("forecasting")
    explain.settings_table(ForecastingConfig)
    explain.show_code("core.forecasting.models", "RecurrentForecaster")
    explain.show_code("core.forecasting.train", "train", label="The training loop that ran")


run_blocks(shown, PREFIX, {"Use": forecasting_views.use, "Look inside": inside}, how)
