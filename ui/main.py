"""The frame of every page: navigation, device badge, and the page itself."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # AppTest and `streamlit run ui/main.py` start here, not at app.py
    sys.path.insert(0, str(ROOT))

from ui.frame import demo_note, device_badge  # noqa: E402

# an icon of our own: browsers fetch those of the font from its maker
st.set_page_config(page_title="Manabi", page_icon=str(ROOT / "ui" / "icon.svg"), layout="wide")

PAGES = ROOT / "pages"
page = st.navigation(
    {
        "": [st.Page(PAGES / "home.py", title="Home", icon=":material/home:", default=True, help="What Manabi is and what it can do.")],
        "Learn": [
            st.Page(
                PAGES / "forecasting.py",
                title="Forecasting",
                icon=":material/show_chart:",
                help="Train an RNN, LSTM or GRU on a time series of your own and see whether it beats simple forecasts.",
            ),
            st.Page(
                PAGES / "gan.py",
                title="GAN",
                icon=":material/swords:",
                help="Watch a generator and a discriminator fight over points or pictures of your own.",
            ),
            st.Page(
                PAGES / "image.py",
                title="Image",
                icon=":material/image_search:",
                help="Recognise a photo, teach a network your own classes, and see every layer think.",
            ),
            st.Page(
                PAGES / "gridworld.py",
                title="Gridworld",
                icon=":material/route:",
                help="Draw a map, and race every family of reinforcement learning on it against the exact optimum.",
            ),
        ],
        "Yours": [
            st.Page(
                PAGES / "runs.py", title="Runs", icon=":material/experiment:", help="Every run of yours: compare, reopen, download, delete."
            ),
        ],
    }
)
with st.sidebar:
    device_badge()
    demo_note()
page.run()
