"""The engine: starts trainings and answers short calls, on a local Dask cluster or an existing one.

Only names and ids cross to the workers. The run folder is the truth about a run; the engine adds what a folder
can't know: that its worker was killed, that its engine is gone, and its place in the queue.
"""

from __future__ import annotations

import concurrent.futures
import fcntl
import functools
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import log
from core.config import Config, mark
from core.errors import CallFailed, UserError
from core.runs import control, host, retention, store, worker
from core.runs.limits import limits

START_SECONDS = 60.0  # the host is given this long to start
_ROOT = Path(__file__).parents[2]


def _kill(dask_worker: Any) -> None:
    os.kill(dask_worker.process.pid, signal.SIGKILL)  # runs in the nanny, which a busy worker can't block


def _engines() -> Path:
    path = store.root() / "engines"
    path.mkdir(exist_ok=True)
    return path


def host_alive(engine_id: str) -> bool:
    """Whether the engine of this id still runs, be it of another dashboard: its host (on a cluster, its web process)
    holds a lock."""
    try:
        with open(_engines() / f"{engine_id}.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class Engine:
    """A connection to the workers. A plain object: Streamlit's cache refuses Dask's awaitable `Client`.

    Raises `UserError` if the workers can't be reached.
    """

    def __init__(self) -> None:
        self.scheduler = os.environ.get("MANABI_SCHEDULER", "")
        self.host: subprocess.Popen[bytes] | None = None
        self.lock = threading.RLock()
        self.waiting: list[str] = []  # run ids in the order in which they were asked for
        self.running: dict[str, Any] = {}  # run id -> Dask future
        self.ended_by_hand: set[str] = set()  # of these, the ones whose process was ended on a visitor's wish
        self._facts: dict[str, Any] | None = None
        self._warm = False
        self.id = secrets.token_hex(8)
        if self.scheduler:
            self._connect(self.scheduler)
            self._lock = open(_engines() / f"{self.id}.lock", "w")  # held as long as this process lives
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        else:
            self._connect(self._start_host())
        self.free = threading.BoundedSemaphore(max(1, self._offered("interactive")))
        log.event("engine_ready", engine=self.id)

    def _start_host(self) -> str:
        info = _engines() / f"{self.id}.json"
        self.host = subprocess.Popen(
            [sys.executable, "-m", "core.runs.host", "--info", str(info)],
            stdin=subprocess.PIPE,
            cwd=_ROOT,
            env={**os.environ, "MANABI_RUNS": str(store.root())},
        )  # in this session and process group; the trainings leave it (`worker.give_way`)
        import distributed  # noqa: F401 - here, while the host starts; the client needs it

        deadline = time.monotonic() + START_SECONDS
        while not info.exists():
            if self.host.poll() is not None or time.monotonic() > deadline:
                raise UserError("The training engine could not be started. The server's log says why.")
            time.sleep(0.01)
        return str(json.loads(info.read_bytes())["address"])

    def _connect(self, address: str) -> None:
        from distributed import Client

        host.configure()
        try:
            self.client: Any = Client(address, name="manabi", set_as_default=False, timeout=10)
        except (OSError, TimeoutError):
            raise UserError("The Dask cluster named in MANABI_SCHEDULER does not answer.") from None

    def _offered(self, kind: str) -> int:
        found = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(kind in facts.get("resources", {}) for facts in found)

    def alive(self) -> bool:
        """Whether the workers can be reached."""
        return (self.host is None or self.host.poll() is None) and self.client.status == "running"

    def close(self) -> None:
        """End the host and its workers; on a cluster, only the connection."""
        self.client.close(timeout=2)
        if self.host and self.host.stdin:
            self.host.stdin.close()
            try:
                self.host.wait(10)
            except subprocess.TimeoutExpired:
                self.host.kill()
        elif self.scheduler:
            self._lock.close()
        for path in _engines().glob(f"{self.id}.*"):
            path.unlink(missing_ok=True)

    # runs

    def start(
        self, capability: str, configs: Sequence[Config], dataset: Any, *, visitor: str, data: str = "", beside: Sequence[str] = ()
    ) -> list[store.Run]:
        """Make a run for each config, mates of each other and of the runs `beside`, and queue them in this order.

        Raises `UserError` if a limit of the demo forbids it or the disk is full.
        """
        self._allow(visitor, len(configs))
        owner = store.owner_of(visitor)
        runs = [store.create(capability, config, dataset, data=data, owner=owner) for config in configs]
        for run in runs:
            store.change(run.id, mates=[*(mate.id for mate in runs if mate.id != run.id), *beside])
            store.remember(visitor, run.id)
        return [self._enqueue(run) for run in runs]

    def resume(self, run_id: str, visitor: str) -> store.Run:
        """Go on from the last checkpoint of a run that ended; the losses are those of a run that never did."""
        if store.is_example(run_id):
            raise UserError("The examples that come with Manabi are finished.")
        with self.lock:
            run = self.look(run_id)
            if not run.settled:
                raise UserError("This run is under way already.")
            self._allow(visitor, 1)
            fields = type(run.settings()).model_fields
            asked = control.wanted(store.folder(run_id))["settings"]  # what was changed while it was paused and never taken
            kept = {name: value for name, value in asked.items() if mark(fields[name], "live")}
            resumed = self._enqueue(run)
            if kept:
                control.ask(store.folder(run_id), settings=kept)
            return resumed

    def _allow(self, visitor: str, count: int) -> None:
        caps = limits()
        retention.enforce()
        owned = [run for run in store.of(visitor) if run.owner == store.owner_of(visitor) and run.active]
        mine = sum(self.look(run.id).active for run in owned) if caps.runs_per_visitor else 0
        if caps.runs_per_visitor and mine + count > caps.runs_per_visitor:
            raise UserError(f"This demo lets a visitor have {caps.runs_per_visitor} runs at a time. Stop one first.")
        if caps.max_queued and len(self.waiting) + count > caps.max_queued:
            raise UserError("Too many runs are waiting in this demo just now. Try again in a few minutes.")

    def _enqueue(self, run: store.Run) -> store.Run:
        caps = limits()
        with self.lock:
            control.reset(store.folder(run.id))
            run = store.change(
                run.id,
                status="queued",
                engine=self.id,
                note="",
                result="none",
                max_steps=caps.max_steps * run.settings().DEMO_SCALE,
                max_seconds=caps.max_seconds,
            )
            self.waiting.append(run.id)
            self._dispatch()
        log.event("run_queued", run=run.id, capability=run.capability, waiting=len(self.waiting))
        return run

    def _dispatch(self) -> None:
        """Hand over the next runs if a worker is free for them. What waits here survives a worker's death."""
        with self.lock:
            while self.waiting and len(self.running) < max(1, self._offered("train")):
                run_id = self.waiting.pop(0)
                future = self.client.submit(
                    worker.train, run_id, key=f"run-{run_id}-{time.time_ns()}", pure=False, retries=0, resources={"train": 1}
                )
                from distributed import fire_and_forget

                fire_and_forget(future)
                self.running[run_id] = future
                future.add_done_callback(functools.partial(self._ended, run_id))

    def _ended(self, run_id: str, future: Any) -> None:
        try:
            if future.status == "error" and self.alive():
                self._bury(run_id, future.exception())
        except store.UnknownRun:
            log.event("run_vanished", run=run_id)
        finally:  # only now: a run that is no longer in `running` and not settled counts as interrupted
            with self.lock:
                if self.running.get(run_id) is future:
                    del self.running[run_id]
            self.ended_by_hand.discard(run_id)
        if self.alive():
            self._dispatch()

    def _bury(self, run_id: str, error: BaseException) -> None:
        """Say in the folder why a worker could not."""
        run = store.read(run_id)
        if run.settled:
            return
        if self._out_of_memory(run.pid):
            why = "It needed more memory than a worker has. A smaller network, window or batch needs less."
        elif run_id in self.ended_by_hand:
            why = "Its process was ended, as you asked."
        else:
            why = "The process that trained it was killed or crashed."
            log.event("worker_died", run=run_id, pid=run.pid, error=type(error).__name__)
        if run.active:
            step = store.checkpoint_step(run_id)
            kept = f" What it had learned up to step {step:,} is kept." if step else ""
            status: store.Status = "stopped" if run_id in self.ended_by_hand else "failed"
            store.change(run_id, status=status, note=why + kept, ended=time.time(), result="failed")
        else:
            store.change(run_id, result="failed", note=f"The verdict is missing: {why[0].lower()}{why[1:]}")

    def _out_of_memory(self, pid: int) -> bool:
        """Whether a nanny ended this process for its memory."""
        for _ in range(10):  # the nanny's word may come a moment after the news of the death
            events = self.client.get_events("worker-restart-memory")
            if any(facts.get("pid") == pid for _, facts in events if isinstance(facts, dict)):
                return True
            time.sleep(0.05)
        return False

    def look(self, run_id: str) -> store.Run:
        """A run as it stands; one whose engine is gone becomes `interrupted`. Raises `UnknownRun`."""
        run = store.read(run_id)
        if run.settled or not run.engine or self._still_mine(run):
            return run
        run = store.read(run_id)  # it may have ended between the two looks
        if run.settled or self._still_mine(run):
            return run
        log.event("run_interrupted", run=run.id)
        if not run.active:
            return store.change(run_id, result="failed", note="The verdict is missing: the engine ended before it was found.")
        return store.change(
            run_id,
            status="interrupted",
            note="The engine ended while this run was under way. Resume goes on from the last checkpoint.",
            ended=time.time(),
        )

    def _still_mine(self, run: store.Run) -> bool:
        if run.engine == self.id:
            with self.lock:
                return self.alive() and (run.id in self.running or run.id in self.waiting)
        if host_alive(run.engine):
            return True
        return self.scheduler != "" and any(f"run-{run.id}-" in key for key in self._cluster_keys())

    def _cluster_keys(self) -> list[str]:
        """Keys that the workers of the cluster hold: a run that another web process started is among them."""
        return [str(key) for keys in self.client.processing().values() for key in keys]

    def place(self, run_id: str) -> int:
        """How many runs are ahead of this one, 0 if it is next or under way."""
        with self.lock:
            return self.waiting.index(run_id) + len(self.running) if run_id in self.waiting else 0

    def held_up(self, waits: store.Run) -> bool:
        """Whether a waiting run waits for one that another visitor has paused."""
        with self.lock:
            ahead = [store.read(run_id) for run_id in self.running]
        return any(run.status == "paused" and run.owner != waits.owner for run in ahead)

    def ask(self, run_id: str, **wanted: Any) -> None:
        """Pause, resume, step, stop or change a live setting: see `control.ask`. A waiting run is stopped at once."""
        with self.lock:
            if run_id in self.waiting and wanted.get("state") == "stopped":
                self.waiting.remove(run_id)
                kept = "ready" if store.result(run_id) else "none"
                store.change(run_id, status="stopped", note="Stopped before it began.", ended=time.time(), result=kept)
                return
        if "settings" in wanted:
            store.read(run_id).settings().updated(wanted["settings"])
        control.ask(store.folder(run_id), **wanted)

    def kill(self, run_id: str) -> None:
        """End the worker of a run that does not answer; the nanny starts a new one."""
        address = store.read(run_id).worker
        with self.lock:
            if run_id not in self.running or run_id in self.ended_by_hand or not address:
                return
            self.ended_by_hand.add(run_id)
            try:  # before another run can begin on this worker
                self.client.run(_kill, workers=[address], nanny=True)
            except (KeyError, OSError):  # it has ended by itself
                self.ended_by_hand.discard(run_id)

    # short calls

    def call(self, module: str, function: str, *, seconds: float = 30, **arguments: Any) -> Any:
        """Run `module.function(**arguments)` in an interactive worker.

        Raises what the function raises, or `CallFailed` if it takes more than `seconds`, runs out of memory, or
        nobody answers.
        """
        from distributed import KilledWorker

        if not self.free.acquire(timeout=seconds):  # wait here: what waits on a worker dies with it
            raise CallFailed("All workers are busy. Try again in a moment.")
        began = time.monotonic()
        try:
            future = self.client.submit(
                worker.call, module, function, arguments, seconds, pure=False, retries=0, resources={"interactive": 1}
            )
            return future.result(seconds + 15)  # the worker ends itself after `seconds`; 15 more to start a new one
        except KilledWorker:
            late = time.monotonic() - began >= seconds
            raise CallFailed(
                f"This took more than {seconds:g} seconds and was ended." if late else "This ran out of memory or crashed."
            ) from None
        except (TimeoutError, concurrent.futures.CancelledError, OSError):
            raise CallFailed("The engine does not answer. Try again in a moment.") from None
        finally:
            self.free.release()

    def warm(self) -> None:
        """Let every worker import torch in the background, before it is needed."""
        if self._facts is None:
            self._warm = True
        for kind in ("train", "interactive"):
            if kind == "interactive" or not self.running:
                from distributed import fire_and_forget

                fire_and_forget(self.client.submit(worker.warm, kind, key=f"warm-{kind}", resources={kind: 1}, pure=False))

    def device(self) -> dict[str, Any]:
        """What the workers train on, as `core.device.describe` tells it."""
        if self._facts is None:
            self._facts = self.call("core.device", "describe", seconds=60)
        return self._facts

    def device_now(self) -> dict[str, Any] | None:
        """`device` if it is known already; asks in the background once torch has been imported by somebody."""
        if self._facts is None and self._warm:
            self._warm = False
            threading.Thread(target=self._learn_device, daemon=True).start()
        return self._facts

    def _learn_device(self) -> None:
        try:
            self.device()
        except CallFailed as error:
            log.event("device_unknown", why=str(error))
