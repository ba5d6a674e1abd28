"""Every method: one update worked out by hand, the optimum of an empty grid, the same numbers from the same seed, resume."""

import math

import numpy as np
import pytest
import torch

from core.errors import Diverged, UserError
from core.gridworld import exact
from core.gridworld.config import DEEP, METHODS, PLANNERS, TABULAR, GridworldConfig
from core.gridworld.env import Task, World, builtin
from core.gridworld.learners import Planner, Table, bound, check_sane
from core.gridworld.maps import BUILTIN, read_map
from core.gridworld.memory import ENDED, TOOK
from core.gridworld.methods.actor_critic import A2C
from core.gridworld.methods.dqn import DQN, store
from core.gridworld.methods.ppo import PPO
from core.gridworld.methods.reinforce import Reinforce
from core.gridworld.methods.rollouts import advantages
from core.gridworld.models import Encoder, local_view
from core.gridworld.session import Session
from core.gridworld.train import train
from core.progress import Checkpoint

CPU = torch.device("cpu")
DOWN, RIGHT = 1, 2
CORRIDOR = read_map({"rows": ["S.", "#G"]})  # right, then down: a reward of 1
EMPTY = read_map({"rows": ["S...", "....", "....", "...G"], "step_reward": -0.01, "horizon": 60})


def told(method, **changes):
    """An agent in the corridor that knows Q(start, right) = 0.5 and Q(corner, down) = 0.8, and does not explore."""
    settings = {"gamma": 0.9, "alpha": 0.5, "alpha_end": 0.5, "epsilon": 0.0, "epsilon_end": 0.0, **changes}
    agent = Table(GridworldConfig(method=method, **settings), World(CORRIDOR), 0)
    for q in (agent.memory.q, agent.memory.q2) if method == "double Q-learning" else (agent.memory.q,):
        q[0, RIGHT], q[1, DOWN] = 0.5, 0.8
    return agent


@pytest.mark.parametrize(
    ("method", "changes", "expected"),  # Q(start, right) and Q(corner, down) after the two moves of an episode
    [
        ("Q-learning", {}, (0.5 + 0.5 * (0.9 * 0.8 - 0.5), 0.9)),
        ("SARSA", {}, (0.61, 0.9)),
        ("expected SARSA", {}, (0.61, 0.9)),
        ("Monte Carlo", {}, (0.5 + 0.5 * (0.9 * 1 - 0.5), 0.8 + 0.5 * (1 - 0.8))),
        ("n-step SARSA", {"n": 1}, (0.61, 0.9)),
        ("n-step SARSA", {"n": 2}, (0.7, 0.9)),
        ("n-step SARSA", {"n": 50}, (0.7, 0.9)),
        ("SARSA(lambda)", {"trace": 0.0}, (0.61, 0.9)),
        ("SARSA(lambda)", {"trace": 0.5}, (0.61 + 0.5 * (1 - 0.8) * 0.9 * 0.5, 0.9)),
        ("prioritised sweeping", {"planning": 2}, (0.9 * 1.0, 1.0)),
        ("Q-learning", {"sample_average": True}, (0.72, 1.0)),
    ],
)
def test_an_episode_worked_out_by_hand(method, changes, expected):
    agent = told(method, **changes)
    agent.learn(2)
    assert (agent.q()[0, RIGHT], agent.q()[1, DOWN]) == pytest.approx(expected)
    assert agent.log.returns[0] == 1 and agent.log.lengths[0] == 2
    assert np.count_nonzero(agent.q()) == 2
    assert [bool(agent.log.why[state, 0, ENDED]) for state in (0, 1)] == [False, True]  # what each move led to, not the episode


def test_dyna_practises_once_more_what_it_remembers():
    agent = told("Dyna-Q", planning=1)
    agent.learn(1)
    assert agent.q()[0, RIGHT] == pytest.approx(0.61 + 0.5 * (0.72 - 0.61))


