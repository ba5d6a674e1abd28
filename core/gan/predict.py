"""Use a trained generator: the verdict against the referees, samples, walks, arithmetic, and D's opinion.

Functions that take a run id read everything from the run's folder, so a page can call them by name. Pictures are uint8
(n, colours, size, size), points float32 (n, 2), both in the data's units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.device import pick
from core.errors import UserError
from core.gan import baselines, judge, quality
from core.gan.config import GanConfig
from core.gan.data import Samples, load
from core.gan.session import networks, to_pictures
from core.progress import Checkpoint
from core.runs import checkpoints

JUDGED_POINTS, JUDGED_PICTURES = 5000, 2000  # samples of each kind for the verdict
NEIGHBOURHOOD = 2000  # points used for precision and recall
MOST = 2000  # samples in one call
NAMES = {
    "network": "GAN",
    "mixture": "Gaussian mixture",
    "pca": "PCA sampling",
    "pixels": "pixel Gaussians",
    "held_out": "held-out real samples",
}


class Trained:
    """A run's networks, ready to use: the averaged generator and D."""

    def __init__(self, config: GanConfig, data: Samples, saved: Checkpoint) -> None:
        self.config, self.data = config, data
        self.generator, self.discriminator = networks(config, data)
        try:
            self.generator.load_state_dict(saved.part("average"))
            self.discriminator.load_state_dict(saved.part("discriminator"))
        except RuntimeError:
            raise UserError("The weights of this run do not fit its settings.") from None
        self.device = pick()
        self.generator.to(self.device).eval()
        self.discriminator.to(self.device).eval()
        self.company = self.generator.from_data(torch.from_numpy(data.values[: min(data.train, MOST)]).float().to(self.device))

    @torch.no_grad()
    def make(self, noise: Tensor, labels: Tensor | None) -> np.ndarray:
        """Noise (n, latent_dim) and classes (n,) -> samples in the data's units."""
        parts = []
        for start in range(0, len(noise), 500):
            told = None if labels is None else labels[start : start + 500].to(self.device)
            parts.append(self.generator.to_data(self.generator(noise[start : start + 500].to(self.device), told)).cpu())
        values = torch.cat(parts).numpy()
        return values if self.data.points else to_pictures(values)

    def noise(self, count: int, seed: int) -> Tensor:
        """The noise of a seed; a longer list begins with the shorter one, which torch does not promise.  # (count, latent_dim)"""
        random, shape = np.random.default_rng(seed), (count, self.config.latent_dim)
        drawn = random.uniform(-1, 1, shape) if self.config.noise == "uniform" else random.standard_normal(shape)
        return torch.from_numpy(drawn.astype(np.float32))

    def labels(self, count: int, asked: int | None = None) -> Tensor | None:
        """Classes for `count` samples: the one asked for, else all in turn; None for networks that know no classes."""
        if not self.config.conditional:
            return None
        return torch.full((count,), asked) if asked is not None else torch.arange(count) % len(self.data.classes)

    def usual_labels(self, count: int) -> Tensor | None:
        """Classes as often as the data has them, as the verdict asks for them.  # (count,)"""
        usual = self.data.usual_labels(count)
        return torch.from_numpy(usual) if self.config.conditional and usual is not None else None

    @torch.no_grad()
    def logits(self, values: np.ndarray, labels: Tensor | None = None) -> np.ndarray:
        """D's number for each sample given in the data's units.  # (n,)"""
        given = self.generator.from_data(torch.from_numpy(np.asarray(values)).float().to(self.device))
        if labels is None:
            labels = self.labels(len(given), 0)
        told = None if labels is None else labels.to(self.device)
        return self.discriminator.each(given, told, company=self.company).float().cpu().numpy()


opened = checkpoints.opener(GanConfig, load, Trained)


# the verdict


def verdict(config: GanConfig, data: Samples, checkpoint: Checkpoint) -> dict[str, Any]:
    """The GAN and every referee under the same measures, and one sentence.

    Returns JSON-ready facts: `names`, `scores[model][measure]`, `missing` (names of modes), `main` (the measure that
    decides), `beats`, `best_referee`, `sentence`.
    """
    return _judged(Trained(config, data, checkpoint))


def evaluate(run_id: str) -> dict[str, Any]:
    """The verdict of a run, from its folder. The worker calls it when a training ends."""
    return _judged(opened(run_id))


