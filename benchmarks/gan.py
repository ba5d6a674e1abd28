"""How well the GAN presets do on every seed, and the speed of the loop.

    python -m benchmarks.gan [--json] [--runs 5]

A preset is trained with seeds 0 to `--runs` - 1 on the dataset it is named after; 5,000 samples of each run are judged.
"worst" is the worst seed, seconds are the median. Pictures from shipped weights are judged as the page judges them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.engine import at_a_write, until
from benchmarks.report import Figure, main
from core.gan import predict
from core.gan.config import GanConfig
from core.gan.data import BUILTIN, builtin
from core.gan.diagnose import collapsed, findings
from core.gan.objectives import OBJECTIVES, penalty
from core.gan.session import Session
from core.gan.train import THREADS, train
from core.runs import store
from core.runs.engine import Engine
from core.runs.metrics import MetricsReader

CPU = torch.device("cpu")
FASHION = "example-gan-fashion"
FIGURES = {
    "ring8_modes_worst": Figure("ring of 8: clusters covered, worst seed", "", 8, True),
    "ring8_quality_worst": Figure("ring of 8: samples within 3 standard deviations of one, worst seed", "%", 98, True),
    "ring8_s": Figure("ring of 8: training", "s", 60),
    "grid25_modes_worst": Figure("grid of 25: clusters covered, worst seed", "", 25, True),
    "grid25_quality_worst": Figure("grid of 25: samples within 3 standard deviations of one, worst seed", "%", 95, True),
    "grid25_s": Figure("grid of 25: training", "s", 120),
    "grid100_modes_worst": Figure("grid of 100: clusters covered, worst seed", "", 100, True),
    "grid100_quality_worst": Figure("grid of 100: samples within 3 standard deviations of one, worst seed", "%", 98.9, True),
    "grid100_s": Figure("grid of 100: training", "s"),
    "presets_converged": Figure("presets that do what they promise on every seed", ""),
    "presets_total": Figure("presets", ""),
    "fashion_fidelity": Figure("Fashion-MNIST, shipped weights: samples judged to be what was asked for", "%"),
    "fashion_precision": Figure("Fashion-MNIST, shipped weights: precision", ""),
    "fashion_recall": Figure("Fashion-MNIST, shipped weights: recall", ""),
    "fashion_frechet": Figure("Fashion-MNIST, shipped weights: Frechet distance in our judge's features", ""),
    "fashion_fidelity_held_out": Figure("Fashion-MNIST, held-out real pictures: the judge agrees", "%"),
    "fashion_frechet_held_out": Figure("Fashion-MNIST, held-out real pictures: Frechet distance", ""),
    "fashion_frechet_pixels": Figure("Fashion-MNIST, per-class pixel Gaussians: Frechet distance", ""),
    "fashion_frechet_pca": Figure("Fashion-MNIST, PCA sampling: Frechet distance", ""),
    "loop_ratio": Figure("our loop's steps/s over a minimal hand-written loop of the same networks", "", 0.95, True),
    "engine_ratio": Figure("steps/s through the engine, pictures on, over the bare loop alone", "", 0.90, True),
}
Scores = dict[str, float]

# preset -> dataset, and what it promises
PROMISES: dict[str, tuple[str, Callable[[Scores, bool], bool]]] = {
    "Balanced": ("islands", lambda found, sick: found["modes"] == 3 and not sick),
    "Ring of 8": ("ring8", lambda found, sick: found["modes"] == 8 and not sick),
    "Grid of 25": ("grid25", lambda found, sick: found["modes"] == 25 and not sick),
    "Grid of 100": ("grid100", lambda found, sick: found["modes"] == 100 and not sick),
    "Collapse": ("ring8", lambda found, sick: sick),
    "Digits": ("digits", lambda found, sick: found["fidelity"] >= 0.8 and found["recall"] >= 0.3 and not sick),
    "Fashion": ("fashion", lambda found, sick: found["fidelity"] >= 0.7 and found["recall"] >= 0.3 and not sick),
}


def fight(preset: str, dataset: str, seed: int) -> tuple[Scores, bool, float]:
    """Train a preset with a seed: the scores of its samples, whether a collapse was noticed, and the seconds it took."""
    config, data = GanConfig.from_preset(preset).updated({"seed": seed}), builtin(dataset)
    torch.set_num_threads(THREADS)
    curves: dict[str, tuple[list[int], list[float]]] = {}
    began = time.perf_counter()
    for progress in train(config, data, device=CPU):
        for name, value in progress.metrics.items():
            steps, values = curves.setdefault(name, ([], []))
            steps.append(progress.step)
            values.append(value)
    seconds = time.perf_counter() - began
    assert progress.checkpoint
    scores = predict.verdict(config, data, progress.checkpoint())["scores"]["network"]
    sick = collapsed(findings({name: (np.array(s), np.array(v)) for name, (s, v) in curves.items()}, len(data.mode_names), config.steps))
    return scores, sick, seconds


def presets(runs: int) -> dict[str, float]:
    """Every preset on every seed."""
    found: dict[str, float] = {}
    kept = 0
    for preset, (dataset, promise) in PROMISES.items():
        fights = [fight(preset, dataset, seed) for seed in range(runs)]
        good = [promise(scores, sick) for scores, sick, _ in fights]
        kept += all(good)
        print(f"{preset}: {sum(good)} of {runs} seeds", file=sys.stderr, flush=True)
        if dataset in {"ring8", "grid25", "grid100"} and preset != "Collapse":
            found[f"{dataset}_modes_worst"] = min(scores["modes"] for scores, _, _ in fights)
            found[f"{dataset}_quality_worst"] = 100 * min(scores["on_modes"] for scores, _, _ in fights)
            found[f"{dataset}_s"] = statistics.median(seconds for _, _, seconds in fights)
    return found | {"presets_converged": kept, "presets_total": len(PROMISES)}


def fashion() -> dict[str, float]:
    """The verdict of the shipped generator, found again from its weights."""
    every = predict.evaluate(FASHION)["scores"]
    scores = every["network"]
    return {
        "fashion_fidelity_held_out": 100 * every["held_out"]["fidelity"],
        "fashion_frechet_held_out": every["held_out"]["frechet"],
        "fashion_frechet_pixels": every["pixels"]["frechet"],
        "fashion_frechet_pca": every["pca"]["frechet"],
        "fashion_fidelity": 100 * scores["fidelity"],
        "fashion_precision": scores["precision"],
        "fashion_recall": scores["recall"],
        "fashion_frechet": scores["frechet"],
    }


SPEED = GanConfig(steps=50_000, evaluate_every=5000)


def bare_loop(steps: int) -> float:
    """Steps/s of the least loop that trains the same networks."""
    run = Session(SPEED, builtin("ring8"), CPU)
    g, d, objective = run.generator, run.discriminator, OBJECTIVES[SPEED.objective]
    g_optimiser, d_optimiser = (torch.optim.Adam(net.parameters(), lr=1e-3, betas=(SPEED.beta1, 0.99), foreach=True) for net in (g, d))
    began = time.perf_counter()
    for _ in range(steps):
        real = g.from_data(run.values[torch.randint(len(run.values), (SPEED.batch_size,))])
        with torch.no_grad():
            fake = g(torch.randn(SPEED.batch_size, SPEED.latent_dim))
        loss = objective.discriminator(d(real), d(fake)) + SPEED.penalty * penalty(SPEED.regulariser, d, real, fake)
        d_optimiser.zero_grad()
        loss.backward()
        d_optimiser.step()
        real = g.from_data(run.values[torch.randint(len(run.values), (SPEED.batch_size,))])
        d.requires_grad_(False)
        g_optimiser.zero_grad()
        objective.generator(d(real), d(g(torch.randn(SPEED.batch_size, SPEED.latent_dim)))).backward()
        g_optimiser.step()
        d.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(list(run.average.parameters()), list(g.parameters()), 1 - SPEED.ema)
    return steps / (time.perf_counter() - began)


def our_loop(steps: int) -> float:
    """Steps/s of `train`."""
    loop = train(SPEED, builtin("ring8"), device=CPU)
    next(loop)
    began = time.perf_counter()
    for _ in itertools.islice(loop, steps):
        continue
    return steps / (time.perf_counter() - began)


def _enough(reader: MetricsReader) -> bool:
    return len(reader.read().get("train/d_loss", ([], []))[0]) > 100


def _settled(engine: Engine, run_id: str) -> bool:
    return engine.look(run_id).settled


def engine_ratio(runs: int, seconds: float = 4.0) -> float:
    """The median over runs of steps/s through the engine, with samples and checkpoints written, over the bare loop alone."""
    engine = Engine()
    ratios = []
    try:
        for _ in range(runs):
            run = engine.start("gan", [SPEED], builtin("ring8"), visitor="benchmark")[0]
            reader = MetricsReader(store.folder(run.id) / store.METRICS)
            until(partial(_enough, reader))
            first, began = at_a_write(reader, "train/d_loss")
            time.sleep(seconds)
            last, ended = at_a_write(reader, "train/d_loss")
            engine.ask(run.id, state="stopped")
            until(partial(_settled, engine, run.id))
            ratios.append((last - first) / (ended - began) / bare_loop(600))
    finally:
        engine.close()
    return statistics.median(ratios)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    torch.set_num_threads(THREADS)
    bare_loop(100)
    found: dict[str, Any] = {"loop_ratio": statistics.median(our_loop(500) / bare_loop(500) for _ in range(max(5, options.runs)))}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MANABI_RUNS"] = folder
        found["engine_ratio"] = engine_ratio(max(5, options.runs))
    if store.exists(FASHION):
        found |= fashion()
    return found | presets(options.runs)


assert set(PROMISES) == set(GanConfig.PRESETS) and {dataset for dataset, _ in PROMISES.values()} <= set(BUILTIN)

if __name__ == "__main__":
    main("GAN: presets on every seed, shipped weights, and the speed of the loop", FIGURES, measure)
