"""The settings of a forecast: every hyperparameter, its default, bounds and help."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from core.config import Config, marks

QUANTILES = (0.1, 0.5, 0.9)  # the band between the outer two is meant to hold 80 % of the values


class ForecastingConfig(Config):
    """Settings of one forecasting run."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "Balanced": {},
        "Quick look": {"steps": 150, "hidden_size": 16},
        "Airline passengers": {
            "horizon": 36,
            "test_size": 36,
            "validation_size": 18,
            "hidden_size": 16,
            "transform": "square root",
            "difference": "seasons and trend",
            "weight_decay": 1.0,
            "refit": False,
            "learning_rate": 0.01,
            "steps": 200,
            "patience": 8,
        },
        "CO2": {"window": 104, "horizon": 52, "difference": "last season", "stride": 13, "steps": 300},
        "Sunspots": {"window": 33, "horizon": 11, "transform": "square root", "difference": "none"},
        "Nile": {"window": 10, "horizon": 5, "hidden_size": 8, "steps": 200, "difference": "none"},
        "El Nino": {"window": 24, "horizon": 12, "difference": "last season", "stride": 3},
    }

    model: Literal["rnn", "lstm", "gru"] = Field(
        "lstm",
        title="Cell",
        description="Elman RNN, LSTM or GRU: what happens to the hidden state at each time step.",
        json_schema_extra=marks("Network"),
    )
    window: int = Field(
        24,
        ge=2,
        le=512,
        title="Input window",
        description="How many past time steps the network reads before it forecasts.",
        json_schema_extra=marks("Network"),
    )
    horizon: int = Field(
        12,
        ge=1,
        le=336,
        title="Horizon",
        description="How many time steps ahead it forecasts, all at once (direct multi-horizon).",
        json_schema_extra=marks("Network"),
    )
    hidden_size: int = Field(
        32,
        ge=2,
        le=256,
        title="Hidden size",
        description="Units of the hidden state: the network's memory.",
        json_schema_extra=marks("Network"),
    )
    layers: int = Field(
        1,
        ge=1,
        le=4,
        title="Layers",
        description="Recurrent layers on top of each other.",
        json_schema_extra=marks("Network", advanced=True),
    )
    dropout: float = Field(
        0.0,
        ge=0,
        le=0.8,
        title="Dropout",
        description="Share of hidden units switched off at random while training, against overfitting.",
        json_schema_extra=marks("Network", advanced=True, step=0.05),
    )
    transform: Literal["none", "square root", "log"] = Field(
        "none",
        title="Transform",
        description="Learn on square roots or logarithms: right where swings grow with the level.",
        json_schema_extra=marks("Series"),
    )
    difference: Literal["auto", "none", "last value", "last season", "seasons and trend"] = Field(
        "auto",
        title="Difference",
        description="What the network corrects: its own mean, the last value, the value one season earlier, or the mean of "
        "the seasons in the window, moved on by the average growth. Auto takes the last season where the window holds one.",
        json_schema_extra=marks("Series"),
    )
    calendar: bool = Field(
        True,
        title="Calendar covariates",
        description="Tell the network where in the season, week and day each step falls.",
        json_schema_extra=marks("Series", advanced=True),
    )
    season: int = Field(
        0,
        ge=0,
        le=512,
        title="Season length",
        description="Steps after which the pattern repeats; 0 takes it from the time step (12 for months).",
        json_schema_extra=marks("Series", advanced=True),
    )
    validation_size: int = Field(
        0,
        ge=0,
        le=100_000,
        title="Validation steps",
        description="Steps before the test part that decide when to stop; 0: a tenth, at least the horizon.",
        json_schema_extra=marks("Split", advanced=True),
    )
    test_size: int = Field(
        0,
        ge=0,
        le=100_000,
        title="Test steps",
        description="Steps at the end, kept for the verdict alone; 0: a tenth, at least the horizon.",
        json_schema_extra=marks("Split", advanced=True),
    )
    refit: bool = Field(
        True,
        title="Refit",
        description="After validation has found the best number of steps, train as long again on all before the test part.",
        json_schema_extra=marks("Split", advanced=True),
    )
    stride: int = Field(
        1,
        ge=1,
        le=512,
        title="Backtest stride",
        description="Steps between the starting points of the forecasts that are scored on the test part; more if there were over 25.",
        json_schema_extra=marks("Split", advanced=True),
    )
    steps: int = Field(
        600,
        ge=10,
        le=20_000,
        title="Training steps",
        description="Optimiser steps at most, early stopping may end sooner; a refit takes up to as many again.",
        json_schema_extra=marks("Training"),
    )
    learning_rate: float = Field(
        0.005,
        ge=1e-5,
        le=1.0,
        title="Learning rate",
        description="Size of a step of Adam. Can be changed while it trains.",
        json_schema_extra=marks("Training", live=True, step=0.0005),
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        title="Learning-rate schedule",
        description="Cosine lets the learning rate fall smoothly to a hundredth of its start.",
        json_schema_extra=marks("Training", advanced=True),
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=512,
        title="Batch size",
        description="Windows per optimiser step.",
        json_schema_extra=marks("Training", advanced=True),
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Weight decay",
        description="Pull of all weights towards zero (AdamW).",
        json_schema_extra=marks("Training", advanced=True, step=0.001),
    )
    clip: float = Field(
        1.0,
        ge=0.01,
        le=100,
        title="Gradient clipping",
        description="Longest gradient allowed: a longer one is shortened to this norm.",
        json_schema_extra=marks("Training", advanced=True, live=True, step=0.1),
    )
    patience: int = Field(
        15,
        ge=1,
        le=1000,
        title="Patience",
        description="Stop after this many validations without a better loss.",
        json_schema_extra=marks("Training", advanced=True),
    )
    validate_every: int = Field(
        10,
        ge=1,
        le=1000,
        title="Validate every",
        description="Optimiser steps between two looks at the validation part.",
        json_schema_extra=marks("Training", advanced=True),
    )

    @model_validator(mode="after")
    def _season_fits(self) -> Self:
        if "season" in self.difference and self.season > self.window:
            raise ValueError(f"Difference '{self.difference}' needs an input window of at least one season")
        return self