def test_double_q_learning_values_with_the_other_table():
    agent = told("double Q-learning")
    agent.memory.q2[1, DOWN] = 0.2
    agent.learn(1)
    changed = agent.memory.q[0, RIGHT], agent.memory.q2[0, RIGHT]
    one, two = 0.5 + 0.5 * (0.9 * 0.2 - 0.5), 0.5 + 0.5 * (0.9 * 0.8 - 0.5)
    assert changed == pytest.approx((one, 0.5)) or changed == pytest.approx((0.5, two))


def test_expected_sarsa_takes_the_mean_over_its_own_chances():
    for seed in range(50):
        agent = told("expected SARSA", epsilon=0.4, epsilon_end=0.4)
        agent.random = np.random.default_rng(seed)
        agent.learn(1)
        if agent.log.last[TOOK] == RIGHT:
            assert agent.q()[0, RIGHT] == pytest.approx(0.5 + 0.5 * (0.9 * 0.7 * 0.8 - 0.5))
            return
    raise AssertionError("it never went right")


def test_an_episode_cut_off_is_not_an_end():
    agent = Table(GridworldConfig(gamma=0.9, alpha=1.0, alpha_end=1.0), World(CORRIDOR.changed(horizon=1)), 0)
    agent.memory.q[1, DOWN] = 0.8
    agent.memory.q[0, RIGHT] = 0.1
    for _ in range(30):
        agent.learn(1)
    assert agent.q()[0, RIGHT] == pytest.approx(0.72)


def test_sweeps_worked_out_by_hand():
    w = World(CORRIDOR)
    plan = Planner(GridworldConfig(method="value iteration", gamma=0.9), w)
    plan.learn(1)
    assert plan.values.tolist() == [0.0, 1.0, 0.0, 0.0]
    plan.learn(1)
    assert plan.values.tolist() == [0.9, 1.0, 0.0, 0.0]
    plan.learn(1)
    assert plan.done
    judged = Planner(GridworldConfig(method="policy evaluation", gamma=0.9), w)
    judged.learn(1)
    assert judged.values[:2].tolist() == [0.0, 0.25]
    judged.learn(1)
    start = 0.25 * 0.9 * 0.25
    assert judged.values[:2] == pytest.approx([start, 0.25 + 0.25 * 0.9 * start + 0.5 * 0.9 * 0.25])
    better = Planner(GridworldConfig(method="policy iteration", gamma=0.9, evaluation_sweeps=1), w)
    for _ in range(20):
        better.learn(1)
    assert better.done and better.greedy()[:2].tolist() == [RIGHT, DOWN] and better.values[:2].tolist() == [0.9, 1.0]


# networks


def dqn(**changes):
    settings = {"method": "DQN", "gamma": 0.9, "layers": 0, "batch_size": 4, **changes}
    agent = DQN(GridworldConfig(**settings), World(CORRIDOR), 0, CPU)
    with torch.no_grad():  # without hidden layers a one-hot network is a table
        for network in (agent.network, agent.target):
            network.network.layers[0].rows.weight.zero_()
            network.network.layers[0].rows.weight[0, RIGHT] = 0.5
        agent.network.network.layers[0].rows.weight[1, DOWN] = 0.1
        agent.network.network.layers[0].rows.weight[1, RIGHT] = 0.3
        agent.target.network.layers[0].rows.weight[1, DOWN] = 0.8
        agent.target.network.layers[0].rows.weight[1, RIGHT] = 0.6
    agent.look()
    agent.lag()
    store(agent.replay, 0, RIGHT, 0.0, 1, False, 1.0)
    store(agent.replay, 1, DOWN, 1.0, 3, True, 1.0)
    return agent


@pytest.mark.parametrize(("double", "best"), [(False, 0.8), (True, 0.6)])
def test_the_loss_of_dqn_worked_out_by_hand(double, best):
    agent = dqn(double=double)
    agent.update(np.array([0, 1]))
    first, second = 0.9 * best - 0.5, 1.0 - 0.1  # TD errors: r + gamma max Q_target - Q, and at the end the reward alone
    assert agent.loss == pytest.approx((0.5 * first**2 + 0.5 * second**2) / 2, rel=1e-5)
    assert agent.q()[0, RIGHT] > 0.5 and agent.q()[1, DOWN] > 0.1 and (agent.q()[3] == 0).all()


