"""The exact optimum, the textbook's lesson on the cliff, and the speed of tables and networks.

    python -m benchmarks.gridworld [--json] [--runs 5]

The deep methods are timed against Stable-Baselines3 (`pip install stable-baselines3`, for this benchmark only) on the same map
with the same network, batch and schedule, on one thread; without it those figures are left out. Seeds are counted from 0.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

from benchmarks.report import Figure, main
from core.gridworld import exact
from core.gridworld.config import GridworldConfig
from core.gridworld.env import World, builtin, world_of
from core.gridworld.learners import Table
from core.gridworld.maps import BUILTIN, maze
from core.gridworld.memory import EPISODES
from core.gridworld.methods.dqn import DQN
from core.gridworld.methods.ppo import PPO
from core.gridworld.train import THREADS, train

CPU = torch.device("cpu")
FIGURES = {
    "frozenlake4_optimum": Figure("FrozenLake 4x4: exact optimum in 100 moves", "", 0.744, True),
    "frozenlake8_optimum": Figure("FrozenLake 8x8: exact optimum in 200 moves", "", 0.913, True),
    "cliff_optimum": Figure("CliffWalking: exact optimum", "", -13, True),
    "vi_4x4_ms": Figure("FrozenLake 4x4: solved exactly", "ms", 50),
    "vi_8x8_ms": Figure("FrozenLake 8x8: solved exactly", "ms", 50),
    "vi_cliff_ms": Figure("CliffWalking: solved exactly", "ms", 50),
    "vi_30x30_s": Figure("a maze of 30x30: solved exactly", "s", 1),
    "q_frozenlake4_seeds_solved": Figure("FrozenLake 4x4, Q-learning: seeds of 10 that earn 0.70", "", 10, True),
    "cliff_q_greedy": Figure("cliff, Q-learning: greedy return, median of 20 seeds", "", -13, True),
    "cliff_sarsa_greedy": Figure("cliff, SARSA: greedy return, median of 20 seeds", "", -17, True),
    "cliff_q_online": Figure("cliff, Q-learning: return while exploring, episodes 401 to 500", ""),
    "cliff_sarsa_online": Figure("cliff, SARSA: return while exploring, episodes 401 to 500", ""),
    "tabular_speedup": Figure("Q-learning's moves/s over a plain loop on Gymnasium's FrozenLake", "", 20, True),
    "tabular_moves_s": Figure("Q-learning's moves/s", "million"),
    "dqn_speed_ratio": Figure("DQN's moves/s over Stable-Baselines3's", "", 1, True),
    "dqn_return": Figure("and what it then earns on FrozenLake 4x4, median", ""),
    "sb3_dqn_return": Figure("and Stable-Baselines3's", ""),
    "ppo_speed_ratio": Figure("PPO's moves/s over Stable-Baselines3's", "", 1, True),
    "ppo_return": Figure("and what it then earns on FrozenLake 4x4, median", ""),
    "sb3_ppo_return": Figure("and Stable-Baselines3's", ""),
    "dqn_frozenlake4_median": Figure("DQN preset on FrozenLake 4x4: greedy return, median of 10 seeds", "", 0.70, True),
    "dqn_frozenlake4_worst": Figure("the worst seed", ""),
    "dqn_frozenlake4_best": Figure("the best seed", ""),
    "dqn_cliff_median": Figure("DQN preset on CliffWalking: greedy return, median of 10 seeds", "", -13, True),
    "dqn_cliff_worst": Figure("the worst seed", ""),
    "dqn_cliff_best": Figure("the best seed", ""),
}
LAKE, CLIFF = world_of(BUILTIN["frozen4"]), world_of(BUILTIN["cliff"])


def seconds(work: Callable[[], Any], runs: int) -> float:
    """The median time of some work."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def optima(runs: int) -> dict[str, float]:
    """What is known exactly, and how long it takes: the table is at hand, the values are not."""
    large = World(maze(30, 30, 1))
    lake8 = world_of(BUILTIN["frozen8"])
    return {
        "frozenlake4_optimum": round(exact.possible(LAKE), 3),
        "frozenlake8_optimum": round(exact.possible(lake8), 3),
        "cliff_optimum": exact.possible(CLIFF),
        "vi_4x4_ms": 1000 * seconds(lambda: exact.possible(LAKE), runs),
        "vi_8x8_ms": 1000 * seconds(lambda: exact.possible(lake8), runs),
        "vi_cliff_ms": 1000 * seconds(lambda: exact.possible(CLIFF), runs),
        "vi_30x30_s": seconds(lambda: exact.possible(large), runs),
    }


