"""What goes with a run's export: the policy as JSON and CSV, an episode as GIF, and a script that reproduces the run without Manabi."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from core import source
from core.gridworld.config import DEEP, PLANNERS, TABULAR
from core.gridworld.learners import KERNELS, knobs
from core.gridworld.predict import gif, opened, policy
from core.gridworld.session import Session

_HEAD = '''"""Reproduces a run of Manabi's gridworld: the policy's exact return{what}.

    pip install numpy numba pydantic gymnasium safetensors{torch}
    python reproduce.py

Needs beside it: checkpoint.safetensors, map.json (and demo.npy, if there is one).
"""

from __future__ import annotations

import json
from pathlib import Path

import numba
from safetensors.numpy import load_file

HERE = Path(__file__).parent
lean = numba.njit


class UserError(Exception):
    """Something is wrong with a map."""


'''
_TABLE = """
    kernel = {kernel}
    print("learning again, {steps} moves ...")
    memory = fresh_memory(world.states, world.tables.chance.shape[2], world.tables.horizon, {initial}, world.acting)
    memory.q2[:] = memory.q if {double} else 0.0
    random = np.random.Generator(np.random.PCG64({seed}))
    kernel(world.tables, memory, Knobs(*{knobs}), random, fresh_log(world.states), {steps})
    again = (memory.q + memory.q2) / {tables}
    print("largest difference from the run's table:", np.abs(again - q).max())
    assert np.allclose(again, q)
"""
_NETWORK = {
    "DQN": """
    network = QNetwork(world, SimpleNamespace(**{config}))
    network.load_state_dict({{name[10:]: torch.from_numpy(value) for name, value in saved.items() if name.startswith("0.network.")}})
    with torch.no_grad():
        q = network(torch.arange(world.states)).double().numpy()
""",
    "policy": """
    network = ActorCritic(world, SimpleNamespace(**{config}))
    network.load_state_dict({{name[10:]: torch.from_numpy(value) for name, value in saved.items() if name.startswith("0.network.")}})
    with torch.no_grad():
        q = network(torch.arange(world.states))[0].double().numpy()  # log-probabilities of the moves
""",
}
_MAIN = '''

def main() -> None:
    """Load the map and what was learned, and find the number of the verdict again."""
    world = World(read_map(json.loads({map!r})))
    saved = load_file(HERE / "checkpoint.safetensors")
    {values}
{body}
    found = expected_return(world, greedy(q))
    print(f"the greedy policy earns {{found:.6g}} of {{possible(world):.6g}} possible")
    difference = abs(found - {expected!r})
    print(f"difference from the run: {{difference:.1e}}")
    raise SystemExit(difference > 1e-6)


if __name__ == "__main__":
    main()
'''


def _values(method: str) -> str:
    if method == "policy iteration":
        return 'q = saved["0.policy"]'
    if method in PLANNERS:
        return 'q = q_of(world, saved["0.values"], {gamma}).round(9)'
    if method in TABULAR:
        return 'q = (saved["0.q"] + saved["0.q2"]) / {tables}'
    return "torch.set_num_threads(1)"


def script(run: Session, expected: float) -> str:
    """`reproduce.py` for a run: tables learn again and must agree, networks are loaded; then the policy is valued exactly."""
    config, method = run.config, run.config.method
    again = method in TABULAR and not run.touched and run.step == config.steps
    facts: dict[str, Any] = {"gamma": config.gamma, "tables": 2.0 if method == "double Q-learning" else 1.0}
    facts |= {"config": config.model_dump(exclude={"edit"}), "steps": run.step, "seed": config.seed * 1000}
    facts |= {"initial": config.initial_q, "double": method == "double Q-learning", "knobs": tuple(knobs(config))}
    parts = [source.body(f"core.gridworld.{name}") for name in ("maps", "env", "exact")]
    body = ""
    if again:
        family = _family(method)
        parts += [source.body("core.gridworld.memory"), source.body(f"core.gridworld.methods.{family[0]}")]
        body = _TABLE.format(kernel=family[1], **facts)
    if method in DEEP:
        parts.append(source.body("core.gridworld.models"))
        body = _NETWORK["DQN" if method == "DQN" else "policy"].format(**facts)
    head = _HEAD.format(what=", learned again from the first move" if again else "", torch=" torch" if method in DEEP else "")
    if method in DEEP:
        head = head.replace("import numba\n", "from types import SimpleNamespace\n\nimport numba\n")
    main = _MAIN.format(map=run.world.map.json_text(), values=_values(method).format(**facts), body=body, expected=expected)
    return "\n\n".join([head.rstrip() + "\n", *parts, main])


def _family(method: str) -> tuple[str, str]:
    """The file and the function of a method's compiled code."""
    kernel: Any = KERNELS[method]
    return kernel.py_func.__module__.rsplit(".", 1)[1], kernel.py_func.__name__


def files(run_id: str) -> dict[str, bytes]:
    """The files of a run's export beside its folder: `policy.json`, `policy.csv`, `episode.gif`, `reproduce.py`."""
    run, found = opened(run_id), policy(run_id)
    text = io.StringIO()
    table = csv.DictWriter(text, list(found["policy"][0]))
    table.writeheader()
    table.writerows(found["policy"])
    return {
        "policy.json": json.dumps(found, indent=1).encode(),
        "policy.csv": text.getvalue().encode("utf-8-sig"),
        "episode.gif": gif(run_id, 0),
        "reproduce.py": script(run, found["return"]).encode(),
    }
