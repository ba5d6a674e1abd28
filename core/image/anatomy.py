"""A network taken apart: its layers in order, what each gives for a picture, and every number of a map down to its products.

Functions take the id of a run, or "" for EfficientNet as it recognises photos, and a picture uint8 (colours, h, w), so a page can
call them by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.image import backbone
from core.image.config import HEAD
from core.image.models import Classifier, Residual, whole
from core.image.predict import opened
from core.image.session import scaled

WHOLE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)  # pooling that leaves one number of each map
FEW, MANY = 16, 32  # maps of a layer that are given: of large ones, of those of up to 32 pixels
HEAVIEST = 12  # products of a linear layer that are shown


@dataclass(frozen=True)
class Subject:
    """What is looked into: a network from pictures to logits, and the size of the pictures that it takes.

    shape: colours, height, width of what it was given; size: pixels a side of what it is shown.
    """

    network: Classifier
    shape: tuple[int, int, int]
    size: int
    classes: tuple[str, ...]

    def given(self, picture: np.ndarray) -> Tensor:
        """A picture uint8 (colours, h, w) as the network gets it.  # (1, colours, size, size). Raises `UserError` for another shape."""
        if picture.dtype != np.uint8 or picture.shape != self.shape:
            raise UserError("This picture does not have the size that the network was trained on.")
        return scaled(picture[None]) if self.shape[1] == self.size else backbone.prepared(picture[None], self.size)


def subject(run_id: str) -> Subject:
    """The network of a run with all its layers, or EfficientNet itself."""
    if not run_id:
        names = tuple(entry["name"] for entry in backbone.labels())
        return Subject(whole(backbone.load()), (3, backbone.SIZE, backbone.SIZE), backbone.SIZE, names)
    trained = opened(run_id)
    if trained.config.network == HEAD:
        return Subject(whole(backbone.load(), trained.network), trained.data.shape, backbone.SMALL, trained.data.classes)
    return Subject(trained.network, trained.data.shape, trained.data.shape[1], trained.data.classes)


@dataclass(frozen=True)
class Part:
    """One step through a network. adds: the part whose output is added to this one's, "" for none."""

    name: str
    layer: nn.Module
    adds: str = ""


def parts(network: Classifier) -> Iterator[Part]:
    """The layers in order; a block with a shortcut is several parts, the last of which adds what passes by."""
    before = "input"
    for name, layer in network.layers.named_children():
        inner = _inside(layer)
        for n, (word, module) in enumerate(inner):
            last = n == len(inner) - 1
            shortcut = isinstance(layer, Residual) or bool(getattr(layer, "has_skip", False))
            yield Part(f"{name}.{word}" if word else name, module, before if last and shortcut else "")
        before = f"{name}.{inner[-1][0]}" if inner[-1][0] else name


def _inside(layer: Any) -> list[tuple[str, nn.Module]]:
    """The convolutions of a block with what follows each; a plain layer as it is."""
    if isinstance(layer, Residual):
        return [("first", layer.first), ("second", layer.second)]
    if hasattr(layer, "conv_pwl"):  # EfficientNet's inverted residual
        found = [("expand", layer.conv_pw, layer.bn1), ("depthwise", layer.conv_dw, layer.bn2), ("project", layer.conv_pwl, layer.bn3)]
        return [(word, nn.Sequential(convolution, norm)) for word, convolution, norm in found]
    if hasattr(layer, "conv_dw"):  # its first block expands nothing
        found = [("depthwise", layer.conv_dw, layer.bn1), ("project", layer.conv_pw, layer.bn2)]
        return [(word, nn.Sequential(convolution, norm)) for word, convolution, norm in found]
    return [("", layer)]


Step = tuple[Part, Tensor, Tensor, Tensor | None]  # a part, its input, its output, what is added in it


def flow(network: Classifier, x: Tensor, off: dict[str, list[int]] | None = None) -> Iterator[Step]:
    """Each part with its input, its output and what is added in it. off: part -> maps of its output that are set to zero."""
    values = {"input": x}
    for part in parts(network):
        before, beside = x, values.get(part.adds)
        x = part.layer(x)
        x = x if beside is None else x + beside
        if off and part.name in off:
            x = x.clone()
            x[:, [channel for channel in off[part.name] if 0 <= channel < x.shape[1]]] = 0
        values[part.name] = x
        yield part, before, x, beside