def earned(world: World, agent: Any) -> float:
    """The exact return of an agent's greedy policy."""
    return exact.expected_return(world, np.eye(4)[agent.greedy()])


def lake_seeds() -> float:
    """How many of ten seeds learn FrozenLake with the preset."""
    config = GridworldConfig.from_preset("FrozenLake, Q-learning")
    solved = 0
    for seed in range(10):
        agent = Table(config, LAKE, seed)
        agent.learn(config.steps)
        solved += earned(LAKE, agent) >= 0.70
    return solved


def cliff(method: str) -> tuple[float, float]:
    """Sutton and Barto's example 6.6: greedy return (median of 20 seeds), and the mean return of episodes 401 to 500."""
    config = GridworldConfig.from_preset(f"Cliff walking, {method}").updated({"pace": "episodes", "steps": 1_000_000})
    greedy, online = [], []
    for seed in range(20):
        agent = Table(config, CLIFF, seed)
        while agent.memory.now[EPISODES] < 500:
            agent.log.tally[0] = 0
            agent.learn(CLIFF.tables.horizon)
            if agent.memory.now[EPISODES] > 400 and agent.log.tally[0]:
                online.append(float(agent.log.returns[0]))
        greedy.append(earned(CLIFF, agent))
    return statistics.median(greedy), statistics.fmean(online)


def plain_loop(steps: int) -> float:
    """Moves/s of Q-learning written plainly on Gymnasium's FrozenLake."""
    env = gymnasium.make("FrozenLake-v1")
    q, random = np.zeros((16, 4)), np.random.default_rng(0)
    state, _ = env.reset(seed=0)
    began = time.perf_counter()
    for _ in range(steps):
        best = np.flatnonzero(q[state] == q[state].max())
        action = int(random.integers(4)) if random.random() < 0.1 else int(random.choice(best))
        after, reward, done, cut, _ = env.step(action)
        target = float(reward) + (0.0 if done else 0.99 * q[after].max())
        q[state, action] += 0.1 * (target - q[state, action])
        state = after
        if done or cut:
            state, _ = env.reset()
    return steps / (time.perf_counter() - began)


def our_table(steps: int) -> float:
    """Moves/s of the same in our compiled loop."""
    agent = Table(GridworldConfig(alpha=0.1, alpha_end=0.1, epsilon=0.1, epsilon_end=0.1), LAKE, 0)
    began = time.perf_counter()
    agent.learn(steps)
    return steps / (time.perf_counter() - began)


def dqn_seeds(world: World, name: str, key: str) -> dict[str, float]:
    """The DQN preset on ten seeds."""
    found = []
    for seed in range(10):
        config = GridworldConfig.from_preset("DQN").updated({"seed": seed})
        *_, last = train(config, builtin(name), device=CPU)
        found.append(exact.expected_return(world, np.eye(4)[last.sample()["greedy"]] if last.sample else exact.random_policy(world)))
        print(f"{key}, seed {seed}: {found[-1]:.3f}", file=sys.stderr, flush=True)
    return {f"{key}_median": statistics.median(found), f"{key}_worst": min(found), f"{key}_best": max(found)}


# against Stable-Baselines3

DQN_STEPS, PPO_STEPS = 20_000, 60_000
DQN_SETTINGS = GridworldConfig.from_preset("DQN").updated({"steps": DQN_STEPS})
PPO_SETTINGS = GridworldConfig.from_preset("PPO").updated({"steps": PPO_STEPS})