def test_prioritised_replay_draws_the_surprising_moves():
    agent = dqn(prioritised=True, batch_size=400)
    agent.replay.priority[:2] = 1.0, 32.0  # to the power of 0.6: 1 against 8
    share = (agent.draw() == 1).mean()
    assert 0.8 < share < 0.96
    agent.update(np.array([0, 1]))
    assert agent.replay.priority[:2] == pytest.approx([0.22 + 1e-3, 0.9 + 1e-3], rel=1e-4)


def test_duelling_splits_value_and_advantage():
    agent = DQN(GridworldConfig(method="DQN", duelling=True), World(CORRIDOR), 0, CPU)
    raw = agent.network.network(torch.tensor([0]))[0]
    q = agent.network(torch.tensor([0]))[0]
    assert q.mean().item() == pytest.approx(raw[0].item(), abs=1e-6)
    assert (q - q.mean()).tolist() == pytest.approx((raw[1:] - raw[1:].mean()).tolist(), abs=1e-6)


def policy_agent(kind, method, **changes):
    """An agent that knows nothing and has just walked the corridor: rewards 0, 1."""
    settings = {"method": method, "gamma": 0.9, "layers": 0, "trace": 0.5, "entropy": 0.0, "envs": 1, "rollout": 2, **changes}
    agent = kind(GridworldConfig(**settings), World(CORRIDOR), 0, CPU)
    with torch.no_grad():
        for parameter in agent.network.parameters():
            parameter.zero_()
    agent.look()
    for t, row in enumerate(((0, RIGHT, 0.0, 1, False, False), (1, DOWN, 1.0, 3, True, True))):
        for part, value in zip(agent.rollout[1:7], row, strict=True):
            part[t, 0] = value
    return agent


def test_the_losses_of_reinforce_worked_out_by_hand():
    agent = policy_agent(Reinforce, "REINFORCE")
    agent.update(2)
    assert agent.losses[0] == pytest.approx(math.log(4) * (0.9 + 1.0) / 2, rel=1e-5)
    assert agent.losses[1] == pytest.approx((0.81 + 1) / 2, rel=1e-5)
    agent.look()
    assert agent.behaviour()[0, RIGHT] > 0.25 and agent.values[0] > 0


def test_advantages_worked_out_by_hand():
    agent = policy_agent(A2C, "A2C")
    gained, returns = advantages(agent.rollout, 2, np.array([0.2, 0.4, 0, 0]), 0.9, 0.5)
    last = 1 - 0.4
    assert gained[:, 0] == pytest.approx([0.9 * 0.4 - 0.2 + 0.45 * last, last])
    assert returns[:, 0] == pytest.approx([0.36 + 0.45 * last, 1.0])
    agent.rollout.done[1], agent.rollout.after[1] = False, 1  # cut off instead: its end is worth what the critic says
    cut, _ = advantages(agent.rollout, 2, np.array([0.2, 0.4, 0, 0]), 0.9, 0.5)
    assert cut[1, 0] == pytest.approx(1 + 0.9 * 0.4 - 0.4)


def test_the_losses_of_a2c_worked_out_by_hand():
    agent = policy_agent(A2C, "A2C")
    with torch.no_grad():
        agent.network.actor.layers[0].rows.weight[0, RIGHT] = 1.0
    agent.update(2)
    likely, even = 1 - math.log(math.e + 3), -math.log(4)  # log-probabilities of the two moves
    assert agent.losses[0] == pytest.approx(-(likely * -(0.5**0.5) + even * 0.5**0.5) / 2, rel=1e-4)  # advantages, scaled
    assert agent.losses[1] == pytest.approx((0.45**2 + 1) / 2, rel=1e-5)