def _judged(trained: Trained) -> dict[str, Any]:
    result = _points(trained) if trained.data.points else _pictures(trained)
    return result | judgement(result)


def _points(trained: Trained) -> dict[str, Any]:
    data, count = trained.data, JUDGED_POINTS
    # What all are compared with is real and apart from what the ceiling shows: what was learned from.
    real = data.values[: min(data.train, count)]
    made = {
        "network": trained.make(trained.noise(count, 1), trained.usual_labels(count)),
        "mixture": baselines.gaussian_mixture(data, count, 1),
    }
    if len(data.values) > data.train:
        made["held_out"] = baselines.held_out(data, count, 1)[0]
    scores = {}
    for name, fake in made.items():
        scores[name] = quality.of_points(real, fake, data.modes, data.spread)
        near = quality.precision_recall(real[:NEIGHBOURHOOD], fake[:NEIGHBOURHOOD])
        scores[name] |= dict(zip(("precision", "recall"), near, strict=True))
    missing: list[str] = []
    if data.modes is not None:
        covered, _ = quality.modes_covered(made["network"], data.modes, data.spread)
        missing = [name for name, found in zip(data.mode_names, covered, strict=True) if not found]
    return {"names": NAMES, "scores": scores, "missing": missing, "modes": len(data.mode_names), "main": "wasserstein", "points": True}


def _pictures(trained: Trained) -> dict[str, Any]:
    data, count = trained.data, min(JUDGED_PICTURES, trained.data.train)
    expert = judge.load(data.builtin)
    asked = trained.usual_labels(count)
    told = None if asked is None else asked.numpy()
    made = {
        "network": trained.make(trained.noise(count, 1), asked),
        "pca": baselines.pca(data, count, 1, told),
        "pixels": baselines.pixel_gaussians(data, count, 1, told),
    }
    answers = {"network": told, "pca": None, "pixels": told}
    if len(data.values) > data.train:
        made["held_out"], kinds = baselines.held_out(data, count, 1)
        answers["held_out"] = kinds if told is not None else None
    real = judge.look(expert, data.values[:count])[0]
    scores = {}
    for name, pictures in made.items():
        found = quality.of_pictures(real, *judge.look(expert, pictures), asked=answers[name], named=bool(data.builtin))
        if name == "pca" and told is not None:
            found.pop("fidelity", None)  # it can't be asked for a class
        scores[name] = {key: value for key, value in found.items() if math.isfinite(value)}
    return {
        "names": NAMES,
        "scores": scores,
        "missing": [],
        "modes": 0,
        "main": "frechet",
        "points": False,
        "conditional": told is not None,
    }


def judgement(result: dict[str, Any]) -> dict[str, Any]:
    """One sentence with numbers: are the samples better than those of the simple ways?"""
    main, scores, names = result["main"], result["scores"], result["names"]
    rivals = {name: found[main] for name, found in scores.items() if name not in {"network", "held_out"} and main in found}
    mine = scores["network"].get(main)
    what = {"wasserstein": "sliced Wasserstein distance", "frechet": "Frechet distance in our judge's features"}[main]
    if mine is None or not rivals:
        return {"beats": False, "best_referee": "", "sentence": "There are too few samples to compare the GAN with anything."}
    best = min(rivals, key=lambda name: rivals[name])
    beats = mine < rivals[best]
    numbers = f"{what} {_short(mine)} against {_short(rivals[best])}"
    sentence = f"The GAN {'beats' if beats else 'does not beat'} {_article(names[best])} ({numbers}"
    ceiling = scores.get("held_out", {}).get(main)
    sentence += f"; held-out real samples have {_short(ceiling)})." if ceiling is not None else ")."
    if result["modes"]:
        found = result["modes"] - len(result["missing"])
        share = 100 * scores["network"]["on_modes"]
        sentence += f" It covers {found} of {result['modes']} clusters and puts {share:.0f} % of its samples on them"
        sentence += f" (missing: {_some(result['missing'])})." if result["missing"] else "."
    elif "fidelity" in scores["network"]:
        what = "names {} % of its samples as what was asked for" if result["conditional"] else "is sure what {} % of its samples show"
        sentence += f" The judge {what.format(round(100 * scores['network']['fidelity']))}."
    return {"beats": beats, "best_referee": best, "sentence": sentence}


def _article(name: str) -> str:
    return f"a {name}" if name == "Gaussian mixture" else name


