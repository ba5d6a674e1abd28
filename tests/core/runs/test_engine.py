"""The engine with real worker processes: the life of a run, and every way it can die."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import CallFailed, UserError
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import builtin
from core.runs import control, host, store
from core.runs.engine import Engine, host_alive

SHORT = ForecastingConfig(window=24, horizon=12, hidden_size=4, steps=10, refit=False)
LONG = ForecastingConfig(window=24, horizon=12, hidden_size=8, steps=20_000, patience=1000, refit=False)


@pytest.fixture
def own_engine(fresh_runs):
    """An engine that a test may break."""
    started = Engine()
    yield started
    started.close()


def begin(engine, config=LONG, visitor="me", data=None):
    return engine.start("forecasting", [config], data or builtin("airline"), visitor=visitor)[0].id


def losses(run_id):
    rows = (store.folder(run_id) / "metrics.jsonl").read_text().splitlines()
    return {row["step"]: row["train/loss"] for row in map(json.loads, rows)}


def running(engine, run_id, waiting, steps=20):
    waiting(lambda: (store.folder(run_id) / "metrics.jsonl").exists() and len(losses(run_id)) >= steps)


def test_a_run_from_start_to_verdict(engine, small, waiting):
    run = engine.start("forecasting", [small[0]], small[1], visitor="me", data="air")[0]
    run = waiting(lambda: (r := engine.look(run.id)).settled and r)
    assert (run.status, run.result, run.note) == ("finished", "ready", "")
    assert run.step == run.total > 0 and run.device and run.versions["torch"]
    assert sorted(losses(run.id)) == list(range(1, run.step + 1))
    result = store.result(run.id)
    assert set(result["scores"]) == {"network", "last", "snaive", "snaive_drift", "ets", "theta"}
    assert result["sentence"].startswith("The LSTM")
    assert store.sample_steps(run.id)
    assert run.id in [mine.id for mine in store.of("me")]


def test_pause_step_live_setting_resume_stop(engine, waiting):
    run_id = begin(engine)
    running(engine, run_id, waiting)
    engine.ask(run_id, state="paused")
    waiting(lambda: engine.look(run_id).status == "paused")
    before = len(losses(run_id))
    engine.ask(run_id, steps=3)
    waiting(lambda: engine.look(run_id).step == before + 3)
    assert engine.look(run_id).status == "paused"
    engine.ask(run_id, settings={"learning_rate": 0.123}, state="running")
    waiting(lambda: engine.look(run_id).status == "running")
    waiting(lambda: any(json.loads(line)["train/learning_rate"] > 0.1 for line in (store.folder(run_id) / "metrics.jsonl").open()))
    engine.ask(run_id, state="stopped")
    run = waiting(lambda: (r := engine.look(run_id)).settled and r)
    assert (run.status, run.result) == ("stopped", "ready")


def test_a_setting_changed_before_the_first_step_counts_from_the_second_and_no_row_is_lost(engine, waiting):
    blocker, run_id = begin(engine), begin(engine, LONG.updated({"schedule": "constant"}))
    engine.ask(run_id, settings={"learning_rate": 0.123})
    engine.ask(blocker, state="stopped")
    running(engine, run_id, waiting)
    engine.ask(run_id, state="stopped")
    waiting(lambda: engine.look(run_id).settled and engine.look(blocker).settled)
    rates = [json.loads(line)["train/learning_rate"] for line in (store.folder(run_id) / "metrics.jsonl").open()]
    assert rates[:3] == [LONG.learning_rate, 0.123, 0.123] and min(losses(run_id)) == 1


def test_a_live_setting_out_of_bounds_is_refused(engine, waiting):
    run_id = begin(engine)
    with pytest.raises(UserError, match="Learning rate"):
        engine.ask(run_id, settings={"learning_rate": 99.0})
    engine.ask(run_id, state="stopped")
    waiting(lambda: engine.look(run_id).settled)


def test_the_queue_has_places_and_a_waiting_run_stops_at_once(engine, small, waiting):
    first, second, third = (begin(engine) for _ in range(3))
    assert (engine.place(first), engine.place(second), engine.place(third)) == (0, 1, 2)
    engine.ask(second, state="stopped")
    assert engine.look(second).status == "stopped"
    assert engine.place(third) == 1
    engine.ask(third, state="stopped")
    engine.ask(first, state="stopped")
    assert waiting(lambda: engine.look(first).settled)


def test_resume_gives_the_losses_of_a_run_never_interrupted(engine, waiting):
    config = ForecastingConfig(window=12, horizon=6, hidden_size=6, steps=400, dropout=0.2, patience=1000)
    whole, broken = begin(engine, config), begin(engine, config)
    waiting(lambda: engine.look(whole).settled)
    running(engine, broken, waiting, 30)
    engine.ask(broken, state="stopped")
    waiting(lambda: engine.look(broken).settled)
    assert 30 <= len(losses(broken)) < len(losses(whole))
    engine.resume(broken, "me")
    waiting(lambda: engine.look(broken).settled)
    assert losses(broken) == losses(whole)
    assert store.result(broken)["scores"]["network"] == store.result(whole)["scores"]["network"]


def test_a_worker_killed_with_sigkill_fails_its_run_alone(own_engine, waiting):
    first = begin(own_engine)
    second = begin(own_engine, ForecastingConfig(window=12, horizon=6, hidden_size=4, steps=20))
    running(own_engine, first, waiting)
    waiting(lambda: store.checkpoint_step(first) > 0)
    os.kill(own_engine.look(first).pid, signal.SIGKILL)
    run = waiting(lambda: (r := own_engine.look(first)).settled and r, 20)
    assert run.status == "failed" and "killed or crashed" in run.note and "is kept" in run.note
    assert waiting(lambda: own_engine.look(second).status == "finished")
    own_engine.resume(first, "me")
    waiting(lambda: own_engine.look(first).status == "running")


def test_a_run_that_needs_too_much_memory_fails_and_says_so(fresh_runs, waiting, monkeypatch):
    monkeypatch.setenv("MANABI_WORKER_MEMORY", "0.7")
    engine = Engine()
    try:
        greedy = ForecastingConfig(window=512, horizon=12, hidden_size=256, layers=4, batch_size=512)
        run_id = begin(engine, greedy, data=builtin("co2"))
        run = waiting(lambda: (r := engine.look(run_id)).settled and r)
        assert run.status == "failed" and "more memory than a worker has" in run.note
        assert engine.call("core.device", "cores") >= 1
    finally:
        engine.close()


def test_an_engine_that_dies_interrupts_its_runs_and_they_resume(own_engine, waiting):
    run_id = begin(own_engine)
    running(own_engine, run_id, waiting)
    waiting(lambda: store.checkpoint_step(run_id) > 0)
    os.kill(own_engine.host.pid, signal.SIGKILL)
    waiting(lambda: not own_engine.alive(), 5)
    assert own_engine.look(run_id).status == "interrupted"
    heir = Engine()
    try:
        run = heir.resume(run_id, "me")
        assert run.status == "queued"
        waiting(lambda: heir.look(run_id).status == "running")
    finally:
        heir.close()


def test_a_web_process_that_is_killed_takes_its_engine_along(fresh_runs, waiting):
    script = (
        "import sys, time; from core.runs.engine import Engine; from core.forecasting.data import builtin;"
        "from core.forecasting.config import ForecastingConfig as C\n"
        "if __name__ == '__main__':\n"
        " e = Engine(); r = e.start('forecasting', [C(steps=20000, patience=1000)], builtin('airline'), visitor='me')[0]\n"
        " print(r.id, e.id, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
    run_id, engine_id = process.stdout.readline().split()
    waiting(lambda: (store.folder(run_id) / "metrics.jsonl").exists())
    pid = store.read(run_id).pid
    process.kill()
    process.wait()
    waiting(lambda: not host_alive(engine_id), 10)

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    waiting(gone, 10)
    heir = Engine()
    try:
        run = heir.look(run_id)
        assert run.status == "interrupted" and "Resume" in run.note
    finally:
        heir.close()


def test_a_second_dashboard_leaves_the_runs_of_the_first_alone(own_engine, waiting):
    run_id = begin(own_engine)
    running(own_engine, run_id, waiting)
    other = Engine()
    try:
        assert other.look(run_id).status == "running"
    finally:
        other.close()
    assert own_engine.look(run_id).status == "running"


def test_a_full_disk_is_said_and_what_was_saved_stays(fresh_runs, waiting):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, hard))  # a file can't grow past 90 kB: EFBIG, as a full quota
    try:
        engine = Engine()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    try:
        run_id = begin(engine, LONG.updated({"hidden_size": 4}))
        run = waiting(lambda: (r := engine.look(run_id)).settled and r)
        assert run.status == "failed" and "disk is full" in run.note
        assert store.checkpoint_step(run_id) > 0
    finally:
        engine.close()


def test_a_loss_that_is_no_number_is_explained_and_the_last_good_weights_stay(engine, waiting):
    from core.runs import checkpoints

    run_id = begin(engine)
    running(engine, run_id, waiting)
    engine.ask(run_id, state="stopped")
    waiting(lambda: engine.look(run_id).settled)
    folder = store.folder(run_id)
    broken = checkpoints.read(folder)
    broken.tensors["model.head.weight"].fill_(float("nan"))
    checkpoints.write(folder, broken)
    step = store.checkpoint_step(run_id)
    engine.resume(run_id, "me")
    run = waiting(lambda: (r := engine.look(run_id)).settled and r)
    assert run.status == "failed" and f"became nan at step {step + 1}" in run.note
    assert store.checkpoint_step(run_id) == step and run.result == "ready"
    assert engine.call("core.forecasting.predict", "forecast", run_id=run_id)["quantiles"]


def test_calls_answer_fail_and_are_ended(engine):
    assert engine.call("core.device", "cores") >= 1
    with pytest.raises(UserError, match="not the id"):
        engine.call("core.forecasting.predict", "forecast", run_id="nonsense")
    with pytest.raises(CallFailed, match="more than 1 seconds"):
        engine.call("tests.core.runs.slow", "forever", seconds=1)
    with pytest.raises(CallFailed, match="out of memory or crashed"):
        engine.call("os", "_exit", status=1)
    assert engine.call("core.device", "cores") >= 1


def test_calls_are_answered_while_a_training_runs(engine, waiting):
    run_id = begin(engine)
    running(engine, run_id, waiting)
    assert engine.call("core.device", "cores") >= 1
    assert engine.look(run_id).status == "running"
    engine.ask(run_id, state="stopped")
    waiting(lambda: engine.look(run_id).settled)


def test_a_worker_that_does_not_answer_is_killed(own_engine, waiting):
    run_id = begin(own_engine)
    running(own_engine, run_id, waiting)
    os.kill(own_engine.look(run_id).pid, signal.SIGSTOP)
    control.ask(store.folder(run_id), state="stopped")
    own_engine.kill(run_id)
    run = waiting(lambda: (r := own_engine.look(run_id)).settled and r)
    assert run.status == "stopped" and "as you asked" in run.note and "is kept" in run.note
    few = ForecastingConfig(window=12, horizon=6, hidden_size=4, steps=20)
    weekly = begin(own_engine, few, data=builtin("co2"))  # exponential smoothing of 52 seasons takes seconds
    waiting(lambda: own_engine.look(weekly).result == "pending")
    own_engine.kill(weekly)
    run = waiting(lambda: (r := own_engine.look(weekly)).settled and r)
    assert (run.status, run.result) == ("finished", "failed") and "verdict is missing" in run.note and "as you asked" in run.note
    assert own_engine.call("core.forecasting.predict", "forecast", run_id=weekly)["quantiles"]
    again = begin(own_engine, few)
    assert waiting(lambda: own_engine.look(again).status == "finished")


def test_a_run_that_stands_paused_makes_room_for_another_visitor_and_can_go_on(fresh_runs, waiting, monkeypatch):
    monkeypatch.setenv("MANABI_PAUSE_SECONDS", "1")
    engine = Engine()
    try:
        first = begin(engine)
        running(engine, first, waiting)
        engine.ask(first, state="paused")
        waiting(lambda: engine.look(first).status == "paused")
        mine = begin(engine, SHORT)
        time.sleep(4)
        assert engine.look(first).status == "paused" and not engine.held_up(store.read(mine))  # who pauses may let himself wait
        other = begin(engine, SHORT, visitor="another")
        assert engine.held_up(store.read(other))
        run = waiting(lambda: (r := engine.look(first)).settled and r)
        assert run.status == "stopped" and "made room" in run.note and store.checkpoint_step(first) == run.step
        assert all(waiting(lambda run_id=run_id: engine.look(run_id).status == "finished") for run_id in (mine, other))
        engine.resume(first, "me")
        waiting(lambda: engine.look(first).status == "running" and engine.look(first).first_step == run.step)
    finally:
        engine.close()


def test_a_demo_ends_a_run_whose_time_is_up(own_engine, waiting, monkeypatch):
    monkeypatch.setenv("MANABI_DEMO", "1")
    monkeypatch.setenv("MANABI_DEMO_MAX_STEPS", "1000000")
    monkeypatch.setenv("MANABI_DEMO_MAX_SECONDS", "1.5")
    first = begin(own_engine)
    run = waiting(lambda: (r := own_engine.look(first)).settled and r)
    assert run.status == "stopped" and run.step > 0 and "1.5 seconds" in run.note
    assert store.checkpoint_step(first) == run.step  # what it learned till then is kept


def test_a_demo_caps_steps_and_runs(own_engine, waiting, monkeypatch):
    monkeypatch.setenv("MANABI_DEMO", "1")
    monkeypatch.setenv("MANABI_DEMO_MAX_STEPS", "25")
    monkeypatch.setenv("MANABI_DEMO_RUNS_PER_VISITOR", "2")
    monkeypatch.setenv("MANABI_DEMO_MAX_QUEUED", "2")
    first = begin(own_engine)
    begin(own_engine)
    with pytest.raises(UserError, match="2 runs at a time"):
        begin(own_engine)
    begin(own_engine, visitor="another")
    with pytest.raises(UserError, match="Too many runs are waiting"):
        for n in range(3):
            begin(own_engine, visitor=f"guest {n}")
    run = waiting(lambda: (r := own_engine.look(first)).settled and r)
    assert run.status == "stopped" and run.step == 25 and "25 steps" in run.note


def test_a_real_cluster_trains_through_its_scheduler(fresh_runs, tmp_path, waiting, monkeypatch):
    address = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    common = ["--scheduler-file", str(address)]
    commands = [["scheduler", *common, "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]]
    for kind in ("train", "interactive"):
        commands.append(
            ["worker", *common, "--host", "127.0.0.1", "--nthreads", "1", "--resources", f"{kind}=1", "--preload", "core.runs.worker"]
            + ["--dashboard-address", "127.0.0.1:0", "--local-directory", str(tmp_path)]
        )
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]], env=environment, stderr=subprocess.DEVNULL
        )
        for command in commands
    ]
    try:
        waiting(lambda: address.exists() and address.stat().st_size, 30)
        monkeypatch.setenv("MANABI_SCHEDULER", json.loads(address.read_text())["address"])
        engine = Engine()
        waiting(lambda: engine._offered("train") and engine._offered("interactive"), 30)
        run_id = begin(engine, ForecastingConfig(window=12, horizon=6, hidden_size=4, steps=20))
        run = waiting(lambda: (r := engine.look(run_id)).settled and r)
        assert (run.status, run.result) == ("finished", "ready")
        assert engine.call("core.forecasting.predict", "forecast", run_id=run_id)["times"][0].startswith("1961-01")
        long = begin(engine)
        running(engine, long, waiting)
        other = Engine()  # another web process on the same cluster sees the run as it is
        assert other.look(long).status == "running"
        other.close()
        engine.ask(long, state="stopped")
        assert waiting(lambda: engine.look(long).settled)
        engine.close()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def test_a_cluster_that_does_not_answer_is_said(fresh_runs, monkeypatch):
    monkeypatch.setenv("MANABI_SCHEDULER", "tcp://127.0.0.1:9")
    with pytest.raises(UserError, match="does not answer"):
        Engine()


def test_workers_keep_freed_memory_for_the_next_tensor(engine):
    assert engine.call("os", "getenv", key="MALLOC_TRIM_THRESHOLD_") is None  # Dask's own setting costs a training 12 %
    assert engine.call("os", "getenv", key="OMP_WAIT_POLICY") == "PASSIVE"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux tells with what environment a process began")
def test_workers_begin_with_a_malloc_that_keeps_the_pieces_of_a_graph_at_hand(engine):
    began_with = Path(f"/proc/{engine.call('os', 'getpid')}/environ").read_bytes().split(b"\0")
    assert f"GLIBC_TUNABLES={host.MALLOC}".encode() in began_with  # set later, it would change nothing
