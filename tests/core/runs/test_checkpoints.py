"""A run opened from its folder stays in memory until its checkpoint changes."""

import os

import pytest
import torch

from core.errors import UserError
from core.forecasting.config import ForecastingConfig
from core.forecasting.data import load
from core.progress import Checkpoint
from core.runs import checkpoints, store


def test_a_run_is_opened_once_for_each_checkpoint(fresh_runs, small):
    run = store.create("forecasting", *small)
    built = []

    def build(config, data, saved):
        built.append(saved.state["step"])
        return config, data.length, saved.tensors["weight"]

    opened = checkpoints.opener(ForecastingConfig, load, build)
    with pytest.raises(UserError, match="no weights yet"):
        opened(run.id)
    for step in (1, 2):
        checkpoints.write(store.folder(run.id), Checkpoint({"weight": torch.full((2,), float(step))}, {"step": step}))
        os.utime(store.folder(run.id) / store.CHECKPOINT, ns=(step, step))
        assert opened(run.id) is opened(run.id)
        assert opened(run.id)[:2] == (small[0], small[1].length) and opened(run.id)[2].tolist() == [step, step]
    assert built == [1, 2]