def test_the_clipped_loss_of_ppo_worked_out_by_hand():
    agent = policy_agent(PPO, "PPO", epochs=1, batch_size=4)
    agent.rollout.policy[0, RIGHT], agent.rollout.policy[1, DOWN] = 0.125, 0.5  # ratios 2 and 1/2
    agent.update(2)
    low, high = -(0.5**0.5), 0.5**0.5  # the advantages, scaled
    expected = -(min(2 * low, 1.2 * low) + min(0.5 * high, 0.8 * high)) / 2
    assert agent.losses[0] == pytest.approx(expected, rel=1e-4) and agent.losses[2] == 1.0


# properties that every method has

QUICK = {
    **{method: {"steps": 20_000, "seeds": 2, "epsilon": 0.5, "epsilon_end": 0.05, "alpha": 0.3, "alpha_end": 0.05} for method in TABULAR},
    **{method: {"steps": 2000} for method in PLANNERS},
    "DQN": {"steps": 12_000, "seeds": 1, "epsilon": 1.0, "epsilon_end": 0.05, "epsilon_share": 0.5},
    "REINFORCE": {"steps": 30_000, "seeds": 1, "learning_rate": 0.003},
    "A2C": {"steps": 60_000, "seeds": 1, "learning_rate": 0.005, "rollout": 16},
    "PPO": {"steps": 30_000, "seeds": 1, "learning_rate": 0.003, "trace": 0.95},
}


@pytest.mark.parametrize("method", [method for method in METHODS if method != "policy evaluation"])
def test_it_finds_the_optimum_of_an_empty_grid(method):
    *_, last = train(GridworldConfig(method=method, **QUICK[method]), Task(EMPTY), device=CPU)
    assert last.metrics["charts/greedy_return"] == pytest.approx(1 - 6 * 0.01)


def test_policy_evaluation_finds_the_values_of_the_random_policy():
    run = Session(GridworldConfig(method="policy evaluation", gamma=0.95, steps=5000), Task(EMPTY), CPU)
    while not run.finished:
        run.learn()
    w = run.world
    after = np.where(w.tables.done, 0, run.agents[0].values[w.tables.next])
    wanted = (w.tables.chance * (w.tables.reward + 0.95 * after)).sum(-1).mean(-1)
    assert np.allclose(run.agents[0].values[w.acting], wanted[w.acting], atol=1e-7)


def tiny(method, **changes):
    settings = {"steps": 1200, "seeds": 2, "learning_starts": 50, "rollout": 16, "envs": 2, "epsilon": 0.3, "epsilon_end": 0.1, **changes}
    return GridworldConfig(method=method, **settings)


