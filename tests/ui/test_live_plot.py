"""What a live plot sends to the browser."""

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest
from plotly.io.json import to_json_plotly

from ui.live_plot import encoded

DAYS = pd.date_range("2020", periods=3, freq="D")


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.arange(9, dtype=np.uint8)[::2],
        np.array([True, False]),
        np.array(["a", "b"]),
        np.array([1.0, np.nan, np.inf]),
        np.array([None, 2.5], object),
        DAYS,
        DAYS[np.array([0, 2])],
        DAYS.tz_localize("Europe/Berlin"),
        pd.RangeIndex(3),
        pd.Index(["x", "y"]),
        pd.Timestamp("2020-01-02 03:04"),
        pd.NaT,
        np.int64(3),
        float("nan"),
        {1: [None, "two"]},
    ],
    ids=repr,
)
def test_a_chart_is_encoded_as_plotly_would(value):
    assert json.loads(encoded([{"data": [value]}])) == json.loads(to_json_plotly([{"data": [value]}], engine="json"))


def test_numbers_in_single_precision_are_sent_in_single_precision():
    assert encoded([{"y": np.array([0.1, 0.2], np.float32)}]) == b'[{"y":[0.1,0.2]}]'


def test_a_chart_is_drawn_while_another_thread_imports_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", types.ModuleType("pandas"))  # begun, nothing in it yet
    assert encoded([{"x": ["1949-01"], "y": np.ones((2, 2)).T}]) == b'[{"x":["1949-01"],"y":[[1.0,1.0],[1.0,1.0]]}]'
