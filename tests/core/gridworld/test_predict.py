"""Verdict, answer key, episodes, export, what is looked at inside: from run folders, as the page asks for them."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.gridworld import export, interpret, predict, rules
from core.gridworld.config import METHODS, GridworldConfig
from core.gridworld.env import Task, builtin, world_of
from core.gridworld.maps import ACTIONS, BUILTIN, read_map
from core.gridworld.play import ALPHA, Game, learned
from core.runs import archive, store, worker

EXAMPLE = "example-gridworld-frozenlake"


def trained(method="Q-learning", task="frozen4", **changes):
    """A finished run in the folder of runs."""
    config = GridworldConfig(method=method, **{"steps": 1500, "seeds": 1, "learning_starts": 100, "rollout": 16, **changes})
    run = store.create("gridworld", config, builtin(task) if isinstance(task, str) else Task(task), data="test")
    worker.train_here(run.id)
    run = store.read(run.id)
    assert (run.status, run.result) == ("finished", "ready"), run.note
    return run


def test_the_example_has_learned_the_lake():
    result = predict.evaluate(EXAMPLE)
    assert result == {**store.result(EXAMPLE)}
    assert result["scores"]["network"]["return"] > 0.95 * result["scores"]["optimum"]["return"]
    assert result["sentence"].startswith("The greedy policy earns 0.74 of 0.744 possible (median of 5 agents; 5 of 5 within 5 %)")
    assert result["beats"] and len(result["every"]) == 5 and all(result["solved_at"])


def test_a_policy_that_learned_nothing_does_not_beat_the_shortest_path(fresh_runs):
    result = store.result(trained(task="rooms", steps=5).id)
    assert not result["beats"] and "does not beat" in result["sentence"]
    assert result["scores"]["shortest"]["return"] == result["scores"]["optimum"]["return"] == 1


def test_the_answer_key_of_a_map():
    key = predict.answer_key("cliff", 1.0)
    assert (key["optimum"], key["shortest"], key["why"]) == (-13, -13, "")
    key = predict.answer_key("coins", 1.0)
    assert "do not exist" in key["why"] and key["optimum"] == pytest.approx(10.4)
    with pytest.raises(UserError, match="cannot be reached"):
        predict.answer_key(read_map({"rows": ["S#", "#G"]}).code(), 0.9)


def test_the_best_policies_of_the_gallery_hack_their_reward():
    assert not predict.best_walk("coins")["done"] and predict.best_walk("coins")["return"] == pytest.approx(9.9)  # never reaches the goal
    assert not predict.best_walk("living")["done"] and predict.best_walk("way_out")["states"] == [0, 1]


def test_an_episode_and_its_animation():
    found = predict.episode(EXAMPLE, 3)
    assert found == predict.episode(EXAMPLE, 3) and len(found["states"]) == len(found["actions"]) + 1
    film = Image.open(io.BytesIO(predict.gif(EXAMPLE, 3)))
    assert film.format == "GIF" and getattr(film, "n_frames", 1) > 1


def test_the_policy_as_a_table():
    rows = predict.policy_rows(EXAMPLE)
    assert len(rows) == 11  # 16 cells, 4 holes, 1 goal
    assert all(row["move"] in ACTIONS and row[f"q_{row['move']}"] == max(row[f"q_{name}"] for name in ACTIONS) for row in rows)


def test_why_an_arrow_points_where_it_does():
    found = interpret.why(EXAMPLE, 14)
    assert found["where"] == "row 4, column 3" and found["updates"] and found["told"] > 100
    newest = found["updates"][0]
    assert newest["new value"] == pytest.approx(newest["old value"] + newest["step size"] * (newest["target"] - newest["old value"]))
    assert found["updates"][0]["at move"] > found["updates"][-1]["at move"]
    with pytest.raises(UserError, match="no such cell"):
        interpret.why(EXAMPLE, 99)


def test_the_history_begins_with_nothing_and_ends_with_what_was_learned():
    found = interpret.history(EXAMPLE)
    assert found["step"][0] == 0 and found["step"][-1] == 200_000 and (np.diff(found["step"]) > 0).all() and len(found["step"]) <= 101
    assert not found["q"][0].any() and np.allclose(found["q"][-1], interpret.errors(EXAMPLE)["q"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_rule_and_numbers_for_it(method):
    assert rules.RULES[method][0] and rules.RULES[method][1].endswith(".")
    line = [7, 3, 2, 0.5, 4, 0.25, 1.4, 0.365, 0.1, 0]
    text = rules.numbers(method, line, 0.9, "right")
    assert text.count("{") == text.count("}") and ("1.4" in text or "0.5" in text)


def test_the_numbers_in_the_rule_are_those_of_the_update():
    text = rules.numbers("Q-learning", [7, 3, 2, 0.5, 4, 0.25, 1.4, 0.365, 0.1, 0], 0.9, "right")
    assert text == r"Q(s,\text{right}) \leftarrow 0.25 + 0.1\,[0.5 + 0.9\cdot1 - 0.25] = 0.365"
    text = rules.numbers("Q-learning", [7, 3, 2, 1, 4, -0.5, 1, 0.25, 0.5, 1], 0.9, "up")
    assert text == r"Q(s,\text{up}) \leftarrow -0.5 + 0.5\,[1 - (-0.5)] = 0.25"


@pytest.mark.parametrize(
    ("method", "task", "changes"),
    [
        ("double Q-learning", "frozen4", {"initial_q": 1.0}),
        ("SARSA(lambda)", "keys", {}),
        ("value iteration", "cliff", {}),
        ("DQN", "keys", {"state": "local view", "duelling": True}),
        ("PPO", "frozen4", {"state": "coordinates"}),
    ],
)
def test_the_export_reproduces_the_run_without_manabi(fresh_runs, tmp_path, method, task, changes):
    run = trained(method, task, **changes)
    target = tmp_path / "out"
    content = archive.pack(run.id)
    zipfile.ZipFile(io.BytesIO(content)).extractall(target)
    done = subprocess.run([sys.executable, "reproduce.py"], cwd=target, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "difference from the run: 0" in done.stdout
    assert ("learning again" in done.stdout) == (method in {"double Q-learning", "SARSA(lambda)"})
    policy = json.loads((target / "policy.json").read_text())
    assert policy["return"] == pytest.approx(store.result(run.id)["every"][0])
    assert (target / "policy.csv").read_text(encoding="utf-8-sig").startswith("state,row,column,carried,move")
    assert store.result(archive.unpack(content))["every"] == store.result(run.id)["every"]


def test_a_run_whose_settings_were_changed_is_not_learned_again(fresh_runs):
    run = predict.opened(trained().id)
    assert "learning again" in export.script(run, 0.5)
    run.take({"alpha": 0.2})  # the seed alone no longer tells how it went
    run.take({"alpha": 0.1})
    assert "learning again" not in export.script(run, 0.5)


# play


def test_a_visitors_moves_and_what_is_learned_from_them():
    game = Game(world_of(read_map({"rows": ["S.", "#G"]})))
    game.step(2)
    game.step(1)
    assert game.over and game.returns == [1.0] and game.trail == [0, 1, 3]
    game.step(0)
    assert len(game.moves) == 2  # nothing happens any more
    q, words = learned(game, 0.9)
    assert q[1, 1] == ALPHA and q[0, 2] == 0 and "1" in words
    game.again()
    game.step(2)
    q, _ = learned(game, 0.9)
    assert q[0, 2] == pytest.approx(ALPHA * 0.9 * ALPHA)
    game.again()  # given up: it does not count
    assert game.returns == [1.0] and len(game.demo()) == 2 and game.state == 0


def test_a_game_on_ice_can_be_gone_on_with_from_its_moves():
    world = world_of(BUILTIN["frozen4"])
    first, second = Game(world), Game(world)
    for action in (2, 1, 1, 2):
        first.step(action)
    second.moves = list(first.moves[:2])
    second.returns, second.begun = [], 0
    if not second.over:
        second.step(1)
        assert second.moves == first.moves[:3]