def rows(config, resume=None):
    return [(progress.step, progress.metrics) for progress in train(config, builtin("frozen4"), device=CPU, resume=resume)]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_numbers(method):
    seeds = 1 if method in DEEP else 2  # networks take longer
    first = rows(tiny(method, seeds=seeds))
    assert str(first) == str(rows(tiny(method, seeds=seeds)))
    if method not in PLANNERS:
        assert str(first) != str(rows(tiny(method, seeds=seeds, seed=1)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "changes", [{}, {"state": "local view", "prioritised": True, "double": True, "seeds": 1}], ids=["plain", "all options"]
)
def test_resume_gives_the_numbers_of_the_run_that_never_stopped(method, changes):
    if changes and method not in DEEP:
        return
    config = tiny(method, **changes)
    whole, kept, half = [], None, 0
    for progress in train(config, builtin("frozen4"), device=CPU):
        whole.append((progress.step, progress.metrics))
        if len(whole) == 100:
            saved = progress.checkpoint()
            kept, half = Checkpoint({name: value.clone() for name, value in saved.tensors.items()}, dict(saved.state)), len(whole)
    assert str(rows(config, kept)) == str(whole[half:])


@pytest.mark.parametrize("pace", ["moves", "episodes"])
@pytest.mark.parametrize("method", ["Q-learning", "Monte Carlo", "DQN", "PPO", "REINFORCE"])
def test_a_step_can_be_a_move_or_an_episode(method, pace):
    loop = train(tiny(method, pace=pace), builtin("frozen4"), device=CPU)
    steps = [next(loop) for _ in range(12)]
    if pace == "moves":
        assert [progress.step for progress in steps] == list(range(1, 13))
    else:
        assert all("charts/episodic_return" in progress.metrics for progress in steps)


def test_the_pace_changes_nothing_that_is_learned():
    *_, chunks = train(tiny("Q-learning", seeds=1), builtin("frozen4"), device=CPU)
    *_, moves = train(tiny("Q-learning", seeds=1, pace="moves"), builtin("frozen4"), device=CPU)
    assert (chunks.sample()["q"] == moves.sample()["q"]).all()


@pytest.mark.parametrize("method", ["Q-learning", "value iteration", "DQN", "Dyna-Q"])
def test_the_map_can_change_while_it_learns(method):
    walled = EMPTY.changed(rows=["S...", "###.", "....", "...G"])
    config = GridworldConfig(method=method, **QUICK[method])
    loop = train(config, Task(EMPTY), device=CPU)
    progress = next(loop)
    progress = loop.send({"edit": walled.code()})
    for progress in loop:  # noqa: B007
        pass
    sample = progress.sample()
    assert sample["map"].tobytes().decode() == walled.code()
    policy = np.eye(4)[sample["greedy"]]
    assert exact.expected_return(World(walled), policy) == pytest.approx(1 - 6 * 0.01)
    saved = progress.checkpoint()
    back = Session(config, Task(EMPTY), CPU)
    back.restore(saved)
    assert back.world.map == walled


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rows": ["S..", "..G"]}, "neither its size"),
        ({"rows": ["S...", "....", ".a..", "...G"]}, "nor its keys"),
        ({"rows": ["S#..", "##..", "....", "...G"]}, "cannot be reached"),
        ({"rows": ["S.I.", "....", "....", "...G"]}, "ice can't be brought"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_while_it_learns(change, sentence):
    loop = train(tiny("Q-learning"), Task(EMPTY), device=CPU)
    next(loop)
    with pytest.raises(UserError, match=sentence):
        loop.send({"edit": EMPTY.changed(**change).code()})


def test_a_demonstration_fills_the_replay_buffer():
    demo = np.array([[0, RIGHT, 0, 1, 0], [1, DOWN, 1, 3, 1]], np.float64)
    run = Session(GridworldConfig(method="DQN", seeds=1), Task(CORRIDOR, demo), CPU)
    assert run.sample()["replay"].tolist() == [1, 1, 0, 0]


def test_optimism_and_bonuses_make_an_agent_try_everything():
    for changes in ({"initial_q": 5.0}, {"bonus": 5.0}, {"behaviour": "softmax", "temperature": 10.0, "temperature_end": 10.0}):
        agent = Table(GridworldConfig(epsilon=0.0, epsilon_end=0.0, **changes), World(EMPTY), 0)
        agent.learn(4000)
        assert (agent.memory.visits[World(EMPTY).acting] > 0).all(), changes


def test_schedules_fall_in_a_straight_line():
    agent = Table(GridworldConfig(epsilon=1.0, epsilon_end=0.0, epsilon_share=0.5, steps=1000), World(EMPTY), 0)
    agent.learn(250)
    assert agent.facts()["train/epsilon"] == pytest.approx(0.5)
    agent.learn(500)
    assert agent.facts()["train/epsilon"] == 0


def test_values_beyond_anything_that_can_be_earned_are_a_divergence():
    w = World(EMPTY)
    most = bound(w, GridworldConfig())
    check_sane(np.full((w.states, 4), 1.0), most)
    for value in (1e5, np.nan, np.inf):
        with pytest.raises(Diverged, match="diverged"):
            check_sane(np.full((w.states, 4), value), most)


@pytest.mark.parametrize(
    ("grid", "changes"),
    [
        ({"rows": ["S.", "##", ".G", ".."], "rewards": {}, "horizon": 10}, None),
        ({"rows": ["S.", ".G"], "step_reward": 1.0, "goal_reward": 0.0, "horizon": 10}, {"gamma": 0.999, "alpha": 0.5}),
        ({"rows": ["S.", ".G"]}, {"gamma": 0.9, "initial_q": 200.0}),
    ],
)
def test_large_values_that_are_right_are_no_divergence(grid, changes):
    if changes is None:
        with pytest.raises(UserError, match="cannot be reached"):
            next(train(GridworldConfig(), Task(read_map(grid)), device=CPU))
        return
    *_, last = train(GridworldConfig(steps=20_000, seeds=1, **changes), Task(read_map(grid)), device=CPU)
    assert last.step == 20_000


def test_a_reward_painted_and_taken_away_is_no_divergence():
    rich = EMPTY.changed(rewards={"0,1": 1000.0})
    loop = train(GridworldConfig(steps=40_000, seeds=1, alpha=0.5), Task(EMPTY), device=CPU)
    next(loop)
    loop.send({"edit": rich.code()})
    for _ in range(200):
        next(loop)
    loop.send({"edit": EMPTY.code()})
    assert list(loop)[-1].step == 40_000


def test_agents_whose_first_episodes_end_at_different_times_are_averaged():
    found = [progress.metrics for progress in train(tiny("REINFORCE", seeds=4, steps=1200), builtin("frozen8"), device=CPU)]
    assert any("train/loss" in metrics for metrics in found)


@pytest.mark.parametrize("method", ["DQN", "PPO"])
def test_a_local_view_sees_the_changed_map(method):
    walled = EMPTY.changed(rows=["S...", "###.", "....", "...G"])
    run = Session(tiny(method, seeds=1, state="local view"), Task(EMPTY), CPU)
    run.take({"edit": walled.code()})
    encoder = next(part for part in run.agents[0].network.modules() if isinstance(part, Encoder))
    assert torch.equal(encoder.features, local_view(World(walled)))


def test_without_a_discount_a_planner_does_not_put_the_reward_off():
    *_, last = train(GridworldConfig(method="value iteration", gamma=1.0), builtin("rooms"), device=CPU)
    assert last.metrics["charts/greedy_return"] == 1.0


@pytest.mark.parametrize(
    ("method", "name", "place", "value"),
    [
        ("Q-learning", "now", 2, 50_000_000),
        ("Q-learning", "known", 0, 10**6),
        ("Dyna-Q", "model_next", (0, 0, 0), -7),
        ("DQN", "replay.state", 0, 10**9),
        ("PPO", "rollout.place", 0, 999),
        ("PPO", "rollout.cursor", 0, 10**6),
        ("value iteration", "told", 0, -3),
    ],
)
def test_a_checkpoint_that_points_beyond_its_arrays_is_refused(method, name, place, value):
    run = Session(tiny(method, seeds=1), builtin("frozen4"), CPU)
    run.learn()
    saved = run.checkpoint()
    saved.tensors[f"0.{name}"][place] = value
    with pytest.raises(UserError, match="does not fit"):
        Session(tiny(method, seeds=1), builtin("frozen4"), CPU).restore(saved)


def test_a_dqn_that_diverges_is_stopped_and_explained():
    config = GridworldConfig(
        method="DQN",
        seeds=1,
        learning_rate=0.1,
        target_every=1,
        train_every=1,
        learning_starts=10,
        gamma=0.999,
        hidden_size=512,
        steps=3000,
    )
    with pytest.raises(Diverged, match="diverged"):
        for seed in range(20):
            list(train(config.updated({"seed": seed}), Task(BUILTIN["cliff"]), device=CPU))


def test_where_nothing_can_be_learned_it_says_so():
    with pytest.raises(UserError, match="do not exist"):
        next(train(GridworldConfig(gamma=1.0), builtin("coins"), device=CPU))
    with pytest.raises(UserError, match="cannot be reached"):
        next(train(GridworldConfig(), Task(EMPTY.changed(rows=["S#..", "##..", "....", "...G"])), device=CPU))
