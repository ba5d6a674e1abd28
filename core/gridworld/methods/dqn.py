"""Deep Q-learning (Mnih et al. 2015): a network in place of the table, a replay buffer, and a target network that lags behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import smooth_l1_loss
from torch.nn.utils import clip_grad_norm_

from core.gridworld import learners, memory, saving
from core.gridworld.compiled import lean
from core.gridworld.config import GridworldConfig
from core.gridworld.env import Tables, World
from core.gridworld.memory import FRESH, STATE, STEPS, Knobs, Log, Memory, arrive, begin, choose, move
from core.gridworld.models import QNetwork, look_at
from core.gridworld.saving import Arrays

MOST_GRADIENT = 10.0
URGENCY = 0.6  # prioritised replay: exponent of the priorities
CORRECTION = 0.4  # and of the importance weights at the start; 1 at the end


class Replay(NamedTuple):
    """The last N moves, a ring."""

    state: np.ndarray  # (N,) int64
    action: np.ndarray  # (N,) int64
    reward: np.ndarray  # (N,) float64
    after: np.ndarray  # (N,) int64
    done: np.ndarray  # (N,) bool
    priority: np.ndarray  # (N,) float64
    kept: np.ndarray  # (1,) int64: moves stored so far


@lean
def store(replay: Replay, state: int, action: int, reward: float, after: int, done: bool, priority: float) -> None:
    """Put a move into the buffer, over the oldest if it is full."""
    n = replay.kept[0] % len(replay.state)
    replay.state[n], replay.action[n], replay.reward[n], replay.after[n], replay.done[n] = state, action, reward, after, done
    replay.priority[n] = priority
    replay.kept[0] += 1


@lean
def act(
    world: Tables, agent: Memory, knobs: Knobs, random: np.random.Generator, log: Log, replay: Replay, priority: float, budget: int
) -> int:
    """Up to `budget` moves by the values in `agent.q`, which the network filled in; each goes into the buffer. Returns how many."""
    for taken in range(budget):
        begin(world, agent, log, random)
        state = agent.now[STATE]
        action = choose(agent, knobs, state, random)
        k = move(world, state, action, random)
        after, reward, done = world.next[state, action, k], world.reward[state, action, k], world.done[state, action, k]
        agent.visits[state, action] += 1
        store(replay, state, action, reward, after, done, priority)
        if arrive(world, agent, log, after, reward, done) and knobs.one_episode:
            return taken + 1
    return budget


class DQN:
    """An agent with a network for its values. The update is in `update`; the contract is that of `learners.py`."""

    def __init__(self, config: GridworldConfig, world: World, seed: int, device: torch.device, demo: np.ndarray | None = None) -> None:
        self.config, self.world, self.device, self.done = config, world, device, False
        self.random = np.random.Generator(np.random.PCG64(seed))
        torch.manual_seed(seed)
        self.network = QNetwork(world, config).to(device)
        self.target = QNetwork(world, config).to(device)
        self.target.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.Adam(self.network.parameters(), config.learning_rate, fused=True)
        self.memory = memory.fresh_memory(world.states, 1, 1, 0.0, world.acting)
        self.log, self.knobs = memory.fresh_log(world.states), learners.knobs(config)
        n = config.replay_size
        whole, number, flag = np.zeros(n, np.int64), np.zeros(n), np.zeros(n, bool)
        self.replay = Replay(whole, whole.copy(), number, whole.copy(), flag, number.copy(), np.zeros(1, np.int64))
        for state, action, reward, after, done in (demo if demo is not None else [])[-n:]:
            store(self.replay, int(state), int(action), reward, int(after), bool(done), 1.0)
        self.loss, self.most = np.nan, learners.bound(world, config)
        self.target_q = np.zeros((world.states, 4))
        self.look()
        self.lag()

    def learn(self, budget: int) -> int:
        """Make moves; every few of them learn from a batch, now and then copy the network."""
        made, now = 0, self.memory.now
        while made < budget:
            before = int(now[STEPS])
            due = self.config.train_every - before % self.config.train_every
            worst = float(self.replay.priority.max()) if self.config.prioritised else 1.0  # what is new is urgent
            made += act(
                self.world.tables,
                self.memory,
                self.knobs,
                self.random,
                self.log,
                self.replay,
                max(worst, 1e-3),
                min(due, budget - made),
            )
            steps = int(now[STEPS])
            if self.replay.kept[0] >= max(self.config.learning_starts, self.config.batch_size) and steps % self.config.train_every == 0:
                self.update(self.draw())
            if steps // self.config.target_every > before // self.config.target_every:
                self.target.load_state_dict(self.network.state_dict())
                self.lag()
            if self.config.pace == "episodes" and now[FRESH]:
                break
        learners.check_sane(self.memory.q, self.most)
        return made

    def draw(self) -> np.ndarray:
        """Which moves are replayed: any, or the surprising ones more often.  # (batch,)"""
        size = min(int(self.replay.kept[0]), len(self.replay.state))
        if not self.config.prioritised:
            return self.random.integers(size, size=self.config.batch_size)
        piled = np.cumsum(self.replay.priority[:size] ** URGENCY)
        return np.minimum(np.searchsorted(piled, self.random.random(self.config.batch_size) * piled[-1]), size - 1)

    def update(self, rows: np.ndarray) -> None:
        """One step of Adam on a batch: Q(s, a) towards r + gamma max Q_target(s', .); with `double`, the network itself names
        the best next move and the target network says what it is worth."""
        states, actions, rewards, after, done = (part[rows] for part in self.replay[:5])
        best = self.memory.q[after].argmax(1) if self.config.double else self.target_q[after].argmax(1)
        targets = rewards + self.config.gamma * ~done * self.target_q[after, best]
        weights = np.ones(len(rows))
        if self.config.prioritised:
            size = min(int(self.replay.kept[0]), len(self.replay.state))
            share = self.replay.priority[rows] ** URGENCY
            correct = memory.falling(CORRECTION, 1.0, float(self.config.steps), int(self.memory.now[STEPS]))
            weights = (size * share) ** -correct
            weights /= weights.max()

        chosen = self.network(self.tensor(states)).gather(1, self.tensor(actions)[:, None]).squeeze(1)  # (batch,)
        losses = smooth_l1_loss(chosen, self.tensor(targets).float(), reduction="none")
        loss = (losses * self.tensor(weights).float()).mean()
        self.optimiser.zero_grad()
        loss.backward()
        clip_grad_norm_(self.network.parameters(), MOST_GRADIENT, foreach=True)
        self.optimiser.step()

        self.loss = loss.item()
        old = self.memory.q[states, actions]
        self.look()
        note_batch(self.memory, self.log, states, actions, rewards, after, done, old, targets, self.memory.q[states, actions])
        if self.config.prioritised:
            self.replay.priority[rows] = np.abs(targets - old) + 1e-3

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """An array on the network's device."""
        return torch.from_numpy(values).to(self.device)

    @torch.no_grad()
    def ask(self, network: QNetwork) -> np.ndarray:
        """What a network thinks of every state; nothing is worth anything where an episode has ended.  # (S, 4)"""
        found = network(torch.arange(self.world.states, device=self.device)).double().cpu().numpy()
        return np.where(self.world.terminal[:, None], 0.0, found)

    def look(self) -> None:
        """Fill in the table that the agent acts from."""
        self.memory.q[:] = self.ask(self.network)

    def lag(self) -> None:
        """Fill in the table that targets come from."""
        self.target_q[:] = self.ask(self.target)

    def q(self) -> np.ndarray:
        """The network's values.  # (S, 4)"""
        return self.memory.q

    def greedy(self) -> np.ndarray:
        """The best move.  # (S,)"""
        return self.memory.q.argmax(-1)

    def behaviour(self) -> np.ndarray:
        """Epsilon-greedy or softmax, as it stands now.  # (S, 4)"""
        return learners.behaviour_of(self.memory, self.knobs)

    def facts(self) -> dict[str, float]:
        """Loss, surprise, schedules, and how far the target network lags behind."""
        found = learners.schedules(self.knobs, int(self.memory.now[STEPS]))
        found |= {"train/td_error": learners.surprise(self.log), "train/lag": float(np.abs(self.memory.q - self.target_q).max())}
        return found | ({"train/loss": self.loss} if np.isfinite(self.loss) else {})

    def pictures(self) -> Arrays:
        """The target network's values and how often each state lies in the buffer."""
        size = min(int(self.replay.kept[0]), len(self.replay.state))
        return {"target_q": self.target_q, "replay": np.bincount(self.replay.state[:size], minlength=self.world.states)}

    def change(self, config: GridworldConfig, world: World) -> None:
        """New live settings, or another map for the same network."""
        if world is not self.world:
            learners.fit_to(self.memory, world)
            look_at(self.network, world)
            look_at(self.target, world)
        self.config, self.world, self.knobs = config, world, learners.knobs(config)
        self.most = max(self.most, learners.bound(world, config))
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate
        self.look()
        self.lag()

    def arrays(self) -> Arrays:
        """Networks, optimiser, buffer, memory, luck."""
        found = {f"memory.{name}": value for name, value in self.memory._asdict().items()}
        found |= {f"replay.{name}": value for name, value in self.replay._asdict().items()}
        found |= saving.why_arrays(self.log) | {"random": saving.random_state(self.random), "loss": np.array([self.loss])}
        return found | saving.network_arrays({"network": self.network, "target": self.target}, self.optimiser)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        saving.restore_networks({"network": self.network, "target": self.target}, self.optimiser, arrays)
        self.look()
        self.lag()
        saving.restore_why(self.log, arrays)
        if "random" in arrays:
            saving.take_over(self.memory, "memory", arrays)
            saving.take_over(self.replay, "replay", arrays)
            for parts in (self.memory._asdict() | saving.why_arrays(self.log), self.replay._asdict()):
                saving.check_indices(parts, self.world.states, self.world.tables.horizon)
            saving.set_random_state(self.random, arrays["random"])
            self.loss = float(arrays["loss"][0])


@lean
def note_batch(
    agent: Memory,
    log: Log,
    states: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    after: np.ndarray,
    done: np.ndarray,
    old: np.ndarray,
    targets: np.ndarray,
    new: np.ndarray,
) -> None:
    """Write down the updates of a batch; the rate is how far each value really went towards its target."""
    for n in range(len(states)):
        gap = targets[n] - old[n]
        rate = (new[n] - old[n]) / gap if abs(gap) > 1e-12 else 0.0
        memory.note(agent, log, states[n], actions[n], rewards[n], after[n], done[n], old[n], targets[n], rate)