@torch.no_grad()
def layers(run_id: str, picture: np.ndarray) -> list[dict[str, Any]]:
    """Every part's output for a picture: name, kind, shape, weights, and values float32 of the first maps (c, h, w) or all numbers (n,)."""
    seen = subject(run_id)
    x = seen.given(picture)
    found = [{"name": "input", "kind": "picture", "shape": tuple(x.shape[1:]), "values": x[0].numpy(), "parameters": 0}]
    for part, _, x, _ in flow(seen.network, x):  # noqa: B020  # the last output is wanted after the loop
        most = MANY if x.shape[-1] <= 32 else FEW
        facts = {"name": part.name, "kind": type(part.layer).__name__, "shape": tuple(x.shape[1:])}
        values = x[0, :most] if x.ndim == 4 else x[0]
        found.append(facts | {"values": values.numpy(), "parameters": sum(p.numel() for p in part.layer.parameters())})
    found.append({"name": "softmax", "kind": "Softmax", "shape": tuple(x.shape[1:]), "values": x.softmax(1)[0].numpy(), "parameters": 0})
    return found


def first_convolution(layer: nn.Module) -> nn.Conv2d | None:
    """The convolution that a part begins with."""
    return next((module for module in layer.modules() if isinstance(module, nn.Conv2d)), None)


def window_of(layer: nn.Module, size: int) -> tuple[int, int, int] | None:
    """(kernel, stride, zeros before) of a part's window over maps of `size` pixels; None if it has none.

    A convolution with "same" padding pads less before than after where the two can't be equal, and how much depends on the size.
    Pooling of a whole map to one number has a window of its size.
    """
    if isinstance(layer, WHOLE):
        return size, 1, 0
    if isinstance(layer, nn.MaxPool2d):
        return int(layer.kernel_size), int(layer.stride), 0  # type: ignore[arg-type]
    convolution = first_convolution(layer)
    if convolution is None:
        return None
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    if type(convolution).__name__ == "Conv2dSame":
        return kernel, stride, max(0, (math.ceil(size / stride) - 1) * stride + kernel - size) // 2
    return kernel, stride, int(convolution.padding[0])


def receptive_field(stages: list[tuple[int, int, int]], row: int, column: int) -> tuple[int, int, int, int]:
    """The part of the input that one place sees: top, left, bottom, right (exclusive), before clipping to the picture.

    stages: (kernel, stride, padding) from the input on. Going backwards, a span [a, b) of outputs needs [a s - p, (b - 1) s - p + k).
    """
    top, bottom, left, right = row, row + 1, column, column + 1
    for kernel, stride, padding in reversed(stages):
        top, bottom = top * stride - padding, (bottom - 1) * stride - padding + kernel
        left, right = left * stride - padding, (right - 1) * stride - padding + kernel
    return top, left, bottom, right


@torch.no_grad()
def computed(run_id: str, picture: np.ndarray, name: str, channel: int, depth: int = 0) -> dict[str, Any]:
    """One map of a part, every number of it down to its products.

    Of a convolution, for each place (h, w) float32: `own` is the sum of products of the window over the map `depth` below and its
    `kernel` (k, k); `others` that over all other maps; `sum` = own + others + `bias`; `steps` what normalisation, ReLU and the
    shortcut make of it, one after the other. Of pooling: `sum` is what `pools` says of the window, "largest" or "mean". `below` (h, w)
    is the map below, number `below_map` of it; `depths`: how many maps the window has; `kernel_size`, `stride`, `padding`; `size` of
    the picture as it is shown to the network; `field`: step, offset and length of the receptive field: row r sees the rows from
    step * r + offset on.
    Raises `UserError` for a part without a window, and for maps that are not there.
    """
    seen, stages = subject(run_id), list[tuple[int, int, int]]()
    way = flow(seen.network, seen.given(picture))
    part, x, y, beside = next((step for step in way if _with_window(step, stages) and step[0].name == name), (None, None, None, None))
    if part is None or x is None or y is None:
        raise UserError("There is no such layer, or it has no window: only convolutions and pooling have.")
    if not 0 <= channel < y.shape[1]:
        raise UserError("There is no such map in this layer.")
    (kernel, stride, padding), (top, _, bottom, _) = stages[-1], receptive_field(stages, 0, 0)
    found: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "padding": padding, "size": seen.size}
    found["field"] = {"step": math.prod(stage[1] for stage in stages), "offset": top, "length": bottom - top}
    if isinstance(part.layer, (nn.MaxPool2d, *WHOLE)):
        return {**found, **_pooled(x, y, channel), "pools": "mean" if isinstance(part.layer, nn.AdaptiveAvgPool2d) else "largest"}
    made = _convolved(part, x, channel, depth, beside)
    after = next(way, None)
    if after and isinstance(after[0].layer, nn.ReLU):  # a layer of its own, as in LeNet
        made["steps"].append({"what": "ReLU", "values": after[2][0, channel].numpy()})
    return {**found, **made}


