"""What REINFORCE, A2C and PPO share: moves collected by a policy, advantages, and the agent around the update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from core.gridworld import exact, learners, memory, saving
from core.gridworld.compiled import lean
from core.gridworld.config import GridworldConfig
from core.gridworld.env import Tables, World
from core.gridworld.memory import EPISODE_LOG, EPISODES, MOVES, STATE, STEPS, TRAIL, Log, Memory, drawn, move
from core.gridworld.models import ActorCritic, look_at
from core.gridworld.saving import Arrays

MOST_GRADIENT = 0.5


class Rollout(NamedTuple):
    """Moves of E copies of the map over T steps, row by row, and where each copy stands."""

    policy: np.ndarray  # (S, 4) chances of the moves, filled in by the actor
    state: np.ndarray  # (T, E) int64
    action: np.ndarray  # (T, E) int64
    reward: np.ndarray  # (T, E)
    after: np.ndarray  # (T, E) int64
    done: np.ndarray  # (T, E) bool: a goal or a pit
    over: np.ndarray  # (T, E) bool: that, or the horizon
    place: np.ndarray  # (E,) int64
    moves: np.ndarray  # (E,) int64
    earned: np.ndarray  # (E,)
    fresh: np.ndarray  # (E,) bool
    cursor: np.ndarray  # (1,) int64: moves collected since the last update


@lean
def collect(
    world: Tables, agent: Memory, rollout: Rollout, random: np.random.Generator, log: Log, until_over: bool, pause: bool, budget: int
) -> int:
    """Up to `budget` moves by the policy; stops when the rollout is full, with `until_over` or `pause` at an episode's end."""
    copies = len(rollout.place)
    for taken in range(budget):
        t, e = divmod(rollout.cursor[0], copies)
        if rollout.fresh[e]:
            rollout.place[e] = world.starts[int(random.random() * len(world.starts))]
            rollout.moves[e], rollout.earned[e], rollout.fresh[e] = 0, 0.0, False
            if e == 0:
                log.trail[0], log.tally[2] = rollout.place[e], 1
        state = rollout.place[e]
        action = drawn(rollout.policy[state], random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        rollout.moves[e] += 1
        rollout.earned[e] += reward
        over = done or rollout.moves[e] >= world.horizon
        rollout.state[t, e], rollout.action[t, e], rollout.reward[t, e] = state, action, reward
        rollout.after[t, e], rollout.done[t, e], rollout.over[t, e] = after, done, over
        rollout.place[e], rollout.fresh[e] = after, over
        rollout.cursor[0] += 1
        agent.visits[state, action] += 1
        agent.now[STEPS] += 1
        if e == 0:
            log.trail[log.tally[2] % TRAIL] = after
            log.tally[2] += 1
            agent.now[STATE], agent.now[MOVES] = after, rollout.moves[0]
        if over:
            n = log.tally[0] % EPISODE_LOG
            log.returns[n], log.lengths[n] = rollout.earned[e], rollout.moves[e]
            log.tally[0] += 1
            agent.now[EPISODES] += 1
        if rollout.cursor[0] == rollout.state.size or (over and (until_over or (pause and e == 0))):
            return taken + 1
    return budget


def advantages(rollout: Rollout, length: int, values: np.ndarray, gamma: float, trace: float) -> tuple[np.ndarray, np.ndarray]:
    """Generalised advantage estimation (Schulman et al. 2016) and the returns that the critic should have said.

    values: (S,) by the critic. An episode that the horizon cut off goes on in the mind: its end is worth what the critic says.
    Both are (length, E).
    """
    state, after, done, over = (part[:length] for part in (rollout.state, rollout.after, rollout.done, rollout.over))
    surprise = rollout.reward[:length] + gamma * ~done * values[after] - values[state]
    found, later = np.zeros_like(surprise), np.zeros(surprise.shape[1])
    for t in range(length - 1, -1, -1):
        later = surprise[t] + gamma * trace * ~over[t] * later
        found[t] = later
    return found, found + values[state]


def scaled(advantage: Tensor) -> Tensor:
    """Advantages of a batch with mean 0 and spread 1, so that one learning rate suits every map.  # (batch,)"""
    if len(advantage) < 2:
        return advantage
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


class PolicyGradient(ABC):
    """An agent with an actor and a critic. A method is a subclass with an `update` that can be read by itself."""

    until_over = False  # learn after each episode, or when the rollout is full

    def __init__(self, config: GridworldConfig, world: World, seed: int, device: torch.device) -> None:
        self.config, self.world, self.device, self.done = config, world, device, False
        self.random = np.random.Generator(np.random.PCG64(seed))
        torch.manual_seed(seed)
        self.network = ActorCritic(world, config).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), config.learning_rate, fused=True)
        self.memory = memory.fresh_memory(world.states, 1, 1, 0.0, world.acting)
        self.log = memory.fresh_log(world.states)
        t, e = (world.tables.horizon, 1) if self.until_over else (config.rollout, config.envs)
        whole, number, flag = np.zeros((t, e), np.int64), np.zeros((t, e)), np.zeros((t, e), bool)
        self.rollout = Rollout(
            np.zeros((world.states, 4)),
            whole,
            whole.copy(),
            number,
            whole.copy(),
            flag,
            flag.copy(),
            np.zeros(e, np.int64),
            np.zeros(e, np.int64),
            np.zeros(e),
            np.ones(e, bool),
            np.zeros(1, np.int64),
        )
        self.scale = max(1.0, float(np.abs(world.tables.reward).max()))  # the critic's unit: one output for every size of reward
        self.values, self.most = np.zeros(world.states), learners.bound(world, config)
        self.losses = np.full(3, np.nan)  # policy loss, value loss, share of clipped ratios (PPO) of the last update
        self.look()

    def learn(self, budget: int) -> int:
        """Collect moves; learn whenever the rollout is full, or the episode over."""
        made, pause = 0, self.config.pace == "episodes"
        while made < budget:
            made += collect(self.world.tables, self.memory, self.rollout, self.random, self.log, self.until_over, pause, budget - made)
            t, e = divmod(int(self.rollout.cursor[0]) - 1, len(self.rollout.place))
            ended = bool(self.rollout.over[t, e])
            if self.rollout.cursor[0] == self.rollout.state.size or (self.until_over and ended):
                self.update(t + 1)
                self.rollout.cursor[0] = 0
                self.look()
            if pause and ended:
                break
        learners.check_sane(self.values, self.most)
        return made

    @abstractmethod
    def update(self, length: int) -> None:
        """Learn from the first `length` rows of the rollout."""

    def judge(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the moves (batch, 4) and the critic's values (batch,) in rewards."""
        log_chances, values = self.network(states)
        return log_chances, values * self.scale

    def batch(self, length: int) -> tuple[Tensor, Tensor]:
        """States and actions of the rollout, flat.  # (length * E,) each"""
        return tuple(torch.from_numpy(part[:length].reshape(-1)).to(self.device) for part in self.rollout[1:3])  # type: ignore[return-value]

    def flat(self, values: np.ndarray) -> Tensor:
        """Numbers of the rollout as the network wants them.  # (length * E,)"""
        return torch.from_numpy(values.reshape(-1)).float().to(self.device)

    def step(self, loss: Tensor) -> None:
        """One step of Adam down the loss."""
        self.optimiser.zero_grad()
        loss.backward()
        clip_grad_norm_(self.network.parameters(), MOST_GRADIENT, foreach=True)
        self.optimiser.step()

    def note(self, length: int, values: np.ndarray, targets: np.ndarray) -> None:
        """Write down what the critic learned: its old value, what it should have said, what it says now."""
        new = self.ask()[1]
        state, action, reward, after, done = (part[:length].reshape(-1) for part in self.rollout[1:6])
        rows = slice(max(0, len(state) - 512), None)  # the freshest will do
        _note(self.memory, self.log, *(part[rows] for part in (state, action, reward, after, done)), values, targets.reshape(-1)[rows], new)

    @torch.no_grad()
    def ask(self) -> tuple[np.ndarray, np.ndarray]:
        """What the network thinks of every state: chances (S, 4), values (S,)."""
        chances, values = self.judge(torch.arange(self.world.states, device=self.device))
        return chances.double().exp().cpu().numpy(), np.where(self.world.terminal, 0.0, values.double().cpu().numpy())

    def look(self) -> None:
        """Fill in the table that the agent acts from."""
        chances, self.values[:] = self.ask()
        self.rollout.policy[:] = chances / chances.sum(1, keepdims=True)

    def q(self) -> np.ndarray:
        """One step of look-ahead from the critic's values: a policy method has no values of moves.  # (S, 4)"""
        return exact.q_of(self.world, self.values, self.config.gamma)

    def greedy(self) -> np.ndarray:
        """The likeliest move.  # (S,)"""
        return self.rollout.policy.argmax(-1)

    def behaviour(self) -> np.ndarray:
        """The policy.  # (S, 4)"""
        return self.rollout.policy

    def facts(self) -> dict[str, float]:
        """Losses of the last update and the surprise of the critic."""
        names = ("train/loss", "train/value_loss", "train/clipped")
        told = {name: float(value) for name, value in zip(names, self.losses, strict=True) if np.isfinite(value)}
        return {"train/td_error": learners.surprise(self.log)} | told

    def pictures(self) -> Arrays:
        """None of its own."""
        return {}

    def change(self, config: GridworldConfig, world: World) -> None:
        """New live settings, or another map for the same networks."""
        if world is not self.world:
            self.rollout.fresh[~world.acting[self.rollout.place]] = True
            self.rollout.cursor[0] = 0
            look_at(self.network, world)
        self.config, self.world, self.most = config, world, max(self.most, learners.bound(world, config))
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate
        self.look()

    def arrays(self) -> Arrays:
        """Networks, optimiser, what was collected, luck."""
        found = {f"memory.{name}": value for name, value in self.memory._asdict().items()}
        found |= {f"rollout.{name}": value for name, value in self.rollout._asdict().items()}
        found |= saving.why_arrays(self.log) | {"random": saving.random_state(self.random), "losses": self.losses}
        return found | saving.network_arrays({"network": self.network}, self.optimiser)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        saving.restore_networks({"network": self.network}, self.optimiser, arrays)
        self.look()
        saving.restore_why(self.log, arrays)
        if "random" in arrays:
            saving.take_over(self.memory, "memory", arrays)
            saving.take_over(self.rollout, "rollout", arrays)
            for parts in (self.memory._asdict() | saving.why_arrays(self.log), self.rollout._asdict()):
                saving.check_indices(parts, self.world.states, self.world.tables.horizon)
            saving.set_random_state(self.random, arrays["random"])
            self.losses[:] = arrays["losses"]


@lean
def _note(
    agent: Memory,
    log: Log,
    states: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    after: np.ndarray,
    done: np.ndarray,
    values: np.ndarray,
    targets: np.ndarray,
    new: np.ndarray,
) -> None:
    for n in range(len(states)):
        old = values[states[n]]
        gap = targets[n] - old
        rate = (new[states[n]] - old) / gap if abs(gap) > 1e-12 else 0.0
        memory.note(agent, log, states[n], actions[n], rewards[n], after[n], done[n], old, targets[n], rate)
