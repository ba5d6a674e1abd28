"""Use a trained classifier: the verdict against simple ways, answers for new pictures, what it confuses.

Functions that take a run id read everything from the run's folder, so a page can call them by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch.nn import functional as F

from core import pictures
from core.errors import UserError
from core.image import baselines, own
from core.image.config import HEAD, ImageConfig
from core.image.data import MOST_PHOTOS, Pictures, load
from core.image.models import Classifier, probabilities
from core.image.session import AT_ONCE, revived, seen
from core.progress import Checkpoint
from core.runs import checkpoints, store

BINS = 10  # of the calibration curve
ASKED = 6000  # pictures of each half that are looked at for wrong labels


@dataclass(frozen=True)
class Trained:
    """A run's network, its settings and its pictures."""

    config: ImageConfig
    data: Pictures
    network: Classifier

    @torch.no_grad()
    def logits(self, values: np.ndarray) -> torch.Tensor:
        """Pictures uint8 (n, colours, size, size) -> logits (n, classes)."""
        if not len(values):
            return torch.zeros(0, len(self.data.classes))
        if self.config.network == HEAD:
            return self.network(seen(self.config, values))  # EfficientNet's features are remembered
        parts = range(0, len(values), AT_ONCE)
        return torch.cat([self.network(seen(self.config, values[start : start + AT_ONCE])) for start in parts])


def restored(config: ImageConfig, data: Pictures, checkpoint: Checkpoint) -> Trained:
    """The network of a checkpoint. Raises `UserError` if it does not fit."""
    return Trained(config, data, revived(config, data, checkpoint))


_opened = checkpoints.opener(ImageConfig, load, restored)


def opened(run_id: str) -> Trained:
    """A run's network. Raises `UserError` if it has no weights yet. Pictures that were not here may have been downloaded since."""
    trained = _opened(run_id)
    return trained if len(trained.data.values) else replace(trained, data=load(store.folder(run_id)))


# the verdict


def verdict(config: ImageConfig, data: Pictures, checkpoint: Checkpoint) -> dict[str, Any]:
    """The network and every rival on the pictures held out, and one sentence.

    Returns JSON-ready facts: `names`, `scores[model]["accuracy"]`, `held_out` (how many), `learned_from` (how many pictures the network
    and how many the rivals), `confusion` (rows: what it is), `precision` and `recall` by class, None where there is nothing to count,
    `calibration`, `temperature`, and what `judgement` says.
    """
    return _judged(restored(config, data, checkpoint))


def evaluate(run_id: str) -> dict[str, Any]:
    """The verdict of a run, from its folder. The worker calls it when a training ends."""
    return _judged(opened(run_id))


def _judged(trained: Trained) -> dict[str, Any]:
    config, data = trained.config, trained.data
    values, truth = data.held_out()[0], np.array(data.held_out()[1])
    if not len(values):
        return {"scores": {}, "names": {}, "beats": False, "sentence": "No pictures were held out, so nothing can be said of its accuracy."}
    logits = trained.logits(values)
    said = logits.argmax(1).numpy()
    right = {"network": said == truth} | {name: found == truth for name, found in baselines.answers(data).items()}
    scores = {name: float(found.mean()) for name, found in right.items()}
    confusion = np.zeros((len(data.classes),) * 2, int)
    np.add.at(confusion, (truth, said), 1)
    half = len(truth) // 2  # the temperature is found on one half and judged on the other
    heat = temperature(logits[:half], torch.from_numpy(truth[:half])) if half else 1.0
    result: dict[str, Any] = {
        "names": {"network": config.network, **baselines.NAMES},
        "scores": {name: {"accuracy": score} for name, score in scores.items()},
        "held_out": len(truth),
        "learned_from": {"network": data.train, "rivals": baselines.count(data)},
        "confusion": confusion.tolist(),
        "precision": shares(confusion.diagonal(), confusion.sum(0)),
        "recall": shares(confusion.diagonal(), confusion.sum(1)),
        "temperature": heat,
        "calibration": {
            "as it is": calibration(probabilities(logits[half:]).numpy(), truth[half:]),
            "with temperature": calibration(probabilities(logits[half:], heat).numpy(), truth[half:]),
        },
    }
    return result | judgement(config, right)


