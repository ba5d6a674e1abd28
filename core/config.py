"""Config: the base of every capability's settings, and what is derived from its fields."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from core.errors import UserError


def marks(
    group: str,
    *,
    live: bool = False,
    advanced: bool = False,
    hidden: bool = False,
    step: float | None = None,
    only: Mapping[str, list[Any]] | None = None,
) -> dict[str, Any]:
    """Extra facts of a field for the form: its group, and whether it is `live`, folded away as `advanced`, or `hidden`.

    only: other fields and the values of theirs with which this one means something; the form shows it with those only.
    """
    return {"group": group, "live": live, "advanced": advanced, "hidden": hidden, "step": step, "only": only}


class Config(BaseModel):
    """Every hyperparameter of a capability, written once: default, bounds, choices and help.

    The form, the link, the validation, the command line and the table of settings all come from the fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    # name -> the fields that differ from the defaults
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    DEMO_SCALE: ClassVar[int] = 1  # a public demo's cap on steps is this many times larger: for steps that cost less than an optimiser's

    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Same settings, data, seed and device give the same numbers.",
        json_schema_extra=marks("Training", advanced=True),
    )

    @classmethod
    def from_preset(cls, name: str) -> Self:
        """The settings of a preset, or the defaults for an unknown name."""
        return cls(**cls.PRESETS.get(name, {}))

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """A validated copy with some fields changed. Raises `UserError` for a value out of bounds."""
        return read_config(type(self), {**self.model_dump(), **changes})

    def differing(self) -> dict[str, Any]:
        """The fields that differ from the defaults: what a link carries."""
        defaults = type(self)()
        return {name: value for name, value in self.model_dump().items() if value != getattr(defaults, name)}


C = TypeVar("C", bound=Config)


def read_config(kind: type[C], values: Mapping[str, Any]) -> C:
    """Build a config from untrusted values. Raises `UserError` naming each bad field."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise UserError("; ".join(_sentence(kind, dict(e)) for e in error.errors())) from None


def _sentence(kind: type[Config], error: dict[str, Any]) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    if name not in kind.model_fields:
        return f"{name + ': ' if name else ''}{error['msg'].removeprefix('Value error, ')}"
    title = kind.model_fields[name].title or name
    return f"{title}: {error['msg'].removeprefix('Value error, ')} (got {str(error.get('input'))[:40]})"


def mark(info: FieldInfo, name: str) -> Any:
    """One of the `marks` of a field, or None."""
    extra = info.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None


def applies(info: FieldInfo, values: Mapping[str, Any]) -> bool:
    """Whether a field means anything beside the values of the others."""
    return all(values.get(name) in allowed for name, allowed in (mark(info, "only") or {}).items())


def choices(info: FieldInfo) -> list[Any] | None:
    """The values of a `Literal` field, None for others."""
    return list(typing.get_args(info.annotation)) if typing.get_origin(info.annotation) is Literal else None


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """Lowest and highest allowed value of a number field (None: unbounded)."""
    low = high = None
    for rule in info.metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
    return low, high


def table(kind: type[Config]) -> list[dict[str, str]]:
    """The settings as rows for people: name, default, range, meaning."""
    rows = []
    for name, info in kind.model_fields.items():
        if mark(info, "hidden"):
            continue
        low, high = bounds(info)
        options = choices(info)
        span = ", ".join(map(str, options)) if options else "" if low is None else f"{low:g} to {high:g}"
        rows.append(
            {
                "setting": info.title or name,
                "field": name,
                "default": str(info.default),
                "range": span,
                "meaning": info.description or "",
            }
        )
    return rows
