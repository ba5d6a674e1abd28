"""The settings of a learner in a gridworld: every hyperparameter, its default, bounds and help."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from core.config import Config, marks
from core.gridworld.maps import from_code

Method = Literal[
    "policy evaluation",
    "policy iteration",
    "value iteration",
    "Monte Carlo",
    "SARSA",
    "expected SARSA",
    "Q-learning",
    "double Q-learning",
    "n-step SARSA",
    "SARSA(lambda)",
    "Dyna-Q",
    "prioritised sweeping",
    "REINFORCE",
    "A2C",
    "PPO",
    "DQN",
]
METHODS: tuple[str, ...] = get_args(Method)
PLANNERS = METHODS[:3]  # know the map; a step of theirs is a sweep over all states
TABULAR = METHODS[3:12]  # keep a table and learn from moves
POLICY_GRADIENT = METHODS[12:15]
DEEP = METHODS[12:]  # learn with a network
LEARNERS = METHODS[3:]

_VALUE = [*TABULAR, "DQN"]
_AVERAGED = ["Monte Carlo", "SARSA", "expected SARSA", "Q-learning"]  # whose updates are one a visit
_RATED = [method for method in TABULAR if method != "prioritised sweeping"]  # which takes its model at its word


class GridworldConfig(Config):
    """Settings of one method on one map."""

    DEMO_SCALE: ClassVar[int] = 100  # a move, not an update of a network
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "FrozenLake, Q-learning": {"alpha_end": 0.02, "epsilon": 1.0, "epsilon_end": 0.05, "steps": 200_000},
        "Cliff walking, Q-learning": {"gamma": 1.0, "alpha": 0.5, "epsilon_end": 0.1, "steps": 20_000},
        "Cliff walking, SARSA": {"method": "SARSA", "gamma": 1.0, "alpha": 0.5, "epsilon_end": 0.1, "steps": 20_000},
        "Value iteration": {"method": "value iteration", "steps": 1000, "seeds": 1},
        "Dyna-Q in a maze": {"method": "Dyna-Q", "alpha": 0.5, "planning": 20, "steps": 20_000},
        "DQN": {
            "method": "DQN",
            "epsilon": 1.0,
            "epsilon_end": 0.05,
            "epsilon_share": 0.5,
            "seeds": 1,
            "steps": 40_000,
        },
        "PPO": {"method": "PPO", "trace": 0.95, "learning_rate": 0.003, "rollout": 128, "seeds": 1, "steps": 100_000},
        "A2C": {"method": "A2C", "learning_rate": 0.005, "rollout": 16, "seeds": 1, "steps": 100_000},
        "REINFORCE": {"method": "REINFORCE", "learning_rate": 0.003, "seeds": 1, "steps": 100_000},
    }

    method: Method = Field(
        "Q-learning",
        title="Method",
        description="Planning on a known map (the first three), learning a table from moves (the next nine), or with a network.",
        json_schema_extra=marks("Learning"),
    )
    gamma: float = Field(
        0.99,
        ge=0,
        le=1,
        title="Discount (gamma)",
        description="What a reward one move later is worth. 1 adds up all rewards; then every way to earn must come to an end.",
        json_schema_extra=marks("Learning", step=0.01),
    )
    alpha: float = Field(
        0.1,
        ge=0.001,
        le=1,
        title="Learning rate (alpha)",
        description="How far a value moves towards its target. Can be changed while it learns.",
        json_schema_extra=marks("Learning", live=True, step=0.01, only={"method": _RATED}),
    )
    behaviour: Literal["epsilon-greedy", "softmax"] = Field(
        "epsilon-greedy",
        title="Exploration",
        description="Now and then any move at all, or every move by its value (Boltzmann).",
        json_schema_extra=marks("Learning", only={"method": _VALUE}),
    )
    epsilon: float = Field(
        0.1,
        ge=0,
        le=1,
        title="Epsilon",
        description="Share of moves chosen at random. Can be changed while it learns.",
        json_schema_extra=marks("Learning", live=True, step=0.01, only={"method": _VALUE, "behaviour": ["epsilon-greedy"]}),
    )
    temperature: float = Field(
        1.0,
        ge=0.001,
        le=100,
        title="Temperature",
        description="Of the softmax: low is greedy, high is random. Can be changed while it learns.",
        json_schema_extra=marks("Learning", live=True, step=0.1, only={"method": _VALUE, "behaviour": ["softmax"]}),
    )
    steps: int = Field(
        50_000,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Moves of each agent; for planning, sweeps over all states (it ends sooner once nothing changes).",
        json_schema_extra=marks("Learning"),
    )
    seeds: int = Field(
        5,
        ge=1,
        le=20,
        title="Agents",
        description="Agents that learn at the same time, each with luck of its own: the median and the band between them are shown.",
        json_schema_extra=marks("Learning", only={"method": [*LEARNERS]}),
    )
    trace: float = Field(
        0.9,
        ge=0,
        le=1,
        title="Lambda",
        description="How far a surprise reaches back: 0 one move, 1 the whole episode. The trace decay of SARSA(lambda), the lambda of "
        "generalised advantage estimation.",
        json_schema_extra=marks("Learning", step=0.05, only={"method": ["SARSA(lambda)", "A2C", "PPO"]}),
    )
    n: int = Field(
        4,
        ge=1,
        le=100,
        title="n",
        description="Rewards that n-step SARSA adds up before it trusts a value.",
        json_schema_extra=marks("Learning", only={"method": ["n-step SARSA"]}),
    )
    planning: int = Field(
        10,
        ge=1,
        le=200,
        title="Planning steps",
        description="Updates from the learned model after each real move.",
        json_schema_extra=marks("Learning", only={"method": ["Dyna-Q", "prioritised sweeping"]}),
    )
    evaluation_sweeps: int = Field(
        20,
        ge=1,
        le=1000,
        title="Evaluation sweeps",
        description="Sweeps, at most, that policy iteration spends on a policy before it improves it.",
        json_schema_extra=marks("Learning", only={"method": ["policy iteration"]}),
    )
    state: Literal["one-hot", "coordinates", "local view"] = Field(
        "one-hot",
        title="What the network sees",
        description="The number of the state, its row and column, or the 7x7 cells around the agent as picture planes for a "
        "small convolutional network.",
        json_schema_extra=marks("Network", only={"method": [*DEEP]}),
    )
    learning_rate: float = Field(
        0.001,
        ge=1e-6,
        le=0.1,
        title="Learning rate of the network",
        description="Size of a step of Adam. Can be changed while it learns.",
        json_schema_extra=marks("Network", live=True, step=0.0001, only={"method": [*DEEP]}),
    )
    hidden_size: int = Field(
        64,
        ge=4,
        le=512,
        title="Hidden units",
        description="Units of each hidden layer.",
        json_schema_extra=marks("Network", only={"method": [*DEEP]}),
    )
    layers: int = Field(
        2,
        ge=0,
        le=4,
        title="Hidden layers",
        description="None makes the network a table, if it sees one-hot states.",
        json_schema_extra=marks("Network", only={"method": [*DEEP]}),
    )
    double: bool = Field(
        False,
        title="Double",
        description="Choose the next move with one network, value it with the other (van Hasselt et al. 2016).",
        json_schema_extra=marks("Network", only={"method": ["DQN"]}),
    )
    duelling: bool = Field(
        False,
        title="Duelling",
        description="Value of the state and advantage of each move apart (Wang et al. 2016).",
        json_schema_extra=marks("Network", only={"method": ["DQN"]}),
    )
    prioritised: bool = Field(
        False,
        title="Prioritised replay",
        description="Replay surprising moves more often (Schaul et al. 2016).",
        json_schema_extra=marks("Network", only={"method": ["DQN"]}),
    )
    alpha_end: float = Field(
        1.0,
        ge=0.001,
        le=1,
        title="Alpha at the end",
        description="Where the learning rate falls to, in a straight line over all steps; if it is the larger, alpha stays as it is.",
        json_schema_extra=marks("Schedules", advanced=True, live=True, step=0.01, only={"method": _RATED}),
    )
    epsilon_end: float = Field(
        1.0,
        ge=0,
        le=1,
        title="Epsilon at the end",
        description="Where epsilon falls to, in a straight line; if it is the larger, epsilon stays as it is.",
        json_schema_extra=marks("Schedules", advanced=True, live=True, step=0.01, only={"method": _VALUE}),
    )
    epsilon_share: float = Field(
        1.0,
        ge=0.01,
        le=1,
        title="Exploration's share",
        description="Part of all steps in which epsilon and the temperature fall.",
        json_schema_extra=marks("Schedules", advanced=True, step=0.05, only={"method": _VALUE}),
    )
    temperature_end: float = Field(
        100.0,
        ge=0.001,
        le=100,
        title="Temperature at the end",
        description="Where the temperature falls to, in a straight line; if it is the larger, it stays.",
        json_schema_extra=marks("Schedules", advanced=True, live=True, step=0.1, only={"method": _VALUE}),
    )
    sample_average: bool = Field(
        False,
        title="Sample average",
        description="Alpha is 1 / visits: every target counts the same (in place of the learning rate).",
        json_schema_extra=marks("Schedules", advanced=True, only={"method": _AVERAGED}),
    )
    initial_q: float = Field(
        0.0,
        ge=-1000,
        le=1000,
        title="First guess",
        description="Every value before anything was learned. Above all that can be earned, it makes an agent explore (optimism).",
        json_schema_extra=marks("Schedules", advanced=True, step=0.5, only={"method": [*TABULAR]}),
    )
    bonus: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Count bonus",
        description="Added to a move's value when choosing: this over the root of how often it was tried.",
        json_schema_extra=marks("Schedules", advanced=True, step=0.1, only={"method": _VALUE}),
    )
    batch_size: int = Field(
        64,
        ge=4,
        le=1024,
        title="Batch size",
        description="Moves in one update of the network.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["DQN", "PPO"]}),
    )
    replay_size: int = Field(
        10_000,
        ge=100,
        le=100_000,
        title="Replay buffer",
        description="Moves that are remembered.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["DQN"]}),
    )
    learning_starts: int = Field(
        500,
        ge=1,
        le=50_000,
        title="Learning starts",
        description="Moves before the first update.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["DQN"]}),
    )
    train_every: int = Field(
        4,
        ge=1,
        le=100,
        title="Train every",
        description="Moves between two updates.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["DQN"]}),
    )
    target_every: int = Field(
        250,
        ge=1,
        le=20_000,
        title="Target network every",
        description="Moves after which the target network becomes a copy of the network.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["DQN"]}),
    )
    envs: int = Field(
        8,
        ge=1,
        le=64,
        title="Copies of the map",
        description="Copies in which one agent collects moves at the same time.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["A2C", "PPO"]}),
    )
    rollout: int = Field(
        32,
        ge=1,
        le=2048,
        title="Rollout",
        description="Moves in each copy before an update.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["A2C", "PPO"]}),
    )
    epochs: int = Field(
        4,
        ge=1,
        le=30,
        title="Epochs",
        description="Times that PPO goes over what it collected.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["PPO"]}),
    )
    clip: float = Field(
        0.2,
        ge=0.01,
        le=1,
        title="Clip",
        description="How far PPO may move a probability in one update, as a ratio.",
        json_schema_extra=marks("Network", advanced=True, only={"method": ["PPO"]}),
    )
    entropy: float = Field(
        0.05,
        ge=0,
        le=1,
        title="Entropy bonus",
        description="Pay for staying undecided: keeps a policy exploring.",
        json_schema_extra=marks("Network", advanced=True, live=True, step=0.001, only={"method": [*POLICY_GRADIENT]}),
    )
    value_weight: float = Field(
        0.5,
        ge=0,
        le=10,
        title="Weight of the critic",
        description="Share of the value loss in the whole loss.",
        json_schema_extra=marks("Network", advanced=True, step=0.1, only={"method": [*POLICY_GRADIENT]}),
    )
    pace: Literal["chunks", "episodes", "moves"] = Field(
        "chunks",
        title="Pace",
        description="What one step of the run does: a four-hundredth of the whole, an episode, or a single move.",
        json_schema_extra=marks("Watching", hidden=True),
    )
    edit: str = Field(
        "",
        max_length=20_000,
        title="Changed map",
        description="The map as it was changed while the agent learned, packed as in a link.",
        json_schema_extra=marks("Watching", hidden=True, live=True),
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.edit:
            from_code(self.edit)  # raises UserError
        return self
