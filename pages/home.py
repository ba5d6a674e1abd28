"""What Manabi is: a card per capability with a small live picture of it, and the way in."""

from pathlib import Path

import numpy as np
import streamlit as st

from core.runs import store
from ui.charts import finished
from ui.charts_forecasting import forecast_chart
from ui.forecasting_data import builtin_series
from ui.session import engine_if_started, visitor
from ui.words import plain

st.title("Manabi", icon=":material/neurology:")
st.markdown("##### Bring your own data. Train a network while you watch. See inside it, and whether it was worth it.")

EXAMPLE = "example-forecasting-airline-lstm"
verdict = store.result(EXAMPLE)
data = builtin_series("airline")
with st.container(border=True):
    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    if verdict:
        with left:
            finished(
                lambda: forecast_chart(
                    data.times(),
                    data.values()[:, 0],
                    verdict["origins"][-1],
                    np.array(verdict["forecasts"]["network"])[:, 0],
                    title="Airline passengers, forecast three years ahead",
                ),
                key="home_forecasting",
                stamp=EXAMPLE,
                alt=str(verdict["sentence"]),
            )
    with right:
        st.subheader("Forecasting", anchor=False, icon=":material/show_chart:")
        st.write(
            "An RNN, LSTM or GRU learns your time series in seconds. Follow the numbers through its gates, watch the gradient "
            "vanish, and read whether it beats last year's value."
        )
        if verdict:
            st.caption(f":material/gavel: {verdict['sentence']}")
        st.page_link(Path(__file__).with_name("forecasting.py"), label="Open forecasting", icon=":material/arrow_forward:")

steps = st.columns(3, border=True)
for column, (icon, title, text) in zip(
    steps,
    (
        (
            ":material/upload_file:",
            "Yours",
            "CSV, Excel or Parquet from your own desk. Nothing leaves this server, and every example works without a network.",
        ),
        (
            ":material/visibility:",
            "Open",
            "Pause, step and slow down the training. Every number on the screen comes with the code that made it.",
        ),
        (":material/balance:", "Honest", "A simple forecast competes under the same rules. If it wins, the page says so."),
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
