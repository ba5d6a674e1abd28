"""Fixtures of the page tests: the app from its frame, and an engine that ends with each module."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def app(runs_folder):
    return AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=90).run()


@pytest.fixture(scope="module", autouse=True)
def end_the_engine():
    yield
    from ui.session import get_engine

    get_engine.clear()
