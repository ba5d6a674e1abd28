"""The door: `streamlit run app.py` or `uvicorn app:app`. Starts and ends the engine with the server.

The pages are reached through `ui/main.py`. They must not lie beside the script that Streamlit runs, or a deep
link that is the first request of a server would run its page without the frame.
"""

import asyncio
import importlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import log
from core.errors import UserError
from ui.frame import script_error
from ui.session import COOKIE, get_engine

FIRST_PAGE = 2.0  # s: on two cores, what is not needed for it would double its time
OTHER_PAGES = {path.stem for path in Path(__file__).with_name("pages").glob("*.py")} - {"home"}
YEAR = 365 * 24 * 3600  # s
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # run ids are in the address: they must not leak to other sites
    "Permissions-Policy": "geolocation=(), payment=(), usb=()",
    "Content-Security-Policy": "object-src 'none'; base-uri 'self'",
}


class Door:
    """Security headers on every response, and a random visitor id where the browser has none."""

    beyond_home: ClassVar[asyncio.Event | None] = None  # somebody has asked for another page than the home page

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; add to its response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        page = not any(part in scope["path"] for part in ("/_stcore/", "/static/", "/media/", "/component/"))
        if self.beyond_home and scope["path"].rstrip("/").rsplit("/", 1)[-1] in OTHER_PAGES:
            self.beyond_home.set()
        secure = "; Secure" if request.headers.get("x-forwarded-proto", scope["scheme"]) == "https" else ""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if page and COOKIE not in request.cookies:
                    value = f"{COOKIE}={secrets.token_urlsafe(24)}; Max-Age={YEAR}; Path=/; HttpOnly; SameSite=Lax{secure}"
                    headers.append("Set-Cookie", value)
            await send(message)

        await self.app(scope, receive, answer)


async def ready(request: Any) -> JSONResponse:
    """200 once trainings can start, 503 before and if the engine can't be reached."""
    try:
        engine = await asyncio.to_thread(get_engine)
    except UserError as error:
        return JSONResponse({"ready": False, "why": str(error)}, 503)
    return JSONResponse({"ready": engine.alive()}, 200 if engine.alive() else 503)


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
