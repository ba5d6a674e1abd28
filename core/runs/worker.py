"""What runs inside a worker process: a training from start to verdict, or one short call.

Loaded by Dask as a preload, so nothing heavy is imported here: torch comes with the first training or call.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from core import capabilities, device, log
from core.errors import Diverged, UserError
from core.progress import Progress, Update
from core.runs import control, files, metrics, store

WRITE_EVERY = 0.2  # s between two writes of metrics
SAMPLE_EVERY = 1.0  # s between two samples: the page looks once a second. A run that lasts a second has some to replay, too:
FIRST_SAMPLES, SPREAD = 0.05, 0.15  # s between the first two, and what is added to it for each second that has gone by
SAMPLE_SHARE = 0.1  # of the time, at most, goes into samples
RUINED = 2.0  # times the first loss: a network that is worse than that has been spoiled
CHECKPOINT_EVERY = 3.0  # s between two checkpoints


def dask_setup(worker: Any) -> None:
    """Dask calls this when a worker starts: give the page's process the right of way, and quote no task in the log."""
    log.mute("distributed.worker")
    give_way(int(os.environ.get("MANABI_NICE", "0")))


def give_way(nice: int) -> None:
    """Let whatever else runs on this machine go first, the visitor's own browser too.

    Where Linux groups processes by session, `nice` weighs only within one: then the session, one of our own, is made nice.
    """
    if not nice:
        return
    os.nice(nice)
    group = Path("/proc/self/autogroup")
    if not os.access(group, os.W_OK) or os.getpgrp() == os.getpid():  # who leads a process group can't leave the session
        return
    os.setsid()
    for _ in range(50):
        try:
            group.write_text(str(nice))
            return
        except BlockingIOError:  # Linux takes one such wish in a tenth of a second, of all processes together
            time.sleep(0.1)
        except OSError:  # it takes none here, a sandbox perhaps: the worker works all the same
            break
    log.event("no_way_given")


def call(module: str, function: str, arguments: dict[str, Any], seconds: float) -> Any:
    """A short call. A watchdog in C ends the process after `seconds`, whatever the code is stuck in."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        return getattr(importlib.import_module(module), function)(**arguments)
    finally:
        faulthandler.cancel_dump_traceback_later()


def warm(kind: str) -> None:
    """Import torch, so that the first click does not wait for it; where it trains, also the second half that the first optimiser loads."""
    torch = importlib.import_module("torch")
    if kind == "train":
        torch.optim.SGD([torch.zeros(1)])


def address() -> tuple[str, int]:
    """Address and process id of this Dask worker."""
    from distributed import get_worker

    return get_worker().address, os.getpid()


class Recorder:
    """Writes what the page reads, a few times a second, from the progress of a loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self.first: dict[str, float] = {}  # metrics of the first step
        self.last: Progress | None = None
        self.written = self.sampled = self.sample_cost = 0.0
        self.began, self.saved = 0.0, time.monotonic()

    def add(self, progress: Progress) -> None:
        """Take note of a step; write if it is time."""
        self.first = self.first or dict(progress.metrics)
        self.last = progress
        self.rows.append({"step": progress.step, **progress.metrics})
        now = time.monotonic()
        self.began = self.began or now  # of the first step: what was loaded before it is no part of the training
        if now - self.written >= WRITE_EVERY:
            self.write_rows()
            self.written = now
        wait = max(min(SAMPLE_EVERY, FIRST_SAMPLES + SPREAD * (now - self.began)), self.sample_cost / SAMPLE_SHARE)
        if progress.sample and now - self.sampled >= wait:
            self.write_sample()
            self.sampled, self.sample_cost = now, time.monotonic() - now
        if progress.checkpoint and now - self.saved >= CHECKPOINT_EVERY:
            self.write_checkpoint()

    def write_rows(self) -> None:
        """Append the rows that wait."""
        if self.rows:
            with open(self.path / store.METRICS, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in self.rows)
            self.rows = []

    def write_sample(self) -> None:
        """Keep what the last step looks like."""
        if self.last and self.last.sample:
            store.write_sample(self.path, self.last.step, self.last.sample())

    def write_checkpoint(self) -> None:
        """Save the state of the last step, and the rows up to it."""
        if self.last and self.last.checkpoint:
            from core.runs import checkpoints

            self.write_rows()
            checkpoints.write(self.path, self.last.checkpoint())
            self.saved = time.monotonic()

    def write_good(self) -> None:
        """Of a loop that diverged: the rows, and the state after its last step if that still was a good one.

        Good is a loss no more than twice the first that was seen here, and all numbers finite; else the last checkpoint stays.
        """
        self.write_rows()
        if self.last and self.last.checkpoint:
            losses = [name for name in self.first if "loss" in name and name in self.last.metrics]
            usual = [abs(self.last.metrics[name]) <= RUINED * abs(self.first[name]) for name in losses]  # a NaN is not
            if not usual or not all(usual):
                return
            from core.runs import checkpoints

            found = self.last.checkpoint()
            if all(bool(tensor.isfinite().all()) for tensor in found.tensors.values()):
                checkpoints.write(self.path, found)

    def everything(self) -> None:
        """Rows, sample and checkpoint of the last step: before a pause and at the end."""
        self.write_rows()
        self.write_sample()
        self.write_checkpoint()


