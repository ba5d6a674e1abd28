"""The engine: throughput, latency and memory.

    python -m benchmarks.engine [--json]

Each figure is the median of `--runs` runs. Linux only: memory is PSS from /proc.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.report import Figure, main
from core.device import cores
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import builtin
from core.forecasting.train import THREADS, train
from core.runs import store
from core.runs.engine import Engine
from core.runs.host import MALLOC
from core.runs.metrics import MetricsReader

FIGURES = {
    "throughput_ratio": Figure("steps/s through the engine over a bare `for _ in train(...)`", "", 0.95, True),
    "throughput_same_malloc_ratio": Figure("the same, the bare loop with the malloc settings of our workers: what the engine costs", ""),
    "engine_start_s": Figure("start of the engine", "s", 1.5),
    "first_metric_cold_s": Figure("click to first metric, torch not imported yet", "s", 3),
    "torch_imports_s": Figure("of that, importing torch and its first optimiser alone, in a bare process", "s"),
    "first_metric_warm_s": Figure("click to first metric, torch imported", "s", 0.5),
    "call_overhead_ms": Figure("an interactive call on an idle engine over calling the function directly", "ms", 10),
    "call_p95_ms_training": Figure("an interactive call while a training runs, 95th percentile", "ms", 200),
    "stop_s": Figure("Stop until the run says stopped", "s", 0.5),
    "kill_recover_s": Figure("hard kill of a worker until it answers again", "s", 2),
    "idle_memory_mb": Figure("PSS of web process and idle engine before any torch work", "MB", 350),
}
LONG = ForecastingConfig(steps=20_000, patience=1000, validate_every=1000, refit=False)


def until(condition: Callable[[], object], seconds: float = 120, *, every: float = 0.002) -> float:
    """Seconds until a condition holds, which is looked at `every` so many seconds."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > seconds:
            raise TimeoutError
        time.sleep(every)
    return time.perf_counter() - began


def begin(engine: Engine) -> tuple[str, MetricsReader]:
    """Start a long training."""
    run = engine.start("forecasting", [LONG], builtin("airline"), visitor="benchmark")[0]
    return run.id, MetricsReader(store.folder(run.id) / store.METRICS)


def stop(engine: Engine, run_id: str) -> float:
    """Seconds from asking to `stopped`; then wait for the verdict, so that the worker is free."""
    began = time.perf_counter()
    engine.ask(run_id, state="stopped")
    until(lambda: store.read(run_id).status == "stopped")
    seconds = time.perf_counter() - began
    until(lambda: engine.look(run_id).settled)
    return seconds


BARE = """
import sys, time, torch
from benchmarks.engine import LONG
from core.forecasting.data import builtin
from core.forecasting.train import THREADS, train
torch.set_num_threads(THREADS)
loop = train(LONG, builtin("airline"), device=torch.device("cpu"))
for _ in range(50):
    next(loop)
for seconds in map(float, sys.stdin):
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        next(loop)
        steps += 1
    print(steps / (time.perf_counter() - began), flush=True)
"""


@contextmanager
def bare_loop(**environment: str) -> Iterator[Callable[[float], float]]:
    """A process with a bare `for _ in train(...)`; asked with seconds, it runs for so long and answers with its steps/s."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(cores()), **environment}
    with subprocess.Popen(
        [sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as process:
        assert process.stdin and process.stdout
        ask, answers = process.stdin, process.stdout

        def speed(seconds: float) -> float:
            ask.write(f"{seconds}\n")
            return float(answers.readline())

        yield speed
        ask.close()


def speeds(engine: Engine, turns: int, seconds: float = 1.0) -> list[tuple[float, float]]:
    """Steps/s through the engine over steps/s of two bare loops, in turns, since a shared machine's speed drifts.

    The first loop is one in a process as Python starts it, the second has the malloc settings of our workers. All are kept
    alive; who has not the turn stands still. The engine's steps are those of the rows that it wrote.
    """
    run_id, reader = begin(engine)
    until(lambda: len(reader.read().get("train/loss", ([], []))[0]) > 50)
    pid, ratios = store.read(run_id).pid, []
    with bare_loop() as plain, bare_loop(GLIBC_TUNABLES=MALLOC) as tuned:
        for _ in range(turns):
            os.kill(pid, signal.SIGSTOP)
            alone, alone_tuned = plain(seconds), tuned(seconds)
            os.kill(pid, signal.SIGCONT)
            first, began = at_a_write(reader)
            time.sleep(seconds)
            last, ended = at_a_write(reader)
            speed = (last - first) / (ended - began)
            ratios.append((speed / alone, speed / alone_tuned))
    stop(engine, run_id)
    return ratios


def imports() -> float:
    """Seconds that a fresh process takes to import torch and to make its first optimiser, which loads as much again."""
    code = "import time; began = time.perf_counter(); import torch; torch.optim.SGD([torch.zeros(1)]); print(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def at_a_write(reader: MetricsReader, metric: str = "train/loss") -> tuple[int, float]:
    """Wait for the worker's next write; the step it brought and the time."""
    size = reader.path.stat().st_size
    until(lambda: reader.path.stat().st_size > size, every=0.01)  # seldom: the training has two cores, as the bare loop
    return int(reader.read()[metric][0][-1]), time.perf_counter()


