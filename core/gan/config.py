"""The settings of a GAN: every hyperparameter, its default, bounds and help."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from core.config import Config, marks

_PICTURES: dict[str, Any] = {
    "objective": "relativistic",
    "regulariser": "R1 and R2",
    "penalty": 0.3,
    "latent_dim": 64,
    "g_layers": 1,
    "d_layers": 1,
    "batch_size": 64,
    "g_learning_rate": 0.001,
    "d_learning_rate": 0.001,
    "conditional": True,
}


class GanConfig(Config):
    """Settings of one fight between a generator and a discriminator."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "Balanced": {},
        "Ring of 8": {"g_layers": 3, "latent_dim": 4, "batch_size": 512, "ema": 0.999, "steps": 11_000},
        "Grid of 25": {"penalty": 0.03, "g_layers": 3, "steps": 15_000},
        "Grid of 100": {"conditional": True, "steps": 7000},
        "Collapse": {
            "objective": "minimax",
            "regulariser": "none",
            "latent_dim": 2,
            "g_learning_rate": 0.002,
            "d_learning_rate": 0.0002,
            "g_updates": 3,
            "ema": 0.0,
            "schedule": "constant",
            "steps": 1500,
        },
        "Digits": {**_PICTURES, "steps": 1200},
        "Fashion": {**_PICTURES, "steps": 2000},
    }

    objective: Literal["minimax", "non-saturating", "least squares", "hinge", "wasserstein", "relativistic"] = Field(
        "non-saturating",
        title="Objective",
        description="What the two fight about. The original minimax game, its non-saturating form, least squares (LSGAN), "
        "hinge, Wasserstein, or relativistic pairing of each real with a fake (RpGAN).",
        json_schema_extra=marks("Game"),
    )
    regulariser: Literal["none", "gradient penalty", "R1", "R1 and R2"] = Field(
        "R1",
        title="Penalty",
        description="Keeps D smooth. Gradient penalty: slope 1 between real and fake (WGAN-GP). R1: slope 0 on real samples; "
        "R2: on fakes too.",
        json_schema_extra=marks("Game"),
    )
    penalty: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Penalty weight",
        description="How much D's slope costs. Can be changed while it trains.",
        json_schema_extra=marks("Game", live=True, step=0.1),
    )
    noise: Literal["normal", "uniform"] = Field(
        "normal",
        title="Noise",
        description="Where a sample begins: random numbers, normal or uniform in -1 to 1.",
        json_schema_extra=marks("Network"),
    )
    latent_dim: int = Field(
        8,
        ge=1,
        le=128,
        title="Noise dimensions",
        description="How many random numbers G turns into one sample. With 2 and points, the whole noise space can be drawn.",
        json_schema_extra=marks("Network"),
    )
    conditional: bool = Field(
        False,
        title="Class-conditional",
        description="Tell both networks the class: G can be asked for a class. Only where the data has labels.",
        json_schema_extra=marks("Network"),
    )
    g_layers: int = Field(
        4,
        ge=1,
        le=6,
        title="Layers of G",
        description="Hidden layers for points; convolutions per resolution for pictures.",
        json_schema_extra=marks("Network", advanced=True),
    )
    g_width: int = Field(
        64,
        ge=4,
        le=512,
        title="Width of G",
        description="Units of a hidden layer; for pictures, channels at half resolution.",
        json_schema_extra=marks("Network", advanced=True),
    )
    d_layers: int = Field(
        3,
        ge=1,
        le=6,
        title="Layers of D",
        description="Hidden layers for points; convolutions per resolution for pictures.",
        json_schema_extra=marks("Network", advanced=True),
    )
    d_width: int = Field(
        64,
        ge=4,
        le=512,
        title="Width of D",
        description="Units of a hidden layer; for pictures, channels at half resolution.",
        json_schema_extra=marks("Network", advanced=True),
    )
    spectral_norm: bool = Field(
        False,
        title="Spectral norm",
        description="Divide each weight matrix of D by its largest singular value, so that D can't become steep.",
        json_schema_extra=marks("Network", advanced=True),
    )
    packing: int = Field(
        1,
        ge=1,
        le=4,
        title="Packing",
        description="D judges this many samples together (PacGAN): it sees at once when they are all alike.",
        json_schema_extra=marks("Network", advanced=True),
    )
    ema: float = Field(
        0.995,
        ge=0,
        le=0.9999,
        title="Average of G",
        description="Samples come from an exponential moving average of G's weights; 0 shows G as it is.",
        json_schema_extra=marks("Network", advanced=True, step=0.001),
    )
    turn: Literal["both", "only D", "only G"] = Field(
        "both",
        title="Whose turn",
        description="Train both, or one alone while the other stands still. Step D and Step G do so for one round.",
        json_schema_extra=marks("Game"),
    )
    g_learning_rate: float = Field(
        0.005,
        ge=1e-6,
        le=0.1,
        title="Learning rate of G",
        description="Size of a step of G's optimiser. Can be changed while it trains.",
        json_schema_extra=marks("Training", live=True, step=0.0001),
    )
    d_learning_rate: float = Field(
        0.005,
        ge=1e-6,
        le=0.1,
        title="Learning rate of D",
        description="Its own for D: two time scales (TTUR). Can be changed while it trains.",
        json_schema_extra=marks("Training", live=True, step=0.0001),
    )
    steps: int = Field(
        4000,
        ge=1,
        le=50_000,
        title="Training steps",
        description="Rounds of the game: D's updates, then G's.",
        json_schema_extra=marks("Training"),
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        title="Learning-rate schedule",
        description="Cosine lets both learning rates fall smoothly to a twentieth of their start.",
        json_schema_extra=marks("Training", advanced=True),
    )
    batch_size: int = Field(
        256,
        ge=4,
        le=1024,
        title="Batch size",
        description="Real samples and fakes per update.",
        json_schema_extra=marks("Training", advanced=True),
    )
    g_optimiser: Literal["adam", "rmsprop", "sgd"] = Field(
        "adam",
        title="Optimiser of G",
        description="Adam, RMSprop or plain gradient descent.",
        json_schema_extra=marks("Training", advanced=True),
    )
    d_optimiser: Literal["adam", "rmsprop", "sgd"] = Field(
        "adam",
        title="Optimiser of D",
        description="Adam, RMSprop or plain gradient descent.",
        json_schema_extra=marks("Training", advanced=True),
    )
    beta1: float = Field(
        0.0,
        ge=0,
        le=0.99,
        title="Adam's momentum",
        description="Beta 1 of Adam. GANs like less than the usual 0.9: yesterday's direction is wrong once the rival has moved.",
        json_schema_extra=marks("Training", advanced=True, step=0.05),
    )
    d_updates: int = Field(
        1,
        ge=1,
        le=10,
        title="Updates of D",
        description="Updates of D in each round.",
        json_schema_extra=marks("Training", advanced=True),
    )
    g_updates: int = Field(
        1,
        ge=1,
        le=10,
        title="Updates of G",
        description="Updates of G in each round.",
        json_schema_extra=marks("Training", advanced=True),
    )
    sub_steps: bool = Field(
        False,
        title="Sub-steps",
        description="Stop after each numbered part of an update (noise, fake, judgement, loss, gradient, update) instead of each round. "
        "Play parts does so while it trains.",
        json_schema_extra=marks("Training", advanced=True),
    )
    evaluate_every: int = Field(
        100,
        ge=10,
        le=5000,
        title="Measure every",
        description="Rounds between two measurements of the samples' quality.",
        json_schema_extra=marks("Training", advanced=True),
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.packing > 1 and self.conditional:
            raise ValueError("Packing and classes do not go together: packed samples would need one class")
        if self.batch_size % self.packing:
            raise ValueError("The batch size must be a multiple of the packing")
        return self
