"""Recognise a photo: the 1,000 classes of ImageNet, an honest "I don't know this", and what mattered in the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from core.image import backbone, explain
from core.pictures import open_picture
from core.runs import uploads

FAMILIAR = 8.2  # energy that 95 of 100 photos of CIFAR-10's test split have or exceed (`python -m benchmarks.image`)


def _photo(content: bytes) -> tuple[np.ndarray, list[str]]:
    """A photo cut to the square in its middle.  # (1, 3, 224, 224) uint8"""
    picture, notes = open_picture(content)
    cut = ImageOps.fit(picture, (backbone.SIZE, backbone.SIZE), Image.Resampling.BICUBIC)
    return np.asarray(cut, np.uint8).transpose(2, 0, 1)[None], notes


def named(content: bytes = b"", upload_id: str = "") -> dict[str, Any]:
    """The five likeliest classes of a photo from its bytes, or of an upload. Raises `UserError` if it is none.

    `top`: name, also, meaning, chance; `energy` (log-sum-exp of the logits: Liu et al. 2020), `familiar`; `photo` uint8 as it was seen.
    """
    torch.set_num_threads(1)
    photo, notes = _photo(content or uploads.content(upload_id))
    with torch.no_grad():
        logits = backbone.load()(backbone.prepared(photo))
    energy, chances = float(logits.logsumexp(1)), logits.softmax(1)[0]
    best = chances.topk(5)
    top = [{**backbone.labels()[int(n)], "class": int(n), "chance": float(p)} for p, n in zip(best.values, best.indices, strict=True)]
    return {"top": top, "energy": energy, "familiar": energy >= FAMILIAR, "photo": photo[0], "notes": notes}


def classes() -> tuple[str, ...]:
    """The names of the 1,000 classes."""
    return tuple(entry["name"] for entry in backbone.labels())


def why(kind: int, photo: np.ndarray) -> np.ndarray:
    """What mattered for a class in a photo (3, 224, 224) uint8, as `named` gives it: Grad-CAM.  # (224, 224) float32"""
    torch.set_num_threads(1)
    network: Any = backbone.load()
    found: np.ndarray = explain.grad_cam(network, network.bn2, backbone.prepared(photo[None]), kind).numpy().astype(np.float32)
    return found
