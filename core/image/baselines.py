"""The honest rivals: the majority class, the nearest neighbour, and logistic regression on pixels or on a colour histogram."""

from __future__ import annotations

import numpy as np

from core.image.data import Pictures

MOST = 6000  # pictures that a rival learns from
SIDE = 16  # pixels a side that rivals see of larger pictures

NAMES = {
    "majority": "always the commonest class",
    "neighbour": "nearest neighbour on pixels",
    "logistic": "logistic regression on pixels",
    "colours": "logistic regression on colours",
}


def pixels(values: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, c, h, w) as rows of numbers; larger ones are averaged down to about 16 pixels a side.  # (n, features)"""
    step = max(1, values.shape[2] // 2 // SIDE * 2 if values.shape[2] > 32 else 1)
    side = values.shape[2] // step
    blocks = values[:, :, : side * step, : side * step].reshape(len(values), values.shape[1], side, step, side, step)
    return blocks.mean((3, 5), dtype=np.float32).reshape(len(values), -1) / 255


def colours(values: np.ndarray) -> np.ndarray:
    """A histogram of 8 steps for each colour.  # (n, colours * 8)"""
    found = [[np.bincount((picture >> 5).ravel(), minlength=8) for picture in one] for one in values]
    return np.array(found, np.float32).reshape(len(values), -1) / values[0, 0].size


def count(data: Pictures) -> int:
    """How many pictures a rival learns from."""
    return len(_rows(data, 0)) if data.train > MOST else data.train


def _rows(data: Pictures, seed: int) -> np.ndarray:
    """Of many pictures to learn from, as many as a rival takes, and at least one of every class."""
    first = np.unique(data.known()[1], return_index=True)[1]
    return np.union1d(first, np.random.default_rng(seed).permutation(data.train)[:MOST])


def answers(data: Pictures, seed: int = 0) -> dict[str, np.ndarray]:
    """What each rival says of the held-out pictures, having seen the others: some 6,000 of them at most.  # name -> (n,)"""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values, labels = data.known()
    if len(values) > MOST:
        rows = _rows(data, seed)
        values, labels = values[rows], labels[rows]
    asked = data.held_out()[0]
    near, far = pixels(values), pixels(asked)
    found = {
        "majority": np.full(len(asked), np.bincount(labels).argmax()),
        "neighbour": KNeighborsClassifier(1).fit(near, labels).predict(far),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, tol=1e-3)).fit(near, labels).predict(far),
    }
    if values.shape[1] == 3:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, tol=1e-3))
        found["colours"] = model.fit(colours(values), labels).predict(colours(asked))
    return found