def _short(value: float) -> str:
    return f"{value:.3g}"


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# use


def sample(run_id: str, count: int, seed: int = 0, label: int | None = None) -> dict[str, Any]:
    """New samples and D's number for each: `values`, `labels` (class numbers or None), `logits`."""
    if not 1 <= count <= MOST:
        raise UserError(f"Between 1 and {MOST:,} samples can be made at a time.")
    trained = opened(run_id)
    if label is not None and not 0 <= label < len(trained.data.classes):
        raise UserError("There is no such class.")
    labels = trained.labels(count, label)
    values = trained.make(trained.noise(count, seed), labels)
    told = None if labels is None else labels.numpy()
    return {"values": values, "labels": told, "logits": trained.logits(values, labels)}


def mix(run_id: str, seed: int, weights: list[list[float]], label: int | None = None) -> np.ndarray:
    """Samples from mixtures of the first noises of a seed: weights (n, k) over k noises -> n samples.

    Latent arithmetic (1, -1, 1: "a minus b plus c"), walks (1 - t, t) and planes are all of this form. For normal noise a
    walk keeps its length: it goes along a great circle (White 2016), so that every step is as likely as its ends.
    """
    trained = opened(run_id)
    matrix = torch.tensor(weights, dtype=torch.float32)
    if matrix.ndim != 2 or not 1 <= len(matrix) <= MOST or not torch.isfinite(matrix).all():
        raise UserError("The weights of a mixture must be numbers.")
    return trained.make(matrix @ trained.noise(matrix.shape[1], seed), trained.labels(len(matrix), label or 0))


def nearest(run_id: str, seed: int, count: int, label: int | None = None) -> dict[str, np.ndarray]:
    """For each of the first samples of a seed, the training picture nearest to it in pixels, and how far away it is.

    `pictures`, `neighbours` (count, colours, size, size) uint8; `distance` (count,) root mean squared pixel difference over
    255; `usual`: the median of that distance between held-out pictures and their nearest training picture.
    """
    trained = opened(run_id)
    data = trained.data
    if data.points:
        raise UserError("Points have no training picture.")
    pictures = trained.make(trained.noise(count, seed), trained.labels(count, label))
    known = torch.from_numpy(data.values[: data.train].reshape(data.train, -1)).float()

    def look(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, index = torch.cdist(torch.from_numpy(values.reshape(len(values), -1)).float(), known).min(1)
        return (distance / math.sqrt(known.shape[1]) / 255).numpy(), index.numpy()

    distance, index = look(pictures)
    rest = data.values[data.train :][:200]
    usual = float(np.median(look(rest)[0])) if len(rest) else float("nan")
    return {"pictures": pictures, "neighbours": data.values[index], "distance": distance, "usual": np.array(usual)}


def opinion(run_id: str, values: list[list[float]], label: int = 0) -> np.ndarray:
    """D's number for points that the visitor placed; conditional networks are told a class.  # (n,)"""
    points = np.array(values, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all() or len(points) > MOST:
        raise UserError("Points must be pairs of numbers.")
    trained = opened(run_id)
    if not trained.data.points:
        raise UserError("This network judges pictures, not points.")
    return trained.logits(points, trained.labels(len(points), label))


def quiz(run_id: str, count: int, seed: int) -> dict[str, np.ndarray]:
    """Real (held out where there are any) and made samples, shuffled: `values`, `real` (count,) bool, `logits`, `labels`."""
    trained = opened(run_id)
    data, random = trained.data, np.random.default_rng(seed)
    pool = np.arange(data.train, len(data.values)) if len(data.values) > data.train else np.arange(data.train)
    rows = random.choice(pool, min(len(pool), count // 2), replace=False)
    made = len(rows)
    kinds = random.integers(0, max(1, len(data.classes)), made) if trained.config.conditional else None
    labels = None if kinds is None else torch.from_numpy(kinds)
    fake = trained.make(trained.noise(made, seed + 1000), labels)
    values = np.concatenate([data.values[rows], fake])
    told = None if kinds is None or data.labels is None else np.concatenate([data.labels[rows], kinds])
    logits = trained.logits(values, None if told is None else torch.from_numpy(told))
    order = random.permutation(len(values))
    found = {"values": values[order], "real": (np.arange(len(values)) < len(rows))[order], "logits": logits[order]}
    return found | ({} if told is None else {"labels": told[order]})
