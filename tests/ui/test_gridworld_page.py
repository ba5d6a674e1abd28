"""The gridworld page, opened and used by AppTest."""

from pathlib import Path

import numpy as np
import pytest

from core.gridworld.env import world_of
from core.gridworld.maps import BUILTIN, read_map
from core.runs import store
from ui import board
from ui.session import get_engine

ROOT = Path(__file__).resolve().parents[2]

PAGE = str(ROOT / "pages" / "gridworld.py")


def texts(app):
    return " ".join(
        str(element.value) for kind in ("markdown", "caption", "success", "warning", "info", "error") for element in getattr(app, kind)
    )


def opened(app, **parameters):
    app.switch_page(PAGE)
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def button(app, label):
    return next(element for element in app.button if element.label == label)


def test_it_opens_with_a_finished_example_and_the_answer_key(app):
    app = opened(app)
    assert "The greedy policy earns 0.74 of 0.744 possible" in texts(app)
    assert {metric.label: metric.value for metric in app.metric}["Best possible"] == "0.744"
    assert button(app, "Train").disabled is False


def test_the_map_comes_from_the_link_and_a_broken_one_is_told(app):
    grid = read_map({"rows": ["S..", "#.G"], "step_reward": -0.1})
    app = opened(app, gridworld_map=grid.code())
    assert {metric.label: metric.value for metric in app.metric}["Best possible"] == "0.7"
    app = opened(app, gridworld_map="nonsense")
    assert "can't be read" in texts(app) and "The page shows FrozenLake" in texts(app)


def test_a_goal_that_cannot_be_reached_is_told_and_nothing_can_be_trained(app):
    app = opened(app, gridworld_map=read_map({"rows": ["S#", "#G"]}).code())
    assert "cannot be reached" in texts(app) and button(app, "Train").disabled


def test_without_a_discount_rewards_that_never_end_are_explained(app):
    app = opened(app, gridworld_map="coins", gridworld_gamma="1")
    assert "do not exist" in texts(app)


def test_the_gallery_shows_what_each_hack_does_and_gives_its_map(app):
    app = opened(app)
    app.session_state["gridworld_gallery"] = True
    app.run()
    assert not app.exception and "It earns 9.9" in texts(app) and "It earns -0.5" in texts(app)
    next(element for element in app.button if element.key == "gridworld_hack_take_coins").click().run()
    assert "Coin loop" in texts(app)


def test_a_method_shows_its_own_settings_only(app):
    app = opened(app, gridworld_method="DQN")
    labels = [element.label for kind in ("slider", "number_input", "toggle", "selectbox", "button_group") for element in app.get(kind)]
    assert "Duelling" in labels and "Learning rate (alpha)" not in labels
    next(element for element in app.selectbox if element.label == "Method").set_value("value iteration").run()
    labels = [element.label for kind in ("slider", "number_input", "toggle") for element in app.get(kind)]
    assert "Duelling" not in labels and "Epsilon" not in labels and "Steps" in labels


def test_train_race_and_look_at_the_result(app, waiting):
    app = opened(app, gridworld_map="cliff", gridworld_steps="4000", gridworld_seeds="3", gridworld_alpha="0.5")
    next(element for element in app.multiselect if element.label == "Race against").set_value(["SARSA"]).run()
    next(element for element in app.selectbox if element.label == "Pace at first").set_value("At once").run()
    button(app, "Race").click().run()
    assert not app.exception
    run_id = app.query_params["gridworld_run"]
    run_id = run_id[0] if isinstance(run_id, list) else run_id
    runs = [run_id, *store.read(run_id).mates]
    assert [store.read(run).config["method"] for run in runs] == ["Q-learning", "SARSA"]
    for run in runs:
        waiting(lambda run=run: get_engine().look(run).settled)
    app.run()
    assert not app.exception and "of -13 possible" in texts(app) and "The race" in " ".join(element.value for element in app.subheader)
    for tab, word in (("You play", "arrow keys"), ("Look inside", "exact optimum"), ("How it works", "The code that ran")):
        app.session_state["gridworld_tab"] = tab
        app.run()
        assert not app.exception, tab
        assert word in texts(app) or any(word in element.label for element in app.expander)


def test_a_stale_link_shows_the_defaults(app):
    app = opened(app, gridworld_run="0" * 32)
    assert "The page shows its defaults" in texts(app)


@pytest.mark.parametrize("name", BUILTIN)
def test_every_map_has_a_picture(name):
    world = world_of(BUILTIN[name])
    q = np.random.default_rng(0).normal(size=(world.states, 4))
    shown = board.view(world, moves=q, greedy=board.ties(q))
    acting = world.acting[: world.cells]
    assert [cell is not None for cell in shown["moves"]] == acting.tolist()
    assert all(len(arrows) == 1 for arrows, here in zip(shown["arrows"], acting, strict=True) if here)


@pytest.mark.parametrize(
    "event",
    [
        None,
        "paint",
        {"kind": "paint", "cells": ["x"], "letter": "#"},
        {"kind": "paint", "cells": 5, "letter": "#"},
        {"kind": "paint", "cells": [1]},
        {"kind": "move", "action": 9},
        {"kind": "move", "action": True},
        {"kind": "look"},
        {"kind": "spell"},
    ],
)
def test_what_no_board_would_say_is_not_heard(event):
    assert board.heard(event) is None


def test_what_a_board_says_is_heard():
    assert board.heard({"kind": "paint", "cells": [1, 2], "letter": "#", "turn": 3}) == {"kind": "paint", "cells": [1, 2], "letter": "#"}
    assert board.heard({"kind": "move", "action": 2}) == {"kind": "move", "action": 2}


def test_colours_go_from_costs_to_gains():
    low, none, high = board.paint(np.array([-2.0, 0.0, 1.0]))
    assert low == "rgba(230,119,46,0.720)" and none.endswith("0.000)") and high == "rgba(46,134,222,0.360)"
