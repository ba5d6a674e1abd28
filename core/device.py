"""Pick the device, the seed and the number of threads. The only file in `core/` that other code asks about hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """Ids of the NVIDIA GPUs of this machine, asked without importing torch; empty where there are none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [part.strip() for part in visible.split(",") if part.strip() not in {"", "-1"}]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(listing.splitlines()) if line.startswith("GPU ")]


def card() -> tuple[str, int] | None:
    """Name and memory (GiB) of the GPU that trainings will run on, asked without importing torch; None if there is none."""
    visible = gpus()
    if not visible or os.environ.get("MANABI_DEVICE", "cuda") == "cpu":
        return None
    command = ["nvidia-smi", "-i", visible[0], "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        name, mebibytes = (
            subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()[0].rsplit(",", 1)
        )
        return name.strip(), round(int(mebibytes) / 1024)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def pick() -> torch.device:
    """The GPU if torch can use one, else the CPU. `MANABI_DEVICE` (`cpu`, `cuda`) overrides."""
    import torch

    wanted = os.environ.get("MANABI_DEVICE", "")
    if wanted:
        return torch.device(wanted)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepare(threads: int | None, seed: int | None = None) -> torch.device:
    """Set torch's thread count (None: every core) and, if given, the seed; return the device.

    The nanny starts workers with one OpenMP thread, so the count is set here. Small recurrent networks are
    fastest on one thread; convolutions gain from all cores.
    """
    import torch

    torch.set_num_threads(threads or cores())
    if seed is not None:
        torch.manual_seed(seed)
    return pick()


def describe() -> dict[str, str | int | float]:
    """What trains here: kind ("cpu" or "cuda"), name, cores, and GPU memory in GiB. Imports torch."""
    device = pick()
    if device.type == "cuda":
        import torch

        facts = torch.cuda.get_device_properties(device)
        return {"kind": "cuda", "name": facts.name, "cores": cores(), "memory_gib": round(facts.total_memory / 2**30)}
    return {"kind": "cpu", "name": platform.processor() or platform.machine(), "cores": cores(), "memory_gib": 0}
