"""A script that stands alone: it loads a run's weights and finds its numbers again, without Manabi."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from core import source
from core.gan.config import GanConfig
from core.gan.data import load
from core.gan.judge import weights_of
from core.gan.predict import JUDGED_PICTURES, JUDGED_POINTS, NEIGHBOURHOOD
from core.runs import store

_HEAD = '''"""Reproduces the scores of a GAN trained with Manabi, from its weights alone.

    pip install torch numpy scikit-learn safetensors
    python reproduce.py

Needs beside it: checkpoint.safetensors, data.npz and result.json (and judge.safetensors for pictures).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent

'''
_MAIN = '''

def main() -> None:
    """Load, make the samples of the verdict again, compare."""
    facts = json.loads({facts!r})
    config = SimpleNamespace(**facts["config"])
    with np.load(HERE / "data.npz", allow_pickle=False) as file:
        real, modes, labels = file["real"], *(file[name] if name in file.files else None for name in ("modes", "labels"))
    network = Generator(
        tuple(facts["shape"]), latent_dim=config.latent_dim, layers=config.g_layers, width=config.g_width, classes=facts["classes"]
    )
    tensors = load_file(HERE / "checkpoint.safetensors")
    network.load_state_dict({{name[8:]: value for name, value in tensors.items() if name.startswith("average.")}})
    network.eval()
    random, size = np.random.default_rng(1), (facts["count"], config.latent_dim)
    noise = random.uniform(-1, 1, size) if config.noise == "uniform" else random.standard_normal(size)
    noise = torch.from_numpy(noise.astype(np.float32))
    labels = None if labels is None else torch.from_numpy(labels)
    with torch.no_grad():
        parts = [network(noise[i : i + 500], None if labels is None else labels[i : i + 500]) for i in range(0, len(noise), 500)]
        fake = torch.cat([network.to_data(part) for part in parts]).numpy()
    if modes is not None or len(facts["shape"]) == 1:
        found = of_points(real, fake, modes, facts["spread"])
        near = precision_recall(real[: facts["near"]], fake[: facts["near"]])
        found |= dict(zip(("precision", "recall"), near))
    else:
        judge = Judge(facts["judge_size"], 10)
        judge.load_state_dict({{name: value.float() for name, value in load_file(HERE / "judge.safetensors").items()}})
        judge.eval()
        pictures = np.clip(np.round(fake), 0, 255).astype(np.uint8)
        asked = None if labels is None else labels.numpy()
        found = of_pictures(look(judge, real)[0], *look(judge, pictures), asked=asked, named=facts["named"])
    if not (HERE / "result.json").exists():
        raise SystemExit("This run has no verdict (result.json), so there is nothing to compare with.")
    expected = json.loads((HERE / "result.json").read_text())["scores"]["network"]
    worst = 0.0
    for name, value in found.items():
        if math.isfinite(value):
            worst = max(worst, abs(value - expected[name]) / max(1.0, abs(value)))
            print(f"{{name}}: {{value:.6g}}")
    print(f"largest difference from the run: {{worst:.1e}}")
    raise SystemExit(worst > 1e-5)


if __name__ == "__main__":
    main()
'''


def files(run_id: str) -> dict[str, bytes]:
    """The files that go with a run's export: `reproduce.py`, `data.npz` and, for pictures, the judge's weights."""
    config = GanConfig.model_validate(store.read(run_id).config)
    data = load(store.folder(run_id))
    count = JUDGED_POINTS if data.points else min(JUDGED_PICTURES, data.train)
    facts = {
        "config": config.model_dump(),
        "shape": data.shape,
        "classes": len(data.classes) if config.conditional else 0,
        "count": count,
        "near": NEIGHBOURHOOD,
        "spread": data.spread,
        "named": bool(data.builtin),
        "judge_size": 8 if data.builtin == "digits" else 28,
    }
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"real": data.values[: min(data.train, count)]}
    if data.modes is not None:
        arrays["modes"] = data.modes
    labels = data.usual_labels(count)
    if config.conditional and labels is not None:
        arrays["labels"] = labels
    np.savez_compressed(buffer, **arrays)
    parts = [_HEAD, source.body("core.gan.models"), source.body("core.gan.quality")]
    found = {"data.npz": buffer.getvalue()}
    if not data.points:
        parts += [source.cut("core.gan.judge", name) for name in ("FEATURES", "Judge", "look")]
        found["judge.safetensors"] = weights_of(data.builtin).read_bytes()
    return found | {"reproduce.py": ("\n\n".join([*parts, _MAIN.format(facts=json.dumps(facts))])).encode()}
