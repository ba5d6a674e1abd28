"""Which capabilities exist, and how the engine reaches their modules by name."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

from core.config import Config
from core.errors import UserError

CORE = Path(__file__).parent


@cache
def names() -> tuple[str, ...]:
    """Every folder of `core/` that can train, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in CORE.glob("*/train.py")))


def module(capability: str, part: str) -> ModuleType:
    """`core.<capability>.<part>`. Raises `UserError` for a capability that does not exist.

    What an agent learns from is an environment: there `data` is the module `env`.
    """
    if capability not in names():
        raise UserError(f"There is no capability called '{capability[:40]}'.")
    if part == "data" and not (CORE / capability / "data.py").exists():
        part = "env"
    return importlib.import_module(f"core.{capability}.{part}")


def config_class(capability: str) -> type[Config]:
    """The one `Config` subclass that the capability's `config.py` defines."""
    found = [
        value
        for value in vars(module(capability, "config")).values()
        if isinstance(value, type) and issubclass(value, Config) and value is not Config
    ]
    if len(found) != 1:
        raise TypeError(f"core/{capability}/config.py must define exactly one Config, found {len(found)}")
    return found[0]
