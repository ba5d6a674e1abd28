"""What a learner writes into a checkpoint and takes back: arrays by name, the luck, a network's weights and moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.gridworld.memory import Log

Arrays = dict[str, np.ndarray]


def why_arrays(log: Log) -> Arrays:
    """The parts of a log that outlive a chunk."""
    return {"why": log.why, "told": log.told, "last": log.last, "error": log.error, "trail": log.trail, "trail_length": log.tally[2:]}


def restore_why(log: Log, arrays: Mapping[str, np.ndarray]) -> None:
    """Take over what `why_arrays` gave; a checkpoint that ships without it leaves the pages empty."""
    for name, target in why_arrays(log).items():
        if name in arrays:
            target[...] = arrays[name]


# what an index may be, by its name in a checkpoint; compiled code does not look where it reaches
BOUNDS = {
    "known": "pairs",
    "model_next": "states",
    "path_state": "states",
    "path_action": "actions",
    "state": "states",
    "action": "actions",
    "after": "states",
    "place": "states",
    "trail": "states",
}


def check_indices(parts: Mapping[str, np.ndarray], states: int, horizon: int) -> None:
    """Raises `ValueError` if a number from outside would lead compiled code beyond its arrays."""
    sizes = {"states": states, "pairs": 4 * states, "actions": 4}
    good = [bool(((values >= 0) & (values < sizes[BOUNDS[name]])).all()) for name, values in parts.items() if name in BOUNDS]
    if "now" in parts:
        state, action, moves, steps, episodes, fresh, known = parts["now"].tolist()
        good += [0 <= state < states, -1 <= action < 4, 0 <= moves <= horizon, min(steps, episodes) >= 0, fresh in (0, 1)]
        good += [0 <= known <= 4 * states, moves < horizon or fresh == 1]
    if "first" in parts:
        good.append(bool(((parts["first"] >= -1) & (parts["first"] <= horizon)).all()))
    for name in ("told", "trail_length", "kept", "visits", "model_count"):
        good.append(name not in parts or bool((parts[name] >= 0).all()))
    if "cursor" in parts:
        good += [0 <= parts["cursor"][0] < parts["state"].size, bool(((parts["moves"] >= 0) & (parts["moves"] <= horizon)).all())]
    if not all(good):
        raise ValueError("an index beyond its array")


def take_over(parts: Any, prefix: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Fill a named tuple of arrays with those saved under its prefix."""
    for name, target in parts._asdict().items():
        target[...] = arrays[f"{prefix}.{name}"]


def network_arrays(networks: Mapping[str, Any], optimiser: Any) -> Arrays:
    """Weights and the optimiser's moments as arrays."""
    found = {f"{prefix}.{name}": value for prefix, network in networks.items() for name, value in network.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        found |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def restore_networks(networks: Mapping[str, Any], optimiser: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Take over what `network_arrays` gave; a checkpoint that ships has no moments, and can be used but not resumed."""
    import torch

    moments: dict[int, dict[str, Any]] = {}
    for prefix, network in networks.items():
        network.load_state_dict({name: torch.from_numpy(np.array(arrays[f"{prefix}.{name}"])) for name in network.state_dict()})
    for key, value in arrays.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = torch.from_numpy(np.array(value))
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def random_state(random: np.random.Generator) -> np.ndarray:
    """The state of a PCG64 generator as bytes.  # (37,) uint8"""
    state = random.bit_generator.state
    parts = [int(state["state"][name]).to_bytes(16, "big") for name in ("state", "inc")]
    return np.frombuffer(b"".join(parts) + bytes([int(state["has_uint32"])]) + int(state["uinteger"]).to_bytes(4, "big"), np.uint8).copy()


def set_random_state(random: np.random.Generator, packed: np.ndarray) -> None:
    """Take over what `random_state` gave."""
    content = packed.tobytes()
    random.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int.from_bytes(content[:16], "big"), "inc": int.from_bytes(content[16:32], "big")},
        "has_uint32": content[32],
        "uinteger": int.from_bytes(content[33:37], "big"),
    }
