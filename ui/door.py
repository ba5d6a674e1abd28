"""What the door adds to every request: security headers, the visitor's cookie, and whether the server is ready."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any, ClassVar

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import UserError
from ui.session import COOKIE, get_engine

OTHER_PAGES = {path.stem for path in (Path(__file__).parents[1] / "pages").glob("*.py")} - {"home"}
NO_PAGES = ("/_stcore/", "/static/", "/media/", "/component/")
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
        page = not any(part in scope["path"] for part in NO_PAGES)
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
