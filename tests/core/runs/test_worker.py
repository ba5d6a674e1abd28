"""What a worker writes of a run, and when."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.forecasting.session import Session
from core.progress import Checkpoint, Progress
from core.runs import checkpoints, control, store, worker


def test_a_training_process_gives_way_to_others_of_its_session_and_of_the_machine():
    group = Path("/proc/self/autogroup")
    code = "import os; from core.runs.worker import give_way; give_way({}); print(os.nice(0)); "
    code += f"print(open({str(group)!r}).read())" if group.exists() else ""
    before = os.nice(0), group.read_text().split()[1:] if group.exists() else []
    for nice in (0, 7):
        told = subprocess.run([sys.executable, "-c", code.format(nice)], capture_output=True, text=True, check=True).stdout.split()
        assert int(told[0]) == min(19, before[0] + nice)
        assert told[2:] == (["nice", "7"] if nice and os.access(group, os.W_OK) else before[1])


def test_trainings_that_start_together_all_give_way():
    if not os.access("/proc/self/autogroup", os.W_OK):
        pytest.skip("this system does not group processes by session")
    code = "from core.runs.worker import give_way; give_way(7); print(open('/proc/self/autogroup').read())"
    together = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0].split()[1:] for process in together] == [["nice", "7"]] * 3


def test_a_system_that_takes_no_such_wish_does_not_stop_a_worker():
    if not os.access("/proc/self/autogroup", os.W_OK):
        pytest.skip("this system does not group processes by session")
    code = """
import pathlib
def refuse(path, text):
    raise OSError(22, "Invalid argument")
pathlib.Path.write_text = refuse
from core.runs.worker import give_way
give_way(7)
print("works")
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "works" in told.stdout and "no_way_given" in told.stdout + told.stderr


@pytest.mark.parametrize("at", [2, 9, 17])
def test_a_run_whose_loss_is_no_number_keeps_the_weights_of_its_last_good_step(fresh_runs, small, monkeypatch, at):
    config, data = small
    taken, batch = [], Session.batch

    def spoiled(session):
        taken.append(1)
        past, known, future = batch(session)
        return past, known, future * float("nan") if len(taken) == at else future

    monkeypatch.setattr(Session, "batch", spoiled)
    run = store.create("forecasting", config, data, data="Airline passengers")
    worker.train_here(run.id)
    told = store.read(run.id)
    assert told.status == "failed" and f"at step {at}" in told.note and "smaller learning rate" in told.note
    assert store.checkpoint_step(run.id) == at - 1 == told.step
    saved = checkpoints.read(store.folder(run.id))
    assert saved and all(bool(tensor.isfinite().all()) for tensor in saved.tensors.values())


@pytest.mark.parametrize(
    ("metrics", "weight", "kept"),
    [
        ({"train/loss": 1.9}, 3.0, 2),
        ({"train/loss": 2.1}, 3.0, 1),
        ({"train/loss": -9.0}, 3.0, 1),
        ({"train/loss": 0.1}, float("inf"), 1),
        ({"train/loss": float("nan")}, 3.0, 1),
        ({"train/td_error": 0.1}, 3.0, 1),  # nothing to judge it by
    ],
)
def test_weights_that_are_spoiled_do_not_replace_good_ones(tmp_path, metrics, weight, kept):
    recorder = worker.Recorder(tmp_path)
    good, late = (Checkpoint({"w": torch.tensor([1.0, value])}, {"step": step}) for step, value in ((1, 2.0), (2, weight)))
    recorder.add(Progress(1, 9, {"train/loss": 1.0, "train/accuracy": 0.1}, checkpoint=lambda: good))
    recorder.write_checkpoint()
    recorder.add(Progress(2, 9, metrics, checkpoint=lambda: late))
    recorder.write_good()
    assert checkpoints.read(tmp_path).state["step"] == kept


def test_a_step_asked_for_before_the_first_is_taken_with_its_settings(fresh_runs, small):
    run = store.create("forecasting", *small, data="Airline passengers")
    path = store.folder(run.id)
    control.ask(path, steps=1, settings={"learning_rate": 0.5})
    taken = []

    def loop():
        settings = yield Progress(1, 9, {"train/loss": 1.0})
        taken.append(settings)
        control.ask(path, state="stopped")
        yield Progress(2, 9, {"train/loss": 1.0})

    wishes = control.Control(path, seconds=20.0)
    worker._drive(run, loop(), wishes, worker.Recorder(path))
    assert taken == [{"learning_rate": 0.5}] and not wishes.out_of_time


def test_moments_come_often_at_first_and_once_a_second_later(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    (tmp_path / "samples").mkdir()
    recorder, taken = worker.Recorder(tmp_path), []
    monkeypatch.setattr(recorder, "write_sample", lambda: taken.append(clock[0] - 100.0))
    for step in range(3000):  # 30 s
        clock[0] += 0.01
        recorder.add(Progress(step + 1, 3000, {"train/loss": 1.0}, sample=dict))
    gaps = [later - earlier for earlier, later in zip(taken, taken[1:], strict=False)]
    assert sum(moment < 1.0 for moment in taken) >= 5
    assert all(gap >= 0.99 for gap, moment in zip(gaps, taken, strict=False) if moment > 7.0)
    assert len(taken) < 45


def test_moments_that_are_dear_are_rare(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    recorder, taken = worker.Recorder(tmp_path), []

    def dear():
        taken.append(clock[0])
        clock[0] += 0.5

    monkeypatch.setattr(recorder, "write_sample", dear)
    while clock[0] < 160.0:
        clock[0] += 0.01
        recorder.add(Progress(len(taken) + 1, 3000, {"train/loss": 1.0}, sample=dict))
    assert len(taken) * 0.5 <= 60 * (worker.SAMPLE_SHARE + 0.02)
    rows = [json.loads(line) for line in (tmp_path / store.METRICS).read_text().splitlines()]
    assert len(rows) > 4000
