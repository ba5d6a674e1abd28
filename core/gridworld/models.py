"""The networks: what they see of a state, and a multilayer perceptron on top. Their input is the number of a state.

A gridworld has few states, so after each update the network is asked about all of them at once and acts from that table:
the same moves as if it were asked before each, and many times faster.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from core.gridworld.config import GridworldConfig
from core.gridworld.env import World

VIEW = 7  # cells a side of the local view
PLANES = ("wall", "goal", "pit", "ice", "door", "item", "one way", "teleport")


def coordinates(world: World) -> Tensor:
    """Row and column from -1 to 1, and what is carried as 0 or 1.  # (S, 2 + items)"""
    numbers = np.arange(world.states)
    row, column = np.divmod(numbers % world.cells, world.map.width)
    held = [(numbers // world.cells >> n) & 1 for n in range(len(world.items))]
    height, width = max(1, world.map.height - 1), max(1, world.map.width - 1)
    return torch.from_numpy(np.stack([2 * row / height - 1, 2 * column / width - 1, *held], 1)).float()


def local_view(world: World) -> Tensor:
    """The 7x7 cells around the agent as planes of 0 and 1, off the map all wall; one more plane an item that is carried.

    (S, 8 + items, 7, 7)
    """
    margin = VIEW // 2
    cells = np.pad(np.array([list(row) for row in world.map.rows]), margin, constant_values="#")
    kinds = {"wall": "#", "goal": "GD", "pit": "HC", "ice": "I", "door": "AB", "item": "abP", "one way": "<>^v", "teleport": "123456789"}
    planes = np.stack([np.isin(cells, list(kinds[name])) for name in PLANES])
    if world.map.slippery:
        planes[PLANES.index("ice"), margin:-margin, margin:-margin] = True
    views = np.zeros((world.states, len(PLANES) + len(world.items), VIEW, VIEW), np.float32)
    for state in range(world.states):
        row, column = world.place(state)
        views[state, : len(PLANES)] = planes[:, row : row + VIEW, column : column + VIEW]
        for n, item in enumerate(world.items):
            views[state, len(PLANES) + n] = item in world.carried(state)
    return torch.from_numpy(views)


def seen(world: World, kind: str) -> Tensor:
    """What a network sees in each state, unless it is told its number."""
    return coordinates(world) if kind == "coordinates" else local_view(world)


def look_at(network: nn.Module, world: World) -> None:
    """Let a network see another map."""
    for part in network.modules():
        if isinstance(part, Encoder) and part.kind != "one-hot":
            part.features = seen(world, part.kind).to(part.features.device)


class Encoder(nn.Module):
    """The first layer: numbers of states -> what is made of what the network sees there.  # (batch,) -> (batch, width)"""

    features: Tensor

    def __init__(self, world: World, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "one-hot":  # a one-hot vector times a matrix is a row of the matrix: look it up
            self.rows = nn.Embedding(world.states, width)
            self.bias = nn.Parameter(torch.zeros(width))
            nn.init.uniform_(self.rows.weight, -(world.states**-0.5), world.states**-0.5)
            return
        self.register_buffer("features", seen(world, kind), persistent=False)
        if kind == "coordinates":
            self.layers = nn.Sequential(nn.Linear(self.features.shape[1], width))
            return
        self.layers = nn.Sequential(
            nn.Conv2d(self.features.shape[1], 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * (VIEW - 2) ** 2, width),
        )

    def forward(self, states: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, width)."""
        if self.kind == "one-hot":
            return self.rows(states) + self.bias
        return self.layers(self.features[states])


class Network(nn.Module):
    """What is seen, hidden layers with ReLU, some outputs.  # (batch,) -> (batch, outputs)"""

    def __init__(self, world: World, config: GridworldConfig, outputs: int) -> None:
        super().__init__()
        widths = [config.hidden_size] * config.layers + [outputs]
        layers: list[nn.Module] = [Encoder(world, config.state, widths[0])]
        for before, after in pairwise(widths):
            layers += [nn.ReLU(), nn.Linear(before, after)]
        self.layers = nn.Sequential(*layers)

    def forward(self, states: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, outputs)."""
        return self.layers(states)


class QNetwork(nn.Module):
    """The value of each move.  # (batch,) -> (batch, 4)

    duelling: one output is the value of the state, four are the advantages of the moves over their mean (Wang et al. 2016).
    """

    def __init__(self, world: World, config: GridworldConfig) -> None:
        super().__init__()
        self.duelling = config.duelling
        self.network = Network(world, config, 5 if config.duelling else 4)

    def forward(self, states: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, 4)."""
        found = self.network(states)
        if not self.duelling:
            return found
        value, advantage = found[:, :1], found[:, 1:]
        return value + advantage - advantage.mean(1, keepdim=True)


class ActorCritic(nn.Module):
    """Two networks apart: the actor's four preferences, and the critic's value of the state."""

    def __init__(self, world: World, config: GridworldConfig) -> None:
        super().__init__()
        self.actor = Network(world, config, 4)
        self.critic = Network(world, config, 1)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """(batch,) int64 -> log-probabilities (batch, 4), values (batch,)."""
        return self.actor(states).log_softmax(-1), self.critic(states).squeeze(-1)
