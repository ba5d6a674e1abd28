"""The settings of an image classifier: every hyperparameter, its default, bounds and help."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from core.config import Config, marks

HEAD, TUNED = "EfficientNet, new head", "EfficientNet, fine-tuned"
NORMALISED = ["VGG", "ResNet", "ResNet, early pooling"]  # whose filters batch normalisation follows
SCRATCH = ["LeNet", *NORMALISED]


class ImageConfig(Config):
    """Settings of one training: a small network from scratch, or a new head on a network that has seen a million photos."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "Digits": {"network": "LeNet", "width": 16, "augment": "shift", "steps": 1500},
        "Fashion": {"network": "ResNet", "augment": "shift and flip", "steps": 800},
        "Your photos": {"network": HEAD, "learning_rate": 0.003, "label_smoothing": 0.0, "steps": 100},
        "Fashion, all of it": {
            "network": "ResNet",
            "width": 19,
            "augment": "shift and flip",
            "optimiser": "Muon",
            "filter_rate": 0.08,
            "precision": "bfloat16",
            "batch_size": 250,
            "steps": 5760,
            "evaluate_every": 240,
        },
        "Small photos": {
            "network": "ResNet, early pooling",
            "width": 32,
            "augment": "shift, flip and cutout",
            "optimiser": "Muon",
            "precision": "bfloat16",
            "batch_size": 125,
            "steps": 1600,
            "evaluate_every": 100,
        },
        "CIFAR-10": {
            "network": "ResNet, early pooling",
            "width": 96,
            "augment": "shift, flip and cutout",
            "optimiser": "Muon",
            "filter_rate": 0.08,
            "precision": "bfloat16",
            "batch_size": 250,
            "steps": 3600,
            "evaluate_every": 200,
        },
        "Your photos, fine-tuned": {
            "network": TUNED,
            "learning_rate": 0.003,
            "augment": "shift and flip",
            "batch_size": 16,
            "steps": 60,
            "evaluate_every": 10,
        },
        "Memorise": {"network": "VGG", "augment": "none", "weight_decay": 0.0, "label_smoothing": 0.0, "steps": 1500},
    }

    network: Literal["LeNet", "VGG", "ResNet", "ResNet, early pooling", "EfficientNet, new head", "EfficientNet, fine-tuned"] = Field(
        "LeNet",
        title="Network",
        description="Two convolutions and a hidden layer (LeNet), pairs of convolutions (VGG), blocks with a shortcut (ResNet; "
        "with early pooling it is cheaper and can be wider), or EfficientNet for photos of your own: as it is with a new last "
        "layer, or all of it learning on (fine-tuned).",
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
    augment: Literal["none", "shift", "shift and flip", "shift, flip and cutout"] = Field(
        "shift",
        title="Augmentation",
        description="Show each picture a little moved, and mirrored half of the time: the network must not learn where a thing lies. "
        "Cutout moves it further and covers a square, so that no single part decides.",
        json_schema_extra=marks("Training", only={"network": [*SCRATCH, TUNED]}),
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
    optimiser: Literal["AdamW", "Muon"] = Field(
        "AdamW",
        title="Optimiser",
        description="AdamW, or Muon for the filters (it makes each step orthogonal, and learns in fewer steps) beside AdamW for the rest.",
        json_schema_extra=marks("Training", advanced=True, only={"network": NORMALISED}),
    )
    filter_rate: float = Field(
        0.1,
        ge=1e-6,
        le=1,
        title="Muon's learning rate",
        description="The share of a filter's length that a step changes; it rises and falls as the other does.",
        json_schema_extra=marks("Training", advanced=True, step=0.01, only={"network": NORMALISED, "optimiser": ["Muon"]}),
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        title="Precision",
        description="Numbers of 32 or 16 bits inside the network while it learns: 16 are faster on new processors and as accurate here.",
        json_schema_extra=marks("Training", advanced=True, only={"network": SCRATCH}),
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
    warm: str = Field(
        "",
        max_length=60,
        title="Goes on from",
        description="A run whose weights this one begins with, by its id: after pictures were corrected or added.",
        json_schema_extra=marks("Training", hidden=True),
    )
    evaluate_every: int = Field(
        50,
        ge=1,
        le=5000,
        title="Measure every",
        description="Steps between two measurements on pictures held out.",
        json_schema_extra=marks("Training", advanced=True),
    )
