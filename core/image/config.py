"""The settings of an image classifier: every hyperparameter, its default, bounds and help."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from core.config import Config, marks

SCRATCH = ["LeNet", "VGG", "ResNet"]


class ImageConfig(Config):
    """Settings of one training: a small network from scratch, or a new head on a network that has seen a million photos."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "Digits": {"network": "LeNet", "width": 16, "augment": "shift", "steps": 1500},
        "Fashion": {"network": "ResNet", "augment": "shift and flip", "steps": 800},
        "Your photos": {"network": "EfficientNet, new head", "learning_rate": 0.003, "label_smoothing": 0.0, "steps": 100},
        "Memorise": {"network": "VGG", "augment": "none", "weight_decay": 0.0, "label_smoothing": 0.0, "steps": 1500},
    }

    network: Literal["LeNet", "VGG", "ResNet", "EfficientNet, new head"] = Field(
        "LeNet",
        title="Network",
        description="Two convolutions and a hidden layer (LeNet), pairs of convolutions (VGG), blocks with a shortcut (ResNet), "
        "or EfficientNet as it is with a new last layer: for photos of your own.",
        json_schema_extra=marks("Network"),
    )
    width: int = Field(
        16,
        ge=2,
        le=128,
        title="Width",
        description="Channels of the first layer; deeper layers have a multiple of it.",
        json_schema_extra=marks("Network", only={"network": SCRATCH}),
    )
    augment: Literal["none", "shift", "shift and flip"] = Field(
        "shift",
        title="Augmentation",
        description="Show each picture a little moved, and mirrored half of the time: the network must not learn where a thing lies.",
        json_schema_extra=marks("Training", only={"network": SCRATCH}),
    )
    steps: int = Field(
        1000,
        ge=1,
        le=50_000,
        title="Training steps",
        description="Batches that the network learns from.",
        json_schema_extra=marks("Training"),
    )
    learning_rate: float = Field(
        0.004,
        ge=1e-6,
        le=1,
        title="Learning rate",
        description="Size of a step of AdamW; it warms up and falls to zero in the end. Can be changed while it trains.",
        json_schema_extra=marks("Training", live=True, step=0.001),
    )
    batch_size: int = Field(
        64,
        ge=2,
        le=1024,
        title="Batch size",
        description="Pictures in one step.",
        json_schema_extra=marks("Training", advanced=True),
    )
    weight_decay: float = Field(
        0.05,
        ge=0,
        le=1,
        title="Weight decay",
        description="How strongly weights are pulled towards zero.",
        json_schema_extra=marks("Training", advanced=True, step=0.01),
    )
    label_smoothing: float = Field(
        0.1,
        ge=0,
        le=0.5,
        title="Label smoothing",
        description="Part of each answer that is spread over all classes: keeps the network from being too sure.",
        json_schema_extra=marks("Training", advanced=True, step=0.05),
    )
    evaluate_every: int = Field(
        50,
        ge=1,
        le=5000,
        title="Measure every",
        description="Steps between two measurements on pictures held out.",
        json_schema_extra=marks("Training", advanced=True),
    )
