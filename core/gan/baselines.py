"""The referees: simple ways to make samples, and the real samples that were held out (the ceiling)."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from core.gan.data import Samples

COMPONENTS = (1, 2, 4, 8, 16)  # tried for a Gaussian mixture where the number of clusters is not known
MOST_FITTED = 4000  # samples that a mixture is fitted on


def gaussian_mixture(data: Samples, count: int, seed: int) -> np.ndarray:
    """Points from a Gaussian mixture fitted by expectation maximisation.  # (count, 2)

    As many components as the data has known clusters, else the number with the best BIC.
    """
    known = data.values[: min(data.train, MOST_FITTED)].astype(np.float64)
    tried = [len(data.modes)] if data.modes is not None else [k for k in COMPONENTS if k == 1 or len(known) >= 10 * k]
    fits = [GaussianMixture(min(k, len(known)), random_state=seed, reg_covar=1e-6).fit(known) for k in tried]
    best = min(fits, key=lambda fit: fit.bic(known)) if len(fits) > 1 else fits[0]
    best.random_state = np.random.RandomState(seed)
    made = best.sample(count)[0].astype(np.float32)
    return made[np.random.default_rng(seed).permutation(count)]  # they come sorted by component


def pca(data: Samples, count: int, seed: int, labels: np.ndarray | None) -> np.ndarray:
    """Pictures from Gaussian coordinates along the strongest principal components.  # (count, colours, size, size) uint8"""
    random = np.random.default_rng(seed)
    known = data.values[: data.train].reshape(data.train, -1).astype(np.float64)
    fit = PCA(min(64, *known.shape), random_state=seed).fit(known)
    parts = random.normal(size=(count, fit.n_components_)) * np.sqrt(fit.explained_variance_)
    return _pictures(fit.inverse_transform(parts), data.shape)


def pixel_gaussians(data: Samples, count: int, seed: int, labels: np.ndarray | None) -> np.ndarray:
    """Pictures whose pixels are independent Gaussians, per class where labels are asked for."""
    random = np.random.default_rng(seed)
    known = data.values[: data.train].reshape(data.train, -1).astype(np.float64)
    classes = labels if labels is not None and data.labels is not None else np.zeros(count, int)
    groups = data.labels[: data.train] if labels is not None and data.labels is not None else np.zeros(data.train, int)
    found = np.empty((count, known.shape[1]))
    for kind in np.unique(classes):
        own = known[groups == kind] if (groups == kind).any() else known
        found[classes == kind] = random.normal(own.mean(0), own.std(0), ((classes == kind).sum(), known.shape[1]))
    return _pictures(found, data.shape)


def _pictures(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8).reshape(-1, *shape)


def held_out(data: Samples, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Real samples that nothing learned from, and their labels; none if the dataset is too small.  # (up to count, ...)"""
    rows = data.train + np.random.default_rng(seed).permutation(len(data.values) - data.train)[:count]
    return data.values[rows], None if data.labels is None else data.labels[rows]
