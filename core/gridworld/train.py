"""Let agents learn on a map: the loop.

python -m core.gridworld.train --data frozen4 --method Q-learning --steps 20000
"""

from __future__ import annotations

from collections.abc import Generator

import torch

from core.gridworld.config import GridworldConfig
from core.gridworld.env import Task
from core.gridworld.session import Session
from core.progress import Checkpoint, Progress, Update

THREADS = 1  # tables need none, and the networks are small

METRICS = {
    "charts/episodic_return": "While exploring: rewards of an episode, the mean of those that just ended.",
    "charts/episodic_length": "Moves of an episode, likewise.",
    "charts/greedy_return": "Greedy policy: what it earns per episode, worked out exactly: the median of the agents.",
    "charts/greedy_low": "The same, lower quartile of the agents.",
    "charts/greedy_high": "The same, upper quartile of the agents.",
    "charts/distance": "Distance: how far the values of states are from the optimal ones (root mean square over states).",
    "charts/regret": "What was missed so far against the exact optimum, summed up over the episodes of an agent.",
    "train/td_error": "Surprise: how far a target is from the old value, on average; for planning, the largest change of a sweep.",
    "train/epsilon": "Share of moves chosen at random.",
    "train/temperature": "Of the softmax that chooses moves.",
    "train/entropy": "How undecided the agent is, averaged over states: 0 always the same move, 1.39 all four equally likely.",
    "train/loss": "Loss of the network: smoothed TD error of DQN, policy loss of the policy gradient methods.",
    "train/value_loss": "Squared error of the critic, in units of the largest reward.",
    "train/lag": "Largest difference between DQN's network and its target network.",
    "train/clipped": "Share of PPO's moves whose ratio had left the clip range.",
}


def train(
    config: GridworldConfig, data: Task, *, device: torch.device, resume: Checkpoint | None = None
) -> Generator[Progress, Update | None, None]:
    """Yield after every step of the pace; send a mapping of live settings (or another map) to change them.

    What a step does is in `learn` of each method: `core/gridworld/methods/`. Raises `UserError` for a map or settings from which
    nothing can be learned, `Diverged` if values grow beyond anything that can be earned.
    """
    run = Session(config, data, device)
    if resume:
        run.restore(resume)
    while not run.finished:
        run.learn()
        run.take((yield run.progress()))


if __name__ == "__main__":
    from core.gridworld.maps import BUILTIN
    from core.runs import command

    command.main("gridworld", data="frozen4", names=", ".join(BUILTIN))
