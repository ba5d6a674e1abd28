"""The pages in a real Chromium.

    python -m benchmarks.pages [--json]

`first_page_s` is the median of `--runs` fresh servers and browser contexts; a rerun is timed in the browser, from the
key press until the last thing that its script sent has been drawn. The watching sessions speak the browser's protocol without
drawing: twenty Chromiums would measure this machine's drawing, which in life is done by the visitors' machines.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import websockets
from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.proto.AutoRerun_pb2 import AutoRerun
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.report import Figure, main
from tests.conftest import Server

FIGURES = {
    "first_page_s": Figure("starting the server until its first page is readable in a cold browser", "s", 2),
    "first_page_bare_s": Figure("the same for an app of one heading and one slider, in turns with it", "s"),
    "rerun_p50_ms": Figure("a slider's rerun while a training runs, median", "ms", 120),
    "rerun_bare_p50_ms": Figure("the same of that app's slider, while the same training runs, median", "ms"),
    "rerun_p95_ms": Figure("a slider's rerun while a training runs, 95th percentile", "ms", 300),
    "rerun_unfolded_p50_ms": Figure("a slider's rerun while a training runs, all settings unfolded, median", "ms"),
    "watch_lag_p95_s": Figure("20 sessions each watching a run: from the beat of an update to its end, 95th percentile", "s", 1),
}
SESSIONS = 20
WATCH_SECONDS = 20
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
RECORD = """() => {  // what goes over the wire, when, and when it had been drawn
  window.wire = [];
  addEventListener('keydown', () => window.wire.push({kind: 'key', at: performance.now()}), {capture: true});
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    constructor(...options) {
      super(...options);
      this.addEventListener('message', event => {
        const entry = {kind: 'got', at: performance.now(), data: event.data};
        window.wire.push(entry);
        requestAnimationFrame(() => setTimeout(() => { entry.at = performance.now(); }));
      });
    }
    send(data) { window.wire.push({kind: 'sent', at: performance.now(), data}); super.send(data); }
  };
}"""
READ = """() => Promise.all(window.wire.splice(0).map(async ({kind, at, data}) => {
  const bytes = data ? new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data) : [];
  return [kind, at, Array.from(bytes, byte => String.fromCharCode(byte)).join('')];
}))"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        yield browser
        browser.close()


def bare_server(folder: Path) -> Server:
    """An app of one heading and one slider: what Streamlit itself takes."""
    (folder / "bare.py").write_text("import streamlit as st\n\nst.title('Manabi')\nst.slider('Horizon', 1, 60, 12)\n")
    return Server(folder, str(folder / "bare.py"))


def first_page(browser: Browser, *, bare: bool = False) -> float:
    """Seconds from starting a server to its readable home page, or to the bare app's."""
    with tempfile.TemporaryDirectory() as folder:
        context = browser.new_context()
        page = context.new_page()
        began = time.perf_counter()
        server = bare_server(Path(folder)) if bare else Server(Path(folder))
        page.goto(server.url, wait_until="commit")
        page.get_by_role("heading", name="Manabi").wait_for()
        seconds = time.perf_counter() - began
        context.close()
        server.stop()
    return seconds


def start_training(page: Page, url: str) -> str:
    """Open the page, start a long training, put the settings back to their defaults, and return the run's link."""
    large = "forecasting_hidden_size=256&forecasting_layers=3"  # some minutes of training
    page.goto(f"{url}/forecasting?forecasting_steps=20000&forecasting_patience=1000&forecasting_validate_every=500&{large}")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**forecasting_run=*")
    page.get_by_text("Step ", exact=False).first.wait_for()
    page.get_by_role("button", name="Reset", exact=True).click()
    page.wait_for_url(lambda url: "forecasting_steps" not in url)
    return page.url


def reruns(page: Page, count: int) -> list[float]:
    """Milliseconds from a key press on a slider until all that its rerun sent has been drawn."""
    page.wait_for_timeout(2000)
    slider = page.get_by_role("slider").first  # the horizon
    slider.focus()
    times: list[float] = []
    for turn in range(count):
        page.evaluate("() => { window.wire.length = 0; }")
        page.keyboard.press("ArrowRight" if turn % 2 == 0 else "ArrowLeft")
        page.wait_for_timeout(900 + 100 * random.random())  # not in step with the live fragment's beat
        times.append(rerun_time(page.evaluate(READ)))
    return times


