"""The door: `streamlit run app.py` or `uvicorn app:app`. Starts and ends the engine with the server.

The pages are reached through `ui/main.py`. They must not lie beside the script that Streamlit runs, or a deep
link that is the first request of a server would run its page without the frame.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route

from core import log
from ui.door import Door, ready
from ui.frame import script_error
from ui.session import get_engine

FIRST_PAGE = 2.0  # s: on two cores, what is not needed for it would double its time


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """The engine starts in the background, once the first visitor may have been served, and ends with the server."""
    log.mute("streamlit.error_util")  # it logs what `script_error` is told, with its message
    log.event("server_started")
    beyond_home = Door.beyond_home = asyncio.Event()

    async def start() -> None:
        for module in ("ui.board", "ui.charts_forecasting", "ui.charts_gan", "ui.live_plot", "ui.sheets"):  # the home page's
            await asyncio.to_thread(importlib.import_module, module)
        with suppress(TimeoutError):
            await asyncio.wait_for(beyond_home.wait(), FIRST_PAGE)
        for module in ("ui.forecasting_data", "ui.gan_views", "ui.gridworld_play", "ui.image_inside"):  # the other pages'
            await asyncio.to_thread(importlib.import_module, module)
        await asyncio.sleep(FIRST_PAGE if beyond_home.is_set() else 0)
        await ready(None)

    starting = asyncio.create_task(start())
    yield
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await asyncio.to_thread(get_engine.clear)
    log.event("server_ended")


app = st.App(
    Path(__file__).parent / "ui" / "main.py",
    lifespan=lifespan,
    routes=[Route("/readyz", ready)],
    middleware=[Middleware(Door)],
    on_script_error=script_error,
)
