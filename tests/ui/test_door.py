"""The door: headers and cookie of each answer, a deep link that calls for the other pages, and what is told of a bug."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ui import door
from ui.session import COOKIE


def ask(path, *, scheme="http", **headers):
    """The headers of the answer to one request through the door, as pairs."""

    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"no-referrer")]})
        await send({"type": "http.response.body", "body": b""})

    told = []

    async def send(message):
        told.extend((name.decode(), value.decode()) for name, value in message.get("headers", []))

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "scheme": scheme, "headers": given, "method": "GET", "query_string": b""}
    with ThreadPoolExecutor(1) as apart:  # beside the loop that drives the browser, where one runs here
        apart.submit(asyncio.run, door.Door(page)(scope, None, send)).result()
    return told


def cookies(*request, **facts):
    return [value for name, value in ask(*request, **facts) if name == "set-cookie"]


def test_every_answer_has_the_headers_and_an_answers_own_win():
    told = dict(ask("/_stcore/health"))
    assert told["x-content-type-options"] == "nosniff" and "object-src 'none'" in told["content-security-policy"]
    assert told["referrer-policy"] == "no-referrer"


def test_a_browser_gets_a_random_id_for_a_year_that_scripts_cant_read():
    first, second = cookies("/"), cookies("/forecasting")
    assert len(first) == len(second) == 1 and first != second
    name, *rules = first[0].split("; ")
    assert name.startswith(f"{COOKIE}=") and len(name) > len(COOKIE) + 30
    assert rules == ["Max-Age=31536000", "Path=/", "HttpOnly", "SameSite=Lax"]
    assert cookies("/", cookie=f"{COOKIE}=known") == []


@pytest.mark.parametrize("facts", [{"scheme": "https"}, {"x_forwarded_proto": "https"}])
def test_behind_https_the_cookie_stays_there(facts):
    assert cookies("/", **facts)[0].endswith("; Secure")


@pytest.mark.parametrize("path", ["/static/a.js", "/_stcore/health", "/media/a.png", "/component/a/b.js"])
def test_what_is_no_page_sets_no_cookie(path):
    assert cookies(path) == []


@pytest.mark.parametrize(
    ("path", "deep"), [("/", False), ("/forecasting", True), ("/gan/", True), ("/static/gan.js", False), ("/base/runs", True)]
)
def test_a_deep_link_calls_for_the_other_pages(monkeypatch, path, deep):
    called = asyncio.Event()
    monkeypatch.setattr(door.Door, "beyond_home", called)
    ask(path)
    assert called.is_set() == deep


def test_without_a_lifespan_a_deep_link_is_answered_all_the_same(monkeypatch):
    monkeypatch.setattr(door.Door, "beyond_home", None)
    assert dict(ask("/forecasting"))["x-content-type-options"] == "nosniff"