def train(run_id: str) -> None:
    """Train a run from its folder, from its last checkpoint if it has one, and leave the verdict there.

    Never raises for what goes wrong inside: the folder says it. What kills the process is told by the engine.
    """
    where, pid = address()
    train_here(run_id, where, pid)


def train_here(
    run_id: str, where: str = "", pid: int = 0, *, threads: int | None = None, before_verdict: Callable[[Path], None] | None = None
) -> None:
    """`train` in this very process, engine or not.

    threads: instead of those that the capability asks for. before_verdict: what is done to the run's folder once there are weights.
    """
    path = store.folder(run_id)
    run = store.change(run_id, status="running", started=time.time(), ended=0.0, note="", worker=where, pid=pid, result="none")
    log.event("run_started", run=run.id, capability=run.capability, pid=pid)
    status, note = _attempt(lambda: _train(run, path, threads), run)
    has_weights = (path / store.CHECKPOINT).is_file()
    run = store.change(run_id, status=status, note=note, ended=time.time(), result="pending" if has_weights else "failed")
    log.event("run_ended", run=run.id, status=status, step=run.step)
    if has_weights:
        if before_verdict:
            before_verdict(path)
        status, note = _attempt(lambda: _evaluate(run, path), run)
        if status == "failed":
            store.change(run_id, result="failed", note=run.note or note)
        else:
            store.change(run_id, result="ready")


def _attempt(work: Any, run: store.Run) -> tuple[store.Status, str]:
    """Do a part of a run; turn what goes wrong into a status and a sentence."""
    try:
        status, note = work()
    except UserError as error:
        return "failed", str(error)
    except MemoryError:
        return "failed", "It ran out of memory. A smaller network, window or batch needs less."
    except Exception as error:
        if files.disk_full(error):
            return "failed", "The disk is full, so nothing more could be saved. What was saved before is kept."
        if "out of memory" in str(error):  # torch's own error on a GPU
            return "failed", "The GPU ran out of memory. A smaller network or batch needs less."
        return "failed", f"This is a bug in Manabi, not in your data. It was logged as incident {log.incident(run.id, error)}."
    return status, note


def _train(run: store.Run, path: Path, threads: int | None) -> tuple[store.Status, str]:
    part = capabilities.module(run.capability, "train")
    config, data = run.settings(), capabilities.module(run.capability, "data").load(path)
    target = device.prepare(threads or part.THREADS, config.seed)

    from core.runs import checkpoints

    resume = checkpoints.read(path)
    before = int(resume.state.get("step", 0)) if resume else 0
    metrics.cut_after(path / store.METRICS, before)
    store.change(run.id, device=str(target), first_step=before)
    recorder = Recorder(path)

    def on_pause(paused: bool) -> None:
        if paused:
            recorder.everything()
        _note_progress(run.id, recorder, status="paused" if paused else "running")

    left = max(1.0, run.max_seconds - run.seconds) if run.max_seconds else 0.0
    wishes = control.Control(path, on_pause, left, crowded=lambda: store.others_wait(run))
    loop = part.train(config, data, device=target, resume=resume)
    try:
        return _drive(run, loop, wishes, recorder)
    except Diverged:
        recorder.write_good()
        raise
    except UserError:
        recorder.write_rows()
        raise
    finally:
        loop.close()
        _note_progress(run.id, recorder, seconds=run.seconds + time.time() - run.started)


def _drive(
    run: store.Run, loop: Generator[Progress, Update | None, None], wishes: control.Control, recorder: Recorder
) -> tuple[store.Status, str]:
    """Ask the loop for step after step, as the visitor wishes. Stop means stop asking."""
    first, settings = True, None
    while wishes.wait():
        settings = wishes.take_settings() or settings
        try:
            progress = next(loop) if first else loop.send(settings)
            settings = settings if first else None  # a generator takes nothing before its first step: keep it for the next
        except StopIteration:
            recorder.everything()
            return "finished", ""
        recorder.add(progress)
        if first:
            recorder.everything()
            _note_progress(run.id, recorder)
            first = False
            if settings:
                wishes.not_counted()
        if run.max_steps and progress.step >= run.max_steps:
            recorder.everything()
            return "stopped", f"This demo trains at most {run.max_steps:,} steps a run."
    recorder.everything()
    if wishes.made_room:
        return "stopped", f"It stood paused for {control.patience() / 60:.2g} minutes while others waited, so it made room. Resume goes on."
    return "stopped", f"This demo trains at most {run.max_seconds:g} seconds a run." if wishes.out_of_time else ""


def _note_progress(run_id: str, recorder: Recorder, **facts: Any) -> None:
    if recorder.last:
        facts.update(step=recorder.last.step, total=recorder.last.total)
    store.change(run_id, **facts)


def _evaluate(run: store.Run, path: Path) -> tuple[store.Status, str]:
    verdict = capabilities.module(run.capability, "predict").evaluate(run.id)
    files.write_whole(path / store.RESULT, json.dumps(verdict))
    return "finished", ""


def progress_lines(loop: Iterator[Progress]) -> Iterator[str]:
    """Progress as lines for a terminal: `step 20/600  train/loss 0.123`."""
    for progress in loop:
        numbers = "  ".join(f"{name} {value:.5g}" for name, value in progress.metrics.items())
        yield f"step {progress.step}/{progress.total}  {numbers}"