def _with_window(step: Step, stages: list[tuple[int, int, int]]) -> bool:
    """Whether a step has a window, which is then noted."""
    window = window_of(step[0].layer, step[1].shape[-1]) if step[1].ndim == 4 else None
    stages += [window] if window else []
    return window is not None


def _pooled(x: Tensor, y: Tensor, channel: int) -> dict[str, Any]:
    return {"below": x[0, channel].numpy(), "below_map": channel, "depths": 1, "kernel": None, "sum": y[0, channel].numpy(), "steps": []}


def _convolved(part: Part, x: Tensor, channel: int, depth: int, beside: Tensor | None) -> dict[str, Any]:
    convolution = first_convolution(part.layer)
    assert convolution is not None
    depths = convolution.in_channels // convolution.groups
    if not 0 <= depth < depths:
        raise UserError("There is no such map below.")
    below = channel // (convolution.out_channels // convolution.groups) * depths + depth
    total = value = convolution(x)
    size, stride, padding = window_of(convolution, x.shape[-1]) or (1, 1, 0)
    kernel = convolution.weight[channel, depth]
    room = (total.shape[-1] - 1) * stride + size - padding - x.shape[-1]  # zeros after
    own = F.conv2d(F.pad(x[:, below : below + 1], (padding, room, padding, room)), kernel[None, None], stride=stride)[0, 0]
    bias = 0.0 if convolution.bias is None else float(convolution.bias[channel])
    steps = []
    for module in list(part.layer)[1:] if isinstance(part.layer, nn.Sequential) else []:
        if isinstance(module, nn.BatchNorm2d):  # factor * x + shift, with what was learned and the mean and spread of the pictures
            factor, shift = _normalisation(module, channel)
            value = nn.functional.batch_norm(value, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps)
            steps.append({"what": "BatchNorm2d", "factor": factor, "shift": shift, "values": value[0, channel].numpy().copy()})
            module = getattr(module, "act", nn.Identity())  # timm's does both
            if isinstance(module, nn.Identity):
                continue
        value = module(value.clone())  # it may work in place
        steps.append({"what": type(module).__name__, "values": value[0, channel].numpy()})
    if beside is not None:
        steps.append({"what": "shortcut", "values": (value + beside)[0, channel].numpy()})
    sums = total[0, channel]
    return {
        "below": x[0, below].numpy(),
        "below_map": below,
        "depths": depths,
        "kernel": kernel.numpy(),
        "own": own.numpy(),
        "others": (sums - own - bias).numpy(),
        "bias": bias,
        "sum": sums.numpy(),
        "steps": steps,
    }


def _normalisation(module: nn.BatchNorm2d, channel: int) -> tuple[float, float]:
    """What batch normalisation does to one map when it does not learn: factor and shift."""
    assert module.running_mean is not None and module.running_var is not None
    factor = float(module.weight[channel] / (module.running_var[channel] + module.eps).sqrt())
    return factor, float(module.bias[channel]) - factor * float(module.running_mean[channel])


@torch.no_grad()
def weighed(run_id: str, picture: np.ndarray, name: str, unit: int) -> dict[str, Any]:
    """One number of a linear layer: the products that weigh most, `sum` of all, `bias`. Raises `UserError` for other layers.

    `products`: number of the input, its value, its weight, their product; the largest by size first. `relu`: whether ReLU follows.
    """
    seen = subject(run_id)
    way = flow(seen.network, seen.given(picture))
    layer, x = next(((part.layer, x) for part, x, _, _ in way if part.name == name), (None, None))
    after = next(way, None)
    if not isinstance(layer, nn.Linear) or x is None or not 0 <= unit < layer.out_features:
        raise UserError("There is no such number in a linear layer.")
    weights, values = layer.weight[unit], x[0]
    products = weights * values
    heaviest = products.abs().argsort(descending=True)[:HEAVIEST].tolist()
    rows = [{"input": n, "value": float(values[n]), "weight": float(weights[n]), "product": float(products[n])} for n in heaviest]
    bias = float(layer.bias[unit]) if layer.bias is not None else 0.0
    total = float(products.sum()) + bias
    return {
        "products": rows,
        "count": len(products),
        "bias": bias,
        "sum": total,
        "relu": bool(after and isinstance(after[0].layer, nn.ReLU)),
    }
