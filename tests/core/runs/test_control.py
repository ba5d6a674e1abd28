import os
import threading
import time

import pytest

from core.errors import UserError
from core.runs import control, files


def test_pause_step_resume_stop(tmp_path, waiting):
    done, paused = [], []
    wishes = control.Control(tmp_path, paused.append)

    def loop():
        while wishes.wait():
            done.append(1)
            time.sleep(0.001)

    control.ask(tmp_path, state="paused")
    thread = threading.Thread(target=loop)
    thread.start()
    waiting(lambda: paused == [True])
    assert done == []
    for steps, total in ((3, 3), (1, 4), (1, 5)):
        control.ask(tmp_path, steps=steps)
        waiting(lambda total=total: len(done) == total)
    time.sleep(0.3)
    assert len(done) == 5  # and no more
    control.ask(tmp_path, state="running")
    waiting(lambda: len(done) > 10)
    assert paused[-1] is False
    control.ask(tmp_path, state="stopped")
    thread.join(10)
    assert not thread.is_alive()


def test_resume_during_a_single_step_ends_the_pause(tmp_path):
    told = []
    wishes = control.Control(tmp_path, told.append)
    control.ask(tmp_path, state="paused")
    wishes._look()
    control.ask(tmp_path, steps=1)
    assert wishes.wait()  # the single step begins
    assert told == [True]
    control.ask(tmp_path, state="running")
    time.sleep(2 * control.LOOK_EVERY)  # a step so slow that the next look is before the pause would go on
    assert wishes.wait()
    assert told[-1] is False


def test_stop_is_obeyed_while_paused(tmp_path):
    control.ask(tmp_path, state="paused")
    wishes = control.Control(tmp_path)
    thread = threading.Thread(target=wishes.wait)
    thread.start()
    control.ask(tmp_path, state="stopped")
    thread.join(10)
    assert not thread.is_alive() and wishes.state == "stopped"


def test_slow_motion_keeps_to_the_chosen_speed(tmp_path):
    control.ask(tmp_path, speed=20.0)
    wishes = control.Control(tmp_path)
    wishes.wait()
    began = time.monotonic()
    for _ in range(10):
        assert wishes.wait()
    assert time.monotonic() - began > 0.4


def test_a_demo_run_that_is_paused_ends_when_its_time_is_up(tmp_path):
    control.ask(tmp_path, state="paused")
    wishes = control.Control(tmp_path, seconds=0.3)
    assert wishes.wait() is False and wishes.out_of_time


def test_a_paused_run_makes_room_when_others_wait_and_its_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setenv("MANABI_PAUSE_SECONDS", "0.3")
    monkeypatch.setattr(control, "LOOK_ROUND", 0.1)
    control.ask(tmp_path, state="paused")
    crowd = iter([False, False, True])  # at first nobody waits
    wishes = control.Control(tmp_path, crowded=lambda: next(crowd))
    began = time.monotonic()
    assert wishes.wait() is False and wishes.made_room and not wishes.out_of_time
    assert time.monotonic() - began > 0.3 and next(crowd, "all asked") == "all asked"


def test_live_settings_arrive_once_and_add_up(tmp_path):
    wishes = control.Control(tmp_path)
    control.ask(tmp_path, settings={"learning_rate": 0.1})
    control.ask(tmp_path, settings={"clip": 2.0})
    wishes.wait()
    assert wishes.take_settings() == {"learning_rate": 0.1, "clip": 2.0}
    assert wishes.take_settings() is None


def test_a_run_that_starts_again_does_not_obey_the_last_stop(tmp_path):
    control.ask(tmp_path, state="stopped")
    control.reset(tmp_path)
    assert control.Control(tmp_path).wait()
    assert control.wanted(tmp_path)["state"] == "running"


def test_a_run_on_a_full_disk_can_still_be_stopped_and_a_fuller_one_says_so(tmp_path, monkeypatch, fill_the_disk):
    files.reserve(tmp_path)
    fill_the_disk(tmp_path)
    control.ask(tmp_path, state="stopped")
    assert control.wanted(tmp_path)["state"] == "stopped"
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="disk is full"):
        control.ask(tmp_path, state="running")
    assert control.wanted(tmp_path)["state"] == "stopped"
