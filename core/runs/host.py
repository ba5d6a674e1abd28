"""The engine host: a process of its own that holds the Dask cluster of one dashboard.

    python -m core.runs.host --info FILE

It must not be the web process: Dask's workers re-import the main script of the process that spawns them. It
writes its address to FILE when it is ready, holds a lock as long as it lives, and ends when its standard input
ends, that is, when the web process does.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from core.device import cores, gpus
from core.runs.files import write_whole

PRELOAD = ["core.runs.worker"]
# A step frees thousands of small pieces of its graph at once, and the next one wants them again. glibc keeps 7 of a size at
# hand; the rest is merged and cut anew, the slower the more of earlier runs lies between. Other C libraries don't read this.
MALLOC = "glibc.malloc.tcache_count=4096"


def worker_memory() -> int:
    """Bytes one worker may hold: `MANABI_WORKER_MEMORY` (GiB), or a third of what this machine or container has, at most 4 GiB."""
    from distributed.system import MEMORY_LIMIT

    wanted = os.environ.get("MANABI_WORKER_MEMORY", "")
    return int(float(wanted) * 2**30) if wanted else min(MEMORY_LIMIT // 3, 4 * 2**30)


def workers() -> dict[str, dict[str, Any]]:
    """The workers to start: one that trains per GPU (one without GPUs), and one for short calls."""
    cards = gpus()
    count = int(os.environ.get("MANABI_TRAIN_WORKERS", max(1, len(cards))))
    found = {}
    for index in range(count + 1):
        kind = "train" if index < count else "interactive"
        environment = {
            "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads sleep: they spin where another process wants the core
            "OMP_NUM_THREADS": str(cores()),
            "MANABI_NICE": "10" if kind == "train" else "0",
        }
        if cards:
            environment["CUDA_VISIBLE_DEVICES"] = cards[index % len(cards)] if kind == "train" else cards[0]
        found[f"{kind}-{index}"] = {"resources": {kind: 1}, "env": environment}
    return found


def configure() -> None:
    """Dask settings that make a dead worker mean one failed run, told at once, and no memory swapped to disk."""
    import dask
    import distributed  # noqa: F401 - sets the levels of its loggers, which the lines below change

    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its news is told by our own events, a line each
    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": 0,
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": 0.95,
            "distributed.admin.large-graph-warning-threshold": "200MB",
            "distributed.comm.timeouts.connect": "5s",
            # By default also MALLOC_TRIM_THRESHOLD_=65536: malloc would give every freed tensor back and fetch it again.
            "distributed.nanny.pre-spawn-environ": {
                "OMP_NUM_THREADS": 1,
                "MKL_NUM_THREADS": 1,
                "OPENBLAS_NUM_THREADS": 1,
                "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", MALLOC),  # read before a process begins: not in `env` above
            },
            # Dask's own watching wakes the worker a hundred times a second and takes the GIL from the training each time.
            "distributed.worker.profile.enabled": False,
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "5s",
        }
    )


def main() -> None:
    """Start the cluster, say where it is, wait for the end of standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--info", required=True, type=Path)
    options = parser.parse_args()
    lock = open(options.info.with_suffix(".lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    configure()

    from distributed import Nanny, Scheduler, SpecCluster

    common = {"nthreads": 1, "preload": PRELOAD, "memory_limit": worker_memory(), "silence_logs": logging.CRITICAL}
    cluster = SpecCluster(
        scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}},
        workers={name: {"cls": Nanny, "options": {**common, **facts}} for name, facts in workers().items()},
        silence_logs=logging.CRITICAL,
    )
    with cluster:
        write_whole(options.info, json.dumps({"address": cluster.scheduler_address, "pid": os.getpid()}))
        sys.stdin.read()


if __name__ == "__main__":
    main()