def _theirs(kind: str, seed: int) -> tuple[float, float]:
    """Moves/s of Stable-Baselines3 with our settings, and what its greedy policy earns."""
    from stable_baselines3 import DQN as TheirDQN
    from stable_baselines3 import PPO as TheirPPO
    from stable_baselines3.common.env_util import make_vec_env

    c = DQN_SETTINGS if kind == "DQN" else PPO_SETTINGS
    copies = 1 if kind == "DQN" else c.envs
    env = make_vec_env("Manabi/Gridworld-v0", n_envs=copies, env_kwargs={"map": "frozen4"}, seed=seed)
    widths = [c.hidden_size] * c.layers
    common: dict[str, Any] = {"learning_rate": c.learning_rate, "batch_size": c.batch_size, "gamma": c.gamma, "seed": seed, "device": "cpu"}
    model: Any
    if kind == "DQN":
        model = TheirDQN(
            "MlpPolicy",
            env,
            buffer_size=c.replay_size,
            learning_starts=c.learning_starts,
            train_freq=c.train_every,
            target_update_interval=c.target_every,
            exploration_fraction=c.epsilon_share,
            exploration_initial_eps=c.epsilon,
            exploration_final_eps=c.epsilon_end,
            policy_kwargs={"net_arch": widths},
            **common,
        )
    else:
        model = TheirPPO(
            "MlpPolicy",
            env,
            n_steps=c.rollout,
            n_epochs=c.epochs,
            gae_lambda=c.trace,
            clip_range=c.clip,
            ent_coef=c.entropy,
            vf_coef=c.value_weight,
            policy_kwargs={"net_arch": {"pi": widths, "vf": widths}, "activation_fn": torch.nn.ReLU},
            **common,
        )
    began = time.perf_counter()
    model.learn(c.steps)
    rate = model.num_timesteps / (time.perf_counter() - began)
    states = np.arange(LAKE.states)
    actions, _ = model.predict(states, deterministic=True)
    return rate, exact.expected_return(LAKE, np.eye(4)[actions])


def _ours(kind: str, seed: int) -> tuple[float, float]:
    """Moves/s of ours on the same map, and what the greedy policy earns."""
    agent: Any = DQN(DQN_SETTINGS, LAKE, seed, CPU) if kind == "DQN" else PPO(PPO_SETTINGS, LAKE, seed, CPU)
    steps = DQN_STEPS if kind == "DQN" else PPO_STEPS
    began = time.perf_counter()
    agent.learn(steps)
    return steps / (time.perf_counter() - began), earned(LAKE, agent)


def beside_sb3(kind: str, runs: int) -> dict[str, float]:
    """Ours and theirs in turns."""
    pairs = [(_ours(kind, seed), _theirs(kind, seed)) for seed in range(runs)]
    name = kind.lower()
    return {
        f"{name}_speed_ratio": statistics.median(mine[0] / other[0] for mine, other in pairs),
        f"{name}_return": statistics.median(mine[1] for mine, _ in pairs),
        f"sb3_{name}_return": statistics.median(other[1] for _, other in pairs),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    torch.set_num_threads(THREADS)
    exact.possible(LAKE)
    our_table(10)
    found: dict[str, Any] = optima(max(5, options.runs))
    found["q_frozenlake4_seeds_solved"] = lake_seeds()
    for method, key in (("Q-learning", "q"), ("SARSA", "sarsa")):
        found[f"cliff_{key}_greedy"], found[f"cliff_{key}_online"] = cliff(method)
    rates = [(our_table(2_000_000), plain_loop(30_000)) for _ in range(max(5, options.runs))]
    found["tabular_speedup"] = statistics.median(mine / plain for mine, plain in rates)
    found["tabular_moves_s"] = statistics.median(mine for mine, _ in rates) / 1e6
    if importlib.util.find_spec("stable_baselines3"):
        for kind in ("DQN", "PPO"):
            found |= beside_sb3(kind, options.runs)
    else:
        print("stable-baselines3 is not installed: the speed of the deep methods is left out", file=sys.stderr)
    for world, name, key in ((LAKE, "frozen4", "dqn_frozenlake4"), (CLIFF, "cliff", "dqn_cliff")):
        found |= dqn_seeds(world, name, key)
    return {name: found[name] for name in FIGURES if name in found}


if __name__ == "__main__":
    main("Gridworld: the exact optimum, the textbook's lesson, and speed", FIGURES, measure)