def call_ms(engine: Engine, count: int) -> list[float]:
    """Milliseconds of interactive calls, each on an engine that has rested for 50 ms."""
    times = []
    for _ in range(count):
        time.sleep(0.05)
        began = time.perf_counter()
        engine.call("core.device", "cores")
        times.append(1000 * (time.perf_counter() - began))
    return times


def pss_mb(pid: int) -> float:
    """Proportional memory of a process and all its descendants, MB."""
    total, waiting = 0.0, [pid]
    while waiting:
        process = waiting.pop()
        try:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) / 1000
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except FileNotFoundError:
            continue
    return total


def idle_memory() -> float:
    """Memory of a dashboard that has answered its first page, with its engine."""
    from tests.conftest import Server, wait_for

    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            import urllib.request

            wait_for(lambda: json.loads(urllib.request.urlopen(f"{server.url}/readyz").read())["ready"], 30)
            urllib.request.urlopen(server.url).read()
            time.sleep(2)
            return pss_mb(server.process.pid)
        finally:
            server.stop()


def cold() -> dict[str, float]:
    """What can be measured once per engine."""
    began = time.perf_counter()
    engine = Engine()
    found = {"engine_start_s": time.perf_counter() - began}
    try:
        began = time.perf_counter()
        run_id, reader = begin(engine)
        until(lambda: reader.read())
        found["first_metric_cold_s"] = time.perf_counter() - began
        found["stop_s"] = stop(engine, run_id)
        began = time.perf_counter()
        run_id, reader = begin(engine)
        until(lambda: reader.read())
        found["first_metric_warm_s"] = time.perf_counter() - began
        engine.call("core.device", "cores")
        found["call_p95_ms_training"] = statistics.quantiles(call_ms(engine, 200), n=20)[-1]
        stop(engine, run_id)
        time.sleep(0.5)
        direct = time.perf_counter()
        for _ in range(1000):
            cores()
        direct_ms = time.perf_counter() - direct
        found["call_overhead_ms"] = statistics.median(call_ms(engine, 100)) - direct_ms
        pid = engine.call("os", "getpid")
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        until(lambda: answers(engine))
        found["kill_recover_s"] = time.perf_counter() - began
    finally:
        engine.close()
    return found


def in_a_fresh_process() -> dict[str, float]:
    """`cold` as a server just started would see it: nothing of Dask imported yet."""
    code = "import json; from benchmarks.engine import cold\nif __name__ == '__main__': print(json.dumps(cold()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def answers(engine: Engine) -> bool:
    """Whether a call succeeds."""
    try:
        return bool(engine.call("core.device", "cores"))
    except Exception:
        return False


def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures."""
    torch.set_num_threads(THREADS)
    next(itertools.islice(train(LONG, builtin("airline"), device=torch.device("cpu")), 1))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MANABI_RUNS"] = folder
        rounds = [in_a_fresh_process() for _ in range(options.runs)]
        engine = Engine()
        try:
            begin_warm, reader = begin(engine)
            until(lambda: reader.read())
            stop(engine, begin_warm)
            ratios = [pair for _ in range(options.runs) for pair in speeds(engine, 8)]
        finally:
            engine.close()
    found = {"throughput_ratio": statistics.median(plain for plain, _ in ratios)}
    found["throughput_same_malloc_ratio"] = statistics.median(tuned for _, tuned in ratios)
    found |= {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    found["torch_imports_s"] = statistics.median(imports() for _ in range(options.runs))
    found["idle_memory_mb"] = statistics.median(idle_memory() for _ in range(options.runs))
    return {name: found[name] for name in FIGURES}


if __name__ == "__main__":
    main("The engine: throughput, latency and memory", FIGURES, measure)