def shares(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    """One count over another, class by class; None where the other is 0."""
    return [float(some / every) if every else None for some, every in zip(part, whole, strict=True)]


def judgement(config: ImageConfig, right: dict[str, np.ndarray]) -> dict[str, Any]:
    """One sentence with numbers, and how sure they are. right: by model, whether it named each picture rightly.

    `chance`: how often two equally good models would differ so much on these pictures (McNemar 1947, exact); below 5 % one beats the other.
    """
    scores = {name: float(found.mean()) for name, found in right.items()}
    best = max((name for name in scores if name != "network"), key=lambda name: scores[name])
    mine, count, rival = scores["network"], len(right["network"]), f"{baselines.NAMES[best]} ({100 * scores[best]:.1f} %)"
    only_mine, only_theirs = int((right["network"] & ~right[best]).sum()), int((right[best] & ~right["network"]).sum())
    chance = float(binomtest(only_mine, only_mine + only_theirs).pvalue) if only_mine + only_theirs else 1.0
    beats = mine > scores[best] and chance < 0.05
    if beats or mine <= scores[best]:
        words = f"{'beats' if beats else 'does not beat'} {rival}"
    else:
        words = f"is ahead of {rival}, but not by more than chance allows"
    low, high = (f"{100 * share:.{1 if count >= 1000 else 0}f}" for share in interval(round(mine * count), count))
    sentence = (
        f"{config.network} names {100 * mine:.1f} % of {count:,} held-out pictures rightly (with 95 % certainty {low} to {high} %) and "
        f"{words}."
    )
    return {"beats": beats, "best_referee": best, "chance": chance, "sentence": sentence}


def interval(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    share, z = right / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def temperature(logits: torch.Tensor, truth: torch.Tensor) -> float:
    """The softmax temperature with the least surprise (Guo et al. 2017), found on a grid."""
    grid = torch.logspace(-1, 1, 81)
    losses = torch.stack([F.cross_entropy(logits / heat, truth) for heat in grid])
    return float(grid[losses.argmin()])


def calibration(chances: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """How often it is right when it is so sure: by ten steps of confidence, and the mean gap (ECE)."""
    sure, right = chances.max(1), chances.argmax(1) == truth
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    mean = np.bincount(place, sure, BINS) / np.maximum(count, 1)
    share = np.bincount(place, right, BINS) / np.maximum(count, 1)
    error = float((count * np.abs(mean - share)).sum() / len(truth))
    return {"sure": mean.tolist(), "right": share.tolist(), "count": count.tolist(), "error": error}


# answers


def classify(run_id: str, values: np.ndarray) -> dict[str, Any]:
    """Chances for pictures uint8 (n, colours, size, size) of the run's shape.  # chances (n, classes) float32"""
    trained = opened(run_id)
    if values.ndim != 4 or values.shape[1:] != trained.data.values.shape[1:] or values.dtype != np.uint8:
        raise UserError("These pictures do not have the size that the network was trained on.")
    return {"chances": probabilities(trained.logits(values)).numpy(), "classes": trained.data.classes}


def classify_zip(run_id: str, upload_id: str) -> dict[str, Any]:
    """Chances for every picture of an upload, a zip or a single one, cut to the run's size.  # chances (n, classes), names (n,), notes"""
    trained = opened(run_id)
    colours, size, _ = trained.data.shape
    values, names, notes = pictures.of_zip(own.zip_of(upload_id), size, colours == 3, MOST_PHOTOS, 1)
    return {"chances": probabilities(trained.logits(values)).numpy(), "names": names, "notes": notes}


def classify_photo(run_id: str, content: bytes) -> dict[str, Any]:
    """Chances for one photo from its bytes. Raises `UserError` if it is none."""
    trained = opened(run_id)
    colours, size, _ = trained.data.shape
    values = pictures.cropped(pictures.open_picture(content)[0], size, colours == 3)[None]
    return {"chances": probabilities(trained.logits(values)).numpy(), "classes": trained.data.classes}


def confused(run_id: str, truth: int, said: int, most: int = 24) -> dict[str, Any]:
    """The held-out pictures in one cell of the confusion matrix, the surest first: `count` of all, pictures uint8, how sure (n,)."""
    trained = opened(run_id)
    values, labels = trained.data.held_out()
    chances = probabilities(trained.logits(values)).numpy()
    rows = np.flatnonzero((labels == truth) & (chances.argmax(1) == said))
    count, rows = len(rows), rows[np.argsort(-chances[rows, said])][:most]
    return {"count": count, "pictures": values[rows], "sure": chances[rows, said], "rows": rows}


def mistakes(run_id: str, most: int = 24) -> dict[str, Any]:
    """The held-out pictures that it is wrong about and surest of."""
    trained = opened(run_id)
    values, labels = trained.data.held_out()
    chances = probabilities(trained.logits(values)).numpy()
    said = chances.argmax(1)
    wrong = np.flatnonzero(said != labels)
    wrong = wrong[np.argsort(-chances[wrong, said[wrong]])][:most]
    return {
        "count": int((said != labels).sum()),
        "pictures": values[wrong],
        "sure": chances[wrong, said[wrong]],
        "said": said[wrong],
        "truth": labels[wrong],
    }


# train, explain, fix


def suspects(run_id: str, most: int = 24) -> dict[str, Any]:
    """Pictures whose label the network believes least, in either half: perhaps the label is wrong.

    `rows`: their place in the dataset; pictures uint8; `label`, `said`: classes; `chance` that it gives the label; `known`: learned from.
    """
    trained = opened(run_id)
    data = trained.data
    asked = np.r_[: min(ASKED, data.train), data.train : min(data.train + ASKED, len(data.values))]
    chances = probabilities(trained.logits(data.values[asked])).numpy()
    believed = chances[np.arange(len(asked)), data.labels[asked]]
    order = np.argsort(believed)[:most]
    rows = asked[order]
    facts = {"label": data.labels[rows], "said": chances[order].argmax(1), "chance": believed[order], "known": rows < data.train}
    return {"rows": rows, "pictures": data.values[rows], **facts}


def changed(run_id: str, most: int = 12) -> dict[str, Any]:
    """A run beside the one whose weights it began with, on its own held-out pictures: accuracies, what was mended, what was spoiled.

    `before`, `after`: accuracy, None if nothing was held out; `mended`, `spoiled`: numbers; `mended_pictures`, `spoiled_pictures` uint8,
    up to `most`. Raises `UserError` if it began with no other run's weights, or that run is gone.
    """
    trained = opened(run_id)
    if not trained.config.warm:
        raise UserError("This run began with weights of its own.")
    earlier = opened(trained.config.warm)
    values, truth = trained.data.held_out()
    names = np.array([trained.data.classes.index(name) if name in trained.data.classes else -1 for name in earlier.data.classes])
    old = names[earlier.logits(values).argmax(1).numpy()] == truth
    new = trained.logits(values).argmax(1).numpy() == truth
    found: dict[str, Any] = {"before": float(old.mean()), "after": float(new.mean())} if len(truth) else {"before": None, "after": None}
    for name, rows in (("mended", new & ~old), ("spoiled", old & ~new)):
        found |= {name: int(rows.sum()), f"{name}_pictures": values[np.flatnonzero(rows)[:most]]}
    return found
