"""What every `train()` yields: one step of progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

# A change of live settings sent into a running loop: field name -> new value, already validated.
Update = Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to go on as if it had never stopped.

    tensors: weights, optimiser moments, random-number state; names are free, dots group them.
    state:   counters and settings that fit in JSON (step, best loss, live settings).
    """

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors under `prefix.`, without the prefix: a `state_dict`."""
        return {name[len(prefix) + 1 :]: value for name, value in self.tensors.items() if name.startswith(prefix + ".")}


@dataclass(frozen=True)
class Progress:
    """One step of a training loop.

    step, total: 1-based step just done, steps planned.
    metrics:     numbers by grouped name (`train/loss`); a metric that was not measured at this step is absent.
    sample:      makes what the page draws beside the curves: arrays by name. Valid until the next step only.
    checkpoint:  makes a checkpoint of this very step. Valid until the next step only.

    The two functions cost nothing until they are called; the worker calls them when it writes.
    """

    step: int
    total: int
    metrics: dict[str, float]
    sample: Callable[[], dict[str, np.ndarray]] | None = None
    checkpoint: Callable[[], Checkpoint] | None = None
