"""Training on the command line."""

import json
import shutil
import sys

import pytest
import torch

from core.device import cores
from core.image import predict
from core.runs import checkpoints, command, store


@pytest.fixture
def train(fresh_runs, monkeypatch, capsys):
    """`python -m core.image.train` with options, in this process; what it says, and with how many threads it ended."""

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["train", "--steps", "60", "--width", "4", *map(str, options)])
        before = torch.get_num_threads()
        command.main("image", data="digits", names="digits")
        used = torch.get_num_threads()
        torch.set_num_threads(before)
        return capsys.readouterr().out, used

    return run


@pytest.mark.parametrize(("options", "kind"), [([], torch.float32), (["--half"], torch.float16)])
def test_what_is_saved_is_to_be_used_and_its_verdict_is_of_those_weights(train, tmp_path, options, kind):
    target = tmp_path / "saved"
    said, _ = train("--save", target, *options)
    saved = checkpoints.read(target)
    assert saved.tensors["network.layers.conv1.weight"].dtype == kind
    assert not [name for name in saved.tensors if "optimiser" in name or name.startswith("random.")]
    verdict = json.loads((target / store.RESULT).read_bytes())
    assert verdict["sentence"] in said
    run_id = json.loads((target / "run.json").read_bytes())["id"]
    shutil.move(target, store.root() / run_id)
    trained = predict.opened(run_id)
    values, labels = trained.data.held_out()
    assert (trained.logits(values).argmax(1).numpy() == labels).mean() == pytest.approx(verdict["scores"]["network"]["accuracy"], abs=1e-9)


def test_the_threads_are_those_asked_for(train):
    assert train("--threads", cores())[1] == cores()
    assert train()[1] == 1
