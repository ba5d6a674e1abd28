"""`python -m core.<capability>.train`: a training on the command line, without the dashboard."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

from pydantic import Field, create_model
from pydantic_settings import CliApp

from core import capabilities
from core.device import prepare
from core.progress import Progress, Update
from core.runs import checkpoints, files, store, worker

MOST_MOMENTS, MOST_ROWS = 12, 2000  # of a training that ships


def main(capability: str, *, data: str, names: str, half: bool = False) -> None:
    """Train on a built-in dataset; print the progress and the verdict, or save the whole run into a folder.

    Every field of the capability's config is an option. data: the dataset taken if none is named; names: those there are; half: whether
    weights of 16 bits are offered.
    """
    kind = capabilities.config_class(capability)
    extra: dict[str, Any] = {
        "data": (str, Field(data, description=f"Built-in dataset: {names}.")),
        "preset": (str, Field("", description="Start from this preset; other options come on top.")),
        "save": (str, Field("", description="Folder that becomes the run's folder: weights, metrics, samples, verdict.")),
        "threads": (int, Field(0, ge=0, description="Threads of the processor; 0: as many as the dashboard takes.")),
    }
    if half:
        extra["half"] = (bool, Field(False, description="Save weights of 16 bits, half the size; the verdict is of those."))
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="", choices=["", *kind.PRESETS])
    preset = kind.from_preset(first.parse_known_args()[0].preset)
    command: Any = CliApp.run(create_model("Command", __base__=kind, **extra), **preset.model_dump())
    config = kind.model_validate(command.model_dump(include=set(kind.model_fields)))
    dataset = capabilities.module(capability, "data").builtin(command.data)
    if command.save:
        _save(capability, config, dataset, Path(command.save), half and command.half, command.threads)
    else:
        _print(capability, config, dataset, command.threads)


def _save(capability: str, config: Any, dataset: Any, target: Path, half: bool, threads: int) -> None:
    run = store.create(capability, config, dataset, data=dataset.name)
    worker.train_here(run.id, threads=threads or None, before_verdict=lambda folder: _slim(folder, half))
    folder = store.folder(run.id)
    _thin(folder)
    if (target / "label.txt").exists():  # a name that people gave it stays
        shutil.copy(target / "label.txt", folder / "label.txt")
    shutil.rmtree(target, ignore_errors=True)
    (folder / files.RESERVE).unlink()
    shutil.move(folder, target)
    print(json.loads((target / store.RESULT).read_bytes())["sentence"])


def _slim(folder: Path, half: bool) -> None:
    """What ships is to be used, not resumed: the optimiser's moments would double its size."""
    saved = checkpoints.read(folder)
    if saved:
        kept = {name: value for name, value in saved.tensors.items() if "optimiser" not in name and not name.startswith("random.")}
        if half:
            kept = {name: value.half() if value.is_floating_point() else value for name, value in kept.items()}
        checkpoints.write(folder, type(saved)(kept, saved.state))


def _thin(folder: Path) -> None:
    """Of a long training, a few moments and every so many rows of metrics are enough to replay it."""
    moments = sorted((folder / "samples").glob("*.safetensors"))
    kept = {round(n * (len(moments) - 1) / (MOST_MOMENTS - 1)) for n in range(MOST_MOMENTS)}
    for n, path in enumerate(moments):
        if len(moments) > MOST_MOMENTS and n not in kept:
            path.unlink()
    rows = (folder / store.METRICS).read_text(encoding="utf-8").splitlines()
    step = -(-len(rows) // MOST_ROWS)
    lines = [row for n, row in enumerate(rows) if n % step == 0 or n == len(rows) - 1 or "val/" in row]
    files.write_whole(folder / store.METRICS, "\n".join(lines) + "\n")


def _print(capability: str, config: Any, dataset: Any, threads: int) -> None:
    part = capabilities.module(capability, "train")
    last: list[Progress] = []

    def kept() -> Generator[Progress, Update | None, None]:
        for progress in part.train(config, dataset, device=prepare(threads or part.THREADS, config.seed)):
            last[:] = [progress]
            yield progress

    for line in worker.progress_lines(kept()):
        print(line)
    if last[0].checkpoint:
        print(capabilities.module(capability, "predict").verdict(config, dataset, last[0].checkpoint())["sentence"])
