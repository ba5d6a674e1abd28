"""The state of one run: agents side by side on one map, the answer key, the history for the scrubber, checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from core.config import mark
from core.errors import UserError
from core.gridworld import exact
from core.gridworld.config import DEEP, PLANNERS, GridworldConfig
from core.gridworld.env import Task, World, check_same_shape, world_of
from core.gridworld.learners import SETTLED, Learner, Planner, Table
from core.gridworld.maps import from_code
from core.gridworld.memory import EPISODE_LOG, STATE, TRAIL
from core.gridworld.methods.actor_critic import A2C
from core.gridworld.methods.dqn import DQN
from core.gridworld.methods.ppo import PPO
from core.gridworld.methods.reinforce import Reinforce
from core.progress import Checkpoint, Progress, Update

CHUNKS = 400  # yields of a whole run at full pace
MEASURED = 100  # exact evaluations of a whole run, on maps of the usual size
USUAL = 20_000_000  # outcomes that one of them looks at, on such a map
MOST_HISTORY = 100  # snapshots for the scrubber; past that every other one goes
SOLVED = 0.95  # of what can be earned over the random policy
POLICY_GRADIENTS: dict[str, Any] = {"REINFORCE": Reinforce, "A2C": A2C, "PPO": PPO}


def learner(config: GridworldConfig, world: World, number: int, device: torch.device, demo: np.ndarray | None = None) -> Learner:
    """Agent `number` of a run, with luck of its own."""
    seed = config.seed * 1000 + number
    if config.method in PLANNERS:
        return Planner(config, world)
    if config.method == "DQN":
        return DQN(config, world, seed, device, demo)
    if config.method in POLICY_GRADIENTS:
        agent: Learner = POLICY_GRADIENTS[config.method](config, world, seed, device)
        return agent
    return Table(config, world, seed)


class Session:
    """Agents that learn side by side. Agent 0 is the one that is watched."""

    def __init__(self, config: GridworldConfig, task: Task, device: torch.device) -> None:
        self.config, self.task, self.step = config, task, 0
        self.take_map(task.map)
        count = 1 if config.method in PLANNERS else config.seeds
        self.agents = [learner(config, self.world, number, device, task.demo) for number in range(count)]
        self.history: list[tuple[int, np.ndarray, np.ndarray]] = []  # step, q (S, 4), greedy (S,)
        self.every = 1  # yields between two snapshots
        self.yields = self.measured = 0
        self.regret, self.touched = 0.0, False  # touched: live settings were changed, so the seed alone no longer tells it all
        self.solved_at: list[int] = [0] * count  # step at which an agent first earned 95 %, 0: not yet
        self.remember()

    def take_map(self, grid: Any) -> None:
        """Learn on this map from now on. Raises `UserError` where nothing can be learned."""
        self.world = world_of(grid)
        if problem := self.world.problem():
            raise UserError(problem)
        self.optimal = exact.optimal_values(self.world, self.config.gamma)
        self.possible = exact.possible(self.world)
        self.by_chance = exact.expected_return(self.world, exact.random_policy(self.world))

    # the loop's parts

    def learn(self) -> None:
        """One step of the run: a chunk, an episode or a move of agent 0, and as many moves of the others."""
        left = self.config.steps - self.step
        chunk = {"chunks": max(1, self.config.steps // CHUNKS), "episodes": self.world.tables.horizon, "moves": 1}[self.config.pace]
        for agent in self.agents:
            agent.log.tally[:2], agent.log.surprise[0] = 0, 0.0
        made = self.agents[0].learn(min(chunk, left))
        for agent in self.agents[1:]:
            rest = made
            while rest:
                rest -= agent.learn(rest)
        self.step += made
        self.yields += 1
        if self.yields % self.every == 0 or self.finished:
            self.remember()

    @property
    def finished(self) -> bool:
        """Whether the steps are used up, or nothing changes any more."""
        return self.step >= self.config.steps or all(agent.done for agent in self.agents)

    def metrics(self) -> dict[str, float]:
        """What is known after a step; the exact measures a hundred times a run."""
        told = [agent.facts() for agent in self.agents]
        found = {name: float(np.mean([facts[name] for facts in told if name in facts])) for name in sorted(set().union(*told))}
        returns = [agent.log.returns[: min(agent.log.tally[0], EPISODE_LOG)] for agent in self.agents]
        lengths = [agent.log.lengths[: min(agent.log.tally[0], EPISODE_LOG)] for agent in self.agents]
        ended = np.concatenate(returns)
        if len(ended):
            found["charts/episodic_return"] = float(ended.mean())
            found["charts/episodic_length"] = float(np.concatenate(lengths).mean())
            self.regret += float(sum(agent.log.tally[0] for agent in self.agents) * (self.possible - ended.mean()) / len(self.agents))
            found["charts/regret"] = self.regret
        size = self.world.tables.chance.size * self.world.tables.horizon  # on a huge map, evaluating must not outweigh learning
        due = self.step * max(10, min(MEASURED, MEASURED * USUAL // size)) // self.config.steps
        planned = self.config.method in PLANNERS and self.step % (1 + size // (10 * USUAL)) == 0
        if due > self.measured or self.yields <= 1 or self.config.pace != "chunks" or planned or self.finished:
            self.measured = due
            found |= self.measure()
        return found

    def measure(self) -> dict[str, float]:
        """The exact return of every agent's greedy policy, and how far its values are from the optimal ones."""
        earned = [exact.expected_return(self.world, np.eye(4)[agent.greedy()]) for agent in self.agents]
        enough = self.by_chance + SOLVED * (self.possible - self.by_chance)
        for number, value in enumerate(earned):
            if not self.solved_at[number] and value >= enough - 1e-9:
                self.solved_at[number] = self.step
        acting = self.world.acting
        off = [np.sqrt(np.square(agent.q().max(-1) - self.optimal)[acting].mean()) for agent in self.agents]
        chance = np.maximum(self.agents[0].behaviour()[acting], 1e-12)
        low, middle, high = np.quantile(earned, (0.25, 0.5, 0.75))
        return {
            "charts/greedy_return": float(middle),
            "charts/greedy_low": float(low),
            "charts/greedy_high": float(high),
            "charts/distance": float(np.median(off)),
            "train/entropy": float(-(chance * np.log(chance)).sum(-1).mean()),
        }

    def take(self, update: Update | None) -> None:
        """Live settings that changed; another map among them. Raises `UserError` for a map that does not fit."""
        if not update:
            return
        before, self.config = self.config, self.config.updated(update)
        if self.config.edit != before.edit:
            grid = from_code(self.config.edit) if self.config.edit else self.task.map
            check_same_shape(world_of(grid), self.world)
            self.take_map(grid)
            self.solved_at = [0] * len(self.agents)  # another map, another optimum
        self.touched |= any(name != "pace" for name in update)
        for agent in self.agents:
            agent.change(self.config, self.world)

    # what the page and the disk get

    def remember(self) -> None:
        """A snapshot for the scrubber; when there are too many, every other one goes and they become rarer."""
        agent = self.agents[0]
        self.history.append((self.step, agent.q().astype(np.float32), agent.greedy().astype(np.uint8)))
        if len(self.history) > MOST_HISTORY:
            self.history, self.every = self.history[::2], self.every * 2

    def sample(self) -> dict[str, np.ndarray]:
        """What the page draws of agent 0: values, policy, visits, surprise, where it stands and how it came there."""
        agent = self.agents[0]
        log, found = agent.log, agent.pictures()
        length = int(log.tally[2])
        trail = log.trail[:length] if length <= TRAIL else np.roll(log.trail, -(length % TRAIL))
        found |= {
            "q": agent.q(),
            "greedy": agent.greedy(),
            "behaviour": agent.behaviour(),
            "error": log.error,
            "last": log.last,
            "trail": trail,
            "solved_at": np.array(self.solved_at),
            "map": np.frombuffer(self.world.map.code().encode(), np.uint8),
        }
        held = getattr(agent, "memory", None)
        if held is not None:
            found |= {"visits": held.visits.sum(-1), "now": held.now[: STATE + 3]}
        small = {"greedy": np.uint8, "trail": np.int32, "map": np.uint8, "solved_at": np.int64, "visits": np.int64, "now": np.int64}
        return {name: np.ascontiguousarray(value.astype(small.get(name, np.float32))) for name, value in found.items()}

    def checkpoint(self) -> Checkpoint:
        """Everything, so that `restore` goes on as if nothing had happened."""
        tensors = {f"{n}.{name}": tensor(value) for n, agent in enumerate(self.agents) for name, value in agent.arrays().items()}
        steps, q, greedy = zip(*self.history, strict=True)
        tensors |= {"history.step": torch.tensor(steps), "history.q": tensor(np.stack(q)), "history.greedy": tensor(np.stack(greedy))}
        live = {name: getattr(self.config, name) for name, info in GridworldConfig.model_fields.items() if _changes(info)}
        state = {"step": self.step, "live": live, "every": self.every, "yields": self.yields, "measured": self.measured}
        state |= {
            "regret": self.regret,
            "touched": self.touched,
            "solved_at": self.solved_at,
            "done": [agent.done for agent in self.agents],
        }
        return Checkpoint(tensors, state)

    def restore(self, saved: Checkpoint) -> None:
        """Take over a checkpoint of the same settings and map. Raises `UserError` if it does not fit."""
        try:
            self.take(saved.state["live"])
            for n, agent in enumerate(self.agents):
                agent.restore({name: value.numpy() for name, value in saved.part(str(n)).items()})
                agent.done = bool(saved.state["done"][n])
            for name in ("step", "every", "yields", "measured", "regret", "solved_at", "touched"):
                setattr(self, name, saved.state[name])
            steps, q, greedy = (saved.tensors[f"history.{name}"].numpy() for name in ("step", "q", "greedy"))
            self.history = list(zip(steps.tolist(), q, greedy, strict=True))
        except (KeyError, RuntimeError, ValueError, TypeError, IndexError):
            raise UserError("The checkpoint does not fit these settings, so the run can't be resumed.") from None

    def progress(self) -> Progress:
        """This step as the worker wants it. Sweeps shrink what is left by gamma each: a planner knows about how many are to come."""
        total = self.step if self.finished else self.config.steps
        agent = self.agents[0]
        if isinstance(agent, Planner) and not self.finished and agent.biggest > 0 and self.config.gamma < 1:
            left = np.log(SETTLED / agent.biggest) / np.log(max(self.config.gamma, 1e-9))
            total = min(total, self.step + max(1, int(left)))
        return Progress(self.step, total, self.metrics(), self.sample, self.checkpoint)


def _changes(info: Any) -> bool:
    return bool(mark(info, "live"))  # the pace is the visitor's, not the agent's: it starts afresh


def tensor(values: np.ndarray) -> torch.Tensor:
    """An array as a tensor of its own."""
    return torch.from_numpy(np.array(values))


assert set(POLICY_GRADIENTS) | {"DQN"} == set(DEEP)
