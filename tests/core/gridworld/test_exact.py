"""The answer key: figures that are known, values that do not exist, and agreement with episodes really played."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.gridworld import exact
from core.gridworld.env import World, world_of
from core.gridworld.maps import BUILTIN, read_map
from core.gridworld.predict import walk


@pytest.mark.parametrize(
    ("name", "known"), [("frozen4", 0.744), ("frozen8", 0.913), ("cliff", -13), ("windy", -15), ("rooms", 1), ("taxi", 4)]
)
def test_the_optimum_of_a_known_map(name, known):
    assert exact.possible(world_of(BUILTIN[name])) == pytest.approx(known, abs=5e-4)


def test_the_values_of_frozen_lake_without_a_discount():
    assert exact.optimal_values(world_of(BUILTIN["frozen4"]), 1.0)[0] == pytest.approx(14 / 17)  # 0.8235, with all the time in the world


def test_worked_values():
    w = World(read_map({"rows": ["S.", "#G"], "step_reward": -1, "goal_reward": 10}))
    values = exact.optimal_values(w, 0.5)
    assert values.tolist() == [-1 + 0.5 * 9, 9.0, 0.0, 0.0]
    assert exact.q_of(w, values, 0.5)[0].tolist() == [-1 + 0.5 * 3.5, -1 + 0.5 * 3.5, 3.5, -1 + 0.5 * 3.5]
    assert exact.possible(w) == 8.0
    assert exact.expected_return(w, exact.shortest_path(w)) == 8.0


@pytest.mark.parametrize("name", ["coins", "living"])
def test_where_rewards_go_on_for_ever_there_are_no_values_without_a_discount(name):
    with pytest.raises(UserError, match="do not exist"):
        exact.optimal_values(world_of(BUILTIN[name]), 1.0)
    assert np.isfinite(exact.optimal_values(world_of(BUILTIN[name]), 0.99)).all()


@pytest.mark.parametrize(
    "facts",
    [
        {"rows": ["S...", "....", "...G"], "rewards": {"0,1": 0.001, "0,2": 0.001}},  # two coins, however small
        {"rows": ["S>" + "." * 28, "G#" + "." * 28], "step_reward": -0.01},  # a way into a trap that only costs
    ],
)
def test_rewards_without_end_are_found_however_small(facts):
    w = World(read_map(facts))
    with pytest.raises(UserError, match="do not exist"):
        exact.optimal_values(w, 1.0)


@pytest.mark.parametrize("name", ["frozen4", "frozen8", "cliff", "windy", "rooms", "taxi", "keys", "maze", "portals", "way_out"])
def test_where_every_way_comes_to_an_end_the_values_exist(name):
    assert np.isfinite(exact.optimal_values(world_of(BUILTIN[name]), 1.0)).all()


def test_without_a_terminal_state_there_are_no_values_without_a_discount():
    w = World(read_map({"rows": ["S#", "#G"], "step_reward": -1}))
    with pytest.raises(UserError, match="no move ends an episode"):
        exact.optimal_values(w, 1.0)


def test_the_best_policy_hacks_the_reward():
    coins = world_of(BUILTIN["coins"])
    assert exact.possible(coins) > 10 * exact.expected_return(coins, exact.shortest_path(coins))
    way_out = world_of(BUILTIN["way_out"])
    best = exact.greedy(exact.q_of(way_out, exact.optimal_values(way_out, 0.99), 0.99))
    assert walk(way_out, best.argmax(-1), 0)["states"] == [0, 1]  # straight into the pit


@given(st.sampled_from(["frozen4", "portals", "taxi", "windy"]), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_the_exact_return_is_the_mean_of_episodes(name, seed):
    w = world_of(BUILTIN[name])
    values = exact.optimal_values(w, 0.95)
    policy = exact.greedy(exact.q_of(w, values, 0.95) + 0.01 * np.random.default_rng(seed).random((w.states, 4)))
    returns = [walk(w, policy.argmax(-1), n)["return"] for n in range(300)]
    spread = np.std(returns) / len(returns) ** 0.5
    assert abs(np.mean(returns) - exact.expected_return(w, policy)) <= 5 * spread + 1e-9


@given(st.sampled_from(sorted(BUILTIN)))
@settings(max_examples=12, deadline=None)
def test_nobody_earns_more_than_the_optimum(name):
    w = world_of(BUILTIN[name])
    best = exact.possible(w)
    for policy in (exact.random_policy(w), exact.shortest_path(w), exact.greedy(exact.q_of(w, exact.optimal_values(w, 0.99), 0.99))):
        assert exact.expected_return(w, policy) <= best + 1e-9
