"""Notice when a fight goes wrong, say it in words, and know what helps. Numpy only: the page calls it while a run trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]  # metric -> steps, values

FEW_MODES = 0.75  # of all clusters: covering fewer is a collapse
NARROW = 0.5  # of the data's spread
SATURATED = 0.98  # share of pairs in which D is right
EARLY = 3  # measurements that must agree
GRACE = 0.2  # share of the training before anything is said: every G begins with one blot


@dataclass(frozen=True)
class Finding:
    """What is wrong (`kind`), in words, with the numbers that say so."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Remedy:
    """A change of settings that helps, and why. fits_weights: whether it can go on from the same weights."""

    title: str
    why: str
    changes: dict[str, Any]
    fits_weights: bool = True


# What every remedy takes for granted: both learn, in turn, and D is not held back.
_FAIR: dict[str, Any] = {
    "turn": "both",
    "g_updates": 1,
    "g_learning_rate": 0.001,
    "d_learning_rate": 0.004,
    "schedule": "cosine",
    "steps": 3000,
}
REMEDIES = (
    Remedy(
        "Another objective",
        "The non-saturating loss pushes G hardest where D is sure. In the original game G's gradient vanishes there.",
        {**_FAIR, "objective": "non-saturating"},
    ),
    Remedy(
        "A gradient penalty",
        "R1 keeps D smooth around the real samples, so that it points the way from afar and the game calms down.",
        {**_FAIR, "regulariser": "R1", "penalty": 0.1},
    ),
    Remedy(
        "Two time scales",
        "With the larger learning rate D keeps up with G (Heusel et al. 2017), so G can't run to one place and stay there.",
        _FAIR,
    ),
    Remedy(
        "Packing",
        "D judges four samples together and sees at once when they are all alike (Lin et al. 2018).",
        {**_FAIR, "packing": 4, "conditional": False},
        fits_weights=False,
    ),
)


def findings(curves: Curves, modes: int, total: int) -> list[Finding]:
    """What the metrics of a run so far show.

    modes: how many clusters the data has, 0 if that is not known; total: rounds planned.
    """
    found: list[Finding] = []
    if max((int(steps[-1]) for steps, _ in curves.values() if len(steps)), default=0) < GRACE * total:
        return found
    covered, spread = _values(curves, "quality/modes"), _values(curves, "quality/diversity")
    if modes and len(covered) >= EARLY and np.median(covered[-EARLY:]) < FEW_MODES * modes:
        now, best = int(covered[-1]), int(covered.max())
        lost = f" It once covered {best}." if best > now + 1 else ""
        found.append(Finding("modes", f"Mode collapse: G covers {now} of {modes} clusters only.{lost}"))
    if len(spread) >= EARLY and np.median(spread[-EARLY:]) < NARROW:
        share = 100 * float(spread[-1])
        found.append(Finding("diversity", f"The samples are too much alike: their spread is {share:.0f} % of the data's."))
    right = _values(curves, "train/d_accuracy")[-100:]
    if len(right) == 100 and right.mean() > SATURATED:
        found.append(
            Finding("saturated", f"D is right about {100 * right.mean():.0f} % of the pairs: it has won, and G learns little from it.")
        )
    return found


def collapsed(found: list[Finding]) -> bool:
    """Whether one of the findings is a mode collapse."""
    return any(finding.kind in {"modes", "diversity"} for finding in found)


def _values(curves: Curves, name: str) -> np.ndarray:
    return curves[name][1] if name in curves else np.zeros(0)
