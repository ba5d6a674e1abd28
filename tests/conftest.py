"""Fixtures: a folder for runs, an engine, a real server and a real Chromium. Everything talks to loopback only."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser/"
OURS = re.compile(r"(http|ws)://127\.0\.0\.1[:/]|data:|blob:")  # what a page may ask for: everything comes from its own server
ROOT = Path(__file__).resolve().parents[1]
os.environ["STREAMLIT_CLIENT_SHOW_ERROR_DETAILS"] = "full"  # "none", as shipped, hides exceptions from AppTest too
os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: two threads that wait for each other beside a busy neighbour take minutes


class Shares(LoadScopeScheduling):
    """Two processes share the tests file by file; those that drive a browser stay in one."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        return BROWSER if file.startswith(BROWSER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How xdist is to share the tests."""
    return Shares(config, log)


def pytest_collection_modifyitems(items):
    """The journeys in the browser first: they are the longest share, and wait more than they work."""
    items.sort(key=lambda item: not item.nodeid.startswith(BROWSER))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A journey that fails tells what was on the page."""
    report = yield
    if report.failed and "chromium" in item.funcargs:
        from playwright.sync_api import Error

        for tab in [tab for context in item.funcargs["chromium"].contexts for tab in context.pages]:
            try:
                words = tab.locator("body").inner_text(timeout=5000)[-6000:]
            except Error as error:
                words = str(error)
            report.sections.append((f"page {tab.url}", words))
    return report


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    before = os.environ.get("MANABI_RUNS")
    os.environ["MANABI_RUNS"] = str(folder)
    yield folder
    os.environ.pop("MANABI_RUNS") if before is None else os.environ.update(MANABI_RUNS=before)


@pytest.fixture
def fresh_runs(tmp_path, monkeypatch):
    """An empty folder for runs, for this test alone."""
    monkeypatch.setenv("MANABI_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def engine(runs_folder):
    """One engine for all tests that do not break it."""
    from core.runs.engine import Engine

    started = Engine()
    yield started
    started.close()


def wait_for(condition, seconds=60.0):
    """Wait until `condition()` is true and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"still not true after {seconds} s")


@pytest.fixture(scope="session")
def waiting():
    return wait_for


@pytest.fixture(scope="session")
def small():
    """Settings that train in about a second, and the series they fit."""
    from core.forecasting.config import ForecastingConfig
    from core.forecasting.data import builtin

    return ForecastingConfig(window=12, horizon=6, hidden_size=4, steps=30, validate_every=5), builtin("airline")


class Server:
    """`streamlit run app.py` on loopback, as the README says; or another script."""

    def __init__(self, folder: Path, script: str = "app.py", **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.runs = folder / "runs"
        self.log = folder / "server.log"
        command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--server.address", "127.0.0.1", "--server.headless", "true", "--server.fileWatcherType", "none"],
            cwd=ROOT,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "MANABI_RUNS": str(self.runs), "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "none", **environment},
        )

        def up():
            assert self.process.poll() is None, self.log.read_text()
            try:
                return urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).read() == b"ok"
            except OSError:
                return False

        wait_for(up, 30)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture
def server(shared_server):
    """The server that the journeys share; what a journey leaves training is ended, or the next would queue behind it."""
    yield shared_server
    from core.runs import control

    for file in shared_server.runs.glob("*/run.json"):
        if json.loads(file.read_bytes())["status"] in {"queued", "running", "paused"}:
            control.ask(file.parent, state="stopped")


CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a green picture with a clock; nobody is asked


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=[*flags, "--disable-component-update", "--disable-sync", *CAMERA],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(60_000)  # a limit for what hangs; how long it takes is for the benchmarks
    tab.errors = []
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.on("request", lambda request: OURS.match(request.url) or tab.errors.append(f"another machine is asked: {request.url}"))
    yield tab
    context.close()
