"""The time that a run has left, as the panel tells it."""

import pytest

from core.runs import store
from ui import run_panel


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(run_panel.time, "time", lambda: now[0])
    monkeypatch.setattr(run_panel.st, "session_state", {})
    return now


def told(clock, run, steps, seconds=1.0):
    said = ""
    for step in steps:
        clock[0] += seconds
        said = run_panel._time_left(run, step)
    return said


@pytest.fixture
def running():
    return store.read("example-forecasting-airline-lstm").model_copy(update={"status": "running", "total": 1000})


def test_the_time_left_follows_the_speed_of_the_last_seconds(clock, running):
    assert told(clock, running, [10]) == told(clock, running, [20]) == ""
    assert told(clock, running, range(30, 210, 10)) == " · about 80 s left"  # 800 steps at 10 a second
    assert told(clock, running, range(202, 240, 2)) == " · about 6 min left"  # slow motion: 762 steps at 2 a second


def test_steps_that_take_long_are_told_of_steadily(clock, running):
    told(clock, running, [10] * 30)
    told(clock, running, [11] * 30)
    said = {told(clock, running, [12 + second // 30]) for second in range(180)}
    assert len(said) <= 7 and all("min left" in words and 480 < int(words.split()[2]) < 500 for words in said - {""})


def test_a_pause_is_no_part_of_the_speed(clock, running):
    told(clock, running, range(10, 110, 10))
    assert told(clock, running.model_copy(update={"status": "paused"}), [100] * 500) == ""
    assert told(clock, running, [100]) == ""
    assert told(clock, running, range(110, 200, 10)) == " · about 81 s left"


def test_a_run_that_stands_still_promises_nothing(clock, running):
    assert told(clock, running, [500] * 20) == ""


class Again(Exception):
    """The page runs again."""


@pytest.mark.parametrize(("empty", "step", "again"), [(True, 0, False), (True, 7, True), (False, 7, False)])
def test_the_page_runs_once_more_at_the_first_weights(monkeypatch, running, empty, step, again):
    def rerun():
        raise Again

    monkeypatch.setattr(run_panel, "look", lambda run_id: running)
    monkeypatch.setattr(run_panel.store, "checkpoint_step", lambda run_id: step)
    monkeypatch.setattr(run_panel.st, "rerun", rerun)
    try:
        run_panel._panel(running.id, lambda run, curves: None, "key", [running.id], empty, lambda run: {})
    except Again:
        assert again
    else:
        assert not again
