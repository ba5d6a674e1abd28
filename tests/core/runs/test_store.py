import numpy as np
import pytest

from core import capabilities
from core.errors import UserError
from core.runs import files, store


@pytest.fixture
def run(fresh_runs, small):
    config, data = small
    return store.create("forecasting", config, data, data=data.name)


def test_a_run_can_be_read_again_from_its_folder_alone(run, small):
    again = store.read(run.id)
    assert again == run
    assert again.settings() == small[0]
    assert store.dataset(run.id).frame.equals(small[1].frame)


@pytest.mark.parametrize(
    "bad", ["", "..", "../../etc/passwd", "a" * 32, "0" * 31, "example-forecasting-../x", "example-x-y", "0" * 32 + "\n"]
)
def test_an_id_from_a_link_leads_nowhere_else(fresh_runs, bad):
    with pytest.raises(store.UnknownRun):
        store.folder(bad)


def test_ids_cannot_be_guessed(fresh_runs, small):
    ids = {store.create("forecasting", *small).id for _ in range(5)}
    assert len(ids) == 5
    assert all(len(run_id) * 4 >= 96 for run_id in ids)


def test_names_come_from_settings_until_the_visitor_gives_one(run):
    assert store.name(run) == "LSTM · Airline passengers"
    store.rename(run.id, "  my\nfirst   run ")
    assert store.name(run) == "my first run"
    store.rename(run.id, "")
    assert store.name(run) == "LSTM · Airline passengers"


def test_image_runs_are_named_by_their_network():
    assert store.name(store.read("example-image-digits")) == "LeNet · Digits"


def test_a_visitors_list_holds_hashes_not_cookies(run, fresh_runs):
    store.remember("cookie-value", run.id)
    assert [mine.id for mine in store.of("cookie-value")] == [run.id]
    assert store.of("somebody else") == []
    assert not any("cookie-value" in str(path) for path in fresh_runs.rglob("*"))
    store.forget("cookie-value", run.id)
    assert store.of("cookie-value") == []


def test_an_active_run_is_not_deleted_and_a_stopped_one_is(run):
    with pytest.raises(UserError, match="Stop"):
        store.delete(run.id)
    store.change(run.id, status="stopped")
    store.remember("me", run.id)
    store.delete(run.id)
    assert not store.exists(run.id)
    assert store.of("me") == []


def test_examples_stay_as_they_are():
    example = store.examples("forecasting")[0]
    for action in (store.delete, lambda run_id: store.rename(run_id, "x")):
        with pytest.raises(UserError, match="examples"):
            action(example)
    run = store.read(example)
    assert run.id == example and run.settled and example not in run.mates


def test_the_history_of_samples_is_thinned_but_keeps_first_and_last(run):
    for step in range(1, 301):
        store.write_sample(store.folder(run.id), step, {"x": np.full(3, step, np.float32)})
    steps = store.sample_steps(run.id)
    assert len(steps) <= store.MOST_SAMPLES
    assert steps[0] == 1 and steps[-1] == 300
    assert store.sample(run.id, 300)["x"].tolist() == [300, 300, 300]
    assert store.sample(run.id, 2) == {}


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "x.json"
    files.write_whole(path, "a" * 10)
    files.write_whole(path, "b" * 10)
    assert path.read_text() == "b" * 10
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_still_leaves_room_for_the_last_words(run, fill_the_disk):
    fill_the_disk(store.folder(run.id))
    store.change(run.id, status="failed", note="The disk is full.")
    assert store.read(run.id).note == "The disk is full."


def test_a_full_disk_refuses_a_new_run_in_words_and_leaves_nothing(fresh_runs, small, monkeypatch):
    monkeypatch.setattr(files, "reserve", lambda folder: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="disk is full"):
        store.create("forecasting", *small)
    assert store.all_ids() == []


RECIPES = {  # example -> the preset it was trained with, and what was changed
    "example-forecasting-airline-lstm": ("Airline passengers", {}),
    "example-forecasting-airline-gru": ("Airline passengers", {"model": "gru"}),
    "example-forecasting-airline-rnn": ("Airline passengers", {"model": "rnn"}),
    "example-gan-collapse": ("Collapse", {}),
    "example-gan-fashion": ("Fashion", {"steps": 5000}),
    "example-gan-ring8": ("Ring of 8", {}),
    "example-gridworld-frozenlake": ("FrozenLake, Q-learning", {}),
    "example-image-cifar10": ("CIFAR-10", {}),
    "example-image-digits": ("Digits", {}),
    "example-image-fashion": ("Fashion, all of it", {}),
}


def test_every_example_can_be_trained_again_from_a_preset():
    assert set(RECIPES) == {example for capability in capabilities.names() for example in store.examples(capability)}
    for example, (preset, changes) in RECIPES.items():
        run = store.read(example)
        kind = capabilities.config_class(run.capability)
        assert preset in kind.PRESETS and run.settings() == kind.from_preset(preset).updated(changes), example


def test_a_sample_comes_back_as_it_was_however_it_lies_in_memory(run):
    maps = np.arange(2 * 3 * 4, dtype=np.float16).reshape(2, 3, 4)
    last = np.ascontiguousarray(maps.transpose(1, 2, 0)).transpose(2, 0, 1)  # channels last, as a GPU or bfloat16 likes it
    assert not last.flags["C_CONTIGUOUS"] and (last == maps).all()
    given = {"maps": last, "some": maps[:, ::2], "step": np.array(7)}
    store.write_sample(store.folder(run.id), 5, given)
    back = store.sample(run.id, 5)
    assert {name: value.tolist() for name, value in back.items()} == {name: value.tolist() for name, value in given.items()}
