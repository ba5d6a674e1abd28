"""Training on the command line."""

import json
import shutil
import sys

import pytest
import torch

from core.device import cores
from core.image import predict
from core.image.config import ImageConfig
from core.runs import checkpoints, command, store


@pytest.fixture
def train(fresh_runs, monkeypatch, capsys):
    """`python -m core.image.train` with options, in this process; what it says, and with how many threads it ended."""

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["train", "--steps", "60", "--width", "4", *map(str, options)])
        before = torch.get_num_threads()
        command.main("image", data="digits", names="digits", half=True)
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


@pytest.fixture
def asked(monkeypatch):
    """Read the command's options: the settings that would be trained with."""
    configs = []
    monkeypatch.setattr(command, "_print", lambda capability, config, dataset, threads: configs.append(config))

    def read(*options):
        monkeypatch.setattr(sys, "argv", ["train", *options])
        command.main("image", data="digits", names="digits")
        return configs.pop()

    return read


def test_a_preset_alone_is_taken_whole(asked):
    assert asked("--preset", "CIFAR-10") == ImageConfig.from_preset("CIFAR-10")
    assert asked() == ImageConfig()


def test_an_option_that_says_the_default_still_comes_on_top_of_a_preset(asked):
    config = asked("--preset", "Digits", "--steps", "1000")
    assert (config.steps, config.width) == (ImageConfig().steps, ImageConfig.from_preset("Digits").width)
    assert ImageConfig.from_preset("Digits").steps != ImageConfig().steps == 1000


def test_an_unknown_preset_is_an_error_that_names_those_there_are(asked, capsys):
    with pytest.raises(SystemExit):
        asked("--preset", "Nothing of the kind")
    assert "CIFAR-10" in capsys.readouterr().err
