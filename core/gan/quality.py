"""How good samples are, in numbers: for points on the plane, and for features of pictures. Numpy and scikit-learn only.

real, fake  (n, 2) points in the data's units, or (n, features) of a picture as the judge sees it.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min

CELLS = 24  # per side of the grid on which densities are compared
DIRECTIONS = 64  # of the sliced Wasserstein distance
SPREADS = 3  # a sample within 3 standard deviations of a centre belongs to that mode
FAIR_SHARE = 0.2  # a mode counts as covered from this part of its fair share of samples on
SURE = 0.9  # probability from which the judge counts as sure
NEIGHBOURS = 3  # of the k-nearest-neighbour manifolds

METRICS = {
    "kl": "KL divergence of the real from the fake density on a grid, in nats. 0: the same; large: places G never visits.",
    "js": "Jensen-Shannon divergence on the same grid, 0 to 0.69 nats. Counts missing and invented places alike.",
    "wasserstein": "Sliced Wasserstein distance: how far the samples must be moved to become the real ones, in units of the data.",
    "modes": "Clusters covered: at least a fifth of its fair share of samples lies within 3 standard deviations of its centre.",
    "on_modes": "Share of samples within 3 standard deviations of a cluster's centre. The data itself has 0.989.",
    "diversity": "Spread of the samples over that of the data. Near 0: G says the same thing again and again.",
    "precision": "Share of samples inside the real manifold (k-nearest neighbours, Kynkaanniemi et al. 2019): are they believable?",
    "recall": "Share of real ones inside the samples' manifold: is everything imitated?",
    "fidelity": "Share of samples that the judge names as the class they were asked for; without classes, share of which it is sure.",
    "balance": "Entropy of the classes that the judge sees over that of even classes. 1: all equally often; 0: always the same.",
    "frechet": "Frechet distance of real and fake in the features of our own small judge. Not the FID: that needs Inception.",
}


def grid_divergences(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """KL(real || fake) and JS(real, fake) of the two densities on a grid around the real points, in nats.

    Fakes outside count as a place of their own. Every cell gets half a point, so that KL stays finite.
    """
    low, high = real.min(0), real.max(0)
    margin = 0.1 * np.maximum(high - low, 1e-9)
    edges = [np.linspace(low[axis] - margin[axis], high[axis] + margin[axis], CELLS + 1) for axis in (0, 1)]

    def density(points: np.ndarray) -> np.ndarray:
        inside = np.histogram2d(points[:, 0], points[:, 1], bins=edges)[0].ravel()
        counts = np.append(inside, len(points) - inside.sum()) + 0.5
        return counts / counts.sum()

    p, q = density(real), density(fake)
    middle = (p + q) / 2

    def kl(a: np.ndarray, b: np.ndarray) -> float:
        return float((a * np.log(a / b)).sum())

    return kl(p, q), (kl(p, middle) + kl(q, middle)) / 2


def sliced_wasserstein(real: np.ndarray, fake: np.ndarray) -> float:
    """Mean over directions of the 1-Wasserstein distance of the projections (Bonneel et al. 2015), in units of the data."""
    turns = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = np.stack([np.cos(turns), np.sin(turns)])
    levels = (np.arange(1000) + 0.5) / 1000
    real_at, fake_at = (np.quantile(points @ directions, levels, axis=0) for points in (real, fake))
    return float(np.abs(real_at - fake_at).mean())


def modes_covered(fake: np.ndarray, modes: np.ndarray, spread: float) -> tuple[np.ndarray, float]:
    """Which modes are covered (k,) bool, and the share of samples within 3 spreads of one."""
    nearest, distance = pairwise_distances_argmin_min(fake, modes)
    near = distance <= SPREADS * spread
    counts = np.bincount(nearest[near], minlength=len(modes))
    return counts >= max(1.0, FAIR_SHARE * len(fake) / len(modes)), float(near.mean())


def diversity(real: np.ndarray, fake: np.ndarray) -> float:
    """Root of the samples' total variance over the data's."""
    return float(np.sqrt(fake.var(0).sum() / max(real.var(0).sum(), 1e-12)))


def precision_recall(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Share of fakes inside the real manifold and of real ones inside the fakes' (Kynkaanniemi et al. 2019, equation 1).

    A manifold is the union of balls around its points that reach to their third neighbour. Raises nothing: too few points give 0.
    """
    k = min(NEIGHBOURS, len(real) - 1, len(fake) - 1)
    if k < 1:
        return 0.0, 0.0

    def inside(points: np.ndarray, manifold: np.ndarray) -> float:
        radius = np.partition(pairwise_distances(manifold), k, axis=1)[:, k]  # the nearest is the point itself
        return float((pairwise_distances(points, manifold) <= radius).any(1).mean())

    return inside(fake, real), inside(real, fake)


def frechet(real: np.ndarray, fake: np.ndarray) -> float:
    """Frechet distance of two Gaussians fitted to the features (Heusel et al. 2017, equation 6)."""
    apart = float(np.square(real.mean(0) - fake.mean(0)).sum())
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0)).sum()
    return max(0.0, float(apart + np.trace(a) + np.trace(b) - 2 * roots))


def balance(counts: np.ndarray) -> float:
    """Entropy of class counts over the largest there could be."""
    share = counts / max(1, counts.sum())
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    return float(entropy / np.log(len(counts))) if len(counts) > 1 else 1.0


def of_points(real: np.ndarray, fake: np.ndarray, modes: np.ndarray | None = None, spread: float = 0.0) -> dict[str, float]:
    """The cheap measures of points: all but precision and recall."""
    kl, js = grid_divergences(real, fake)
    found = {"kl": kl, "js": js, "wasserstein": sliced_wasserstein(real, fake), "diversity": diversity(real, fake)}
    if modes is not None and spread > 0:
        covered, share = modes_covered(fake, modes, spread)
        found |= {"modes": float(covered.sum()), "on_modes": share}
    return found


def of_pictures(real: np.ndarray, features: np.ndarray, chances: np.ndarray, *, asked: np.ndarray | None, named: bool) -> dict[str, float]:
    """The measures of pictures from what the judge saw of them.

    real, features (n, features) of real and fake pictures; chances (n, classes); asked (n,) classes that G was asked for.
    named: whether the judge knows these classes at all.
    """
    precision, recall = precision_recall(real, features)
    found = {"precision": precision, "recall": recall, "diversity": diversity(real, features)}
    found["frechet"] = frechet(real, features) if min(len(real), len(features)) > 2 else float("nan")
    if named:
        seen = chances.argmax(1)
        found["fidelity"] = float((seen == asked).mean() if asked is not None else (chances.max(1) >= SURE).mean())
        found["balance"] = balance(np.bincount(seen, minlength=chances.shape[1]))
    return found