def rerun_time(wire: list[tuple[str, float, str]]) -> float:
    """Milliseconds from the key to the end of the run that it asked for, the live fragment's own runs left out."""
    pressed, fragment, ours = 0.0, None, False
    for kind, at, text in wire:
        if kind == "key":
            pressed = at
        elif kind == "sent":
            asked = BackMsg.FromString(text.encode("latin-1"))
            if pressed and asked.HasField("rerun_script") and not asked.rerun_script.is_auto_rerun:
                fragment = asked.rerun_script.fragment_id
        elif fragment is not None:
            got = ForwardMsg.FromString(text.encode("latin-1"))
            ours = ours or (got.HasField("delta") and got.delta.fragment_id == fragment)
            if ours and got.WhichOneof("type") == "script_finished" and got.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return at - pressed
    raise RuntimeError("The key's rerun was not seen")


async def watch(url: str, query: str, seconds: float, lags: list[float]) -> None:
    """One session on the wire, as a browser holds it: it asks for its live fragment on each beat.

    A lag is the time from asking to the end of what is sent. The drawing is the visitor's machine's business.
    """
    address = url.replace("http", "ws") + "/_stcore/stream"
    async with websockets.connect(address, subprotocols=[websockets.Subprotocol("streamlit")], max_size=None) as socket:
        state = ClientState(query_string=query, page_name="forecasting")
        await socket.send(BackMsg(rerun_script=state).SerializeToString())
        beat: AutoRerun | None = None
        while True:
            message = ForwardMsg.FromString(bytes(await socket.recv(decode=False)))
            if message.WhichOneof("type") == "auto_rerun":
                beat = message.auto_rerun
            if message.WhichOneof("type") == "script_finished" and beat:
                break
        end = time.perf_counter() + seconds
        await asyncio.sleep(beat.interval * random.random())  # visitors don't arrive in step
        while time.perf_counter() < end:
            asked = time.perf_counter()
            again = ClientState(query_string=query, fragment_id=beat.fragment_id, is_auto_rerun=True)
            await socket.send(BackMsg(rerun_script=again).SerializeToString())
            while ForwardMsg.FromString(bytes(await socket.recv(decode=False))).WhichOneof("type") != "script_finished":
                continue
            lags.append(time.perf_counter() - asked)
            await asyncio.sleep(max(0.0, beat.interval - (time.perf_counter() - asked)))


def watch_lags(link: str) -> list[float]:
    """Seconds from asking for an update to having it, for all sessions together."""
    url, _, query = link.replace("/forecasting", "").partition("?")
    lags: list[float] = []

    async def everybody() -> None:
        await asyncio.gather(*(watch(url, query, WATCH_SECONDS, lags) for _ in range(SESSIONS)))

    with ThreadPoolExecutor(1) as beside:  # Playwright has an event loop of its own in this thread
        beside.submit(asyncio.run, everybody()).result()
    return lags


def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures."""
    with chromium() as browser:
        times = [(first_page(browser), first_page(browser, bare=True)) for _ in range(options.runs)]
        found = {
            "first_page_s": statistics.median(ours for ours, _ in times),
            "first_page_bare_s": statistics.median(bare for _, bare in times),
        }
        with tempfile.TemporaryDirectory() as folder:
            server, bare = Server(Path(folder)), bare_server(Path(folder))
            try:
                page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                page.add_init_script(f"({RECORD})()")
                link = start_training(page, server.url)
                reruns_ms = reruns(page, 12 * options.runs)
                found["rerun_p50_ms"] = statistics.median(reruns_ms)
                found["rerun_p95_ms"] = statistics.quantiles(reruns_ms, n=20)[-1]
                page.get_by_text("Advanced settings").click()
                found["rerun_unfolded_p50_ms"] = statistics.median(reruns(page, 6 * options.runs))
                page.goto(bare.url)
                found["rerun_bare_p50_ms"] = statistics.median(reruns(page, 6 * options.runs))
                page.context.close()
                found["watch_lag_p95_s"] = statistics.quantiles(watch_lags(link), n=20)[-1]
            finally:
                server.stop()
                bare.stop()
    return found


if __name__ == "__main__":
    main("The pages in a real Chromium", FIGURES, measure)
