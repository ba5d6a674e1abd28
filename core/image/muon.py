"""Muon, an optimiser for the filters of a convolutional network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

SHAPE = (3.4445, -4.7750, 2.0315)  # of the polynomial that drives all singular values towards 1 (Jordan et al. 2024)


@torch.no_grad()
def orthogonal(matrix: Tensor, steps: int = 3) -> Tensor:
    """The matrix with all its singular values brought near 1: every direction in it counts the same.  # (rows, columns) -> the same

    Newton and Schulz's iteration. After three steps values that were within a tenth of the largest lie between about 0.4 and 1.2, which
    is enough; much weaker ones are raised only in part.
    """
    a, b, c = SHAPE
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal, for filters (out, in, height, width) that batch normalisation follows.

    An ordinary gradient points along a few strong directions; here the weak ones move as far. The filters are kept at one length,
    so that the learning rate is the share of it that a step changes (Jordan et al. 2024).
    """

    def __init__(self, filters: Iterable[Tensor], lr: float, momentum: float = 0.7) -> None:
        super().__init__(filters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step from the gradients that lie in the filters."""
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state: dict[str, Any] = self.state[weights]
                speed = state.setdefault("momentum", torch.zeros_like(weights))
                speed.mul_(group["momentum"]).add_(weights.grad)
                ahead = weights.grad.add(speed, alpha=group["momentum"])  # Nesterov
                weights.mul_(len(weights) ** 0.5 / (weights.norm() + 1e-7))
                weights.add_(orthogonal(ahead.reshape(len(ahead), -1)).reshape(weights.shape), alpha=-group["lr"])
