"""Tests of the core run torch on one thread: beside a busy neighbour, two wait for each other. And a disk that is full."""

import os

import pytest
import torch

from core.runs import files


@pytest.fixture(autouse=True)
def one_thread():
    """As the workers do for small networks; before each test, for what a training sets stays."""
    torch.set_num_threads(1)


@pytest.fixture
def fill_the_disk(monkeypatch):
    """From now on the disk is full, until the reserve in `folder` is given up."""
    real = os.fsync

    def fill(folder):
        def full(descriptor):
            if (folder / files.RESERVE).exists():
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)

    return fill
