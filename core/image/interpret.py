"""Look inside a classifier: every layer's maps, one number down to its products, what mattered in a picture, attacks, filters off.

Functions that take a run id read the run's folder, so a page can call them by name. Pictures are the run's held-out ones by number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import UserError
from core.image import explain
from core.image.models import Residual, maps_layer
from core.image.predict import Trained, opened
from core.image.session import augmented, scaled

CPU_THREADS = 1


def _picture(trained: Trained, number: int) -> Tensor:
    """A held-out picture (or one learned from, where none was held out) as the network gets it.  # (1, colours, h, w)"""
    values = trained.data.held_out()[0]
    values = values if len(values) else trained.data.values
    if trained.config.network == "EfficientNet, new head":
        raise UserError("This network's maps are those of EfficientNet: look at them under Recognise.")
    if not 0 <= number < len(values):
        raise UserError("There is no such picture.")
    return scaled(values[number : number + 1])


@torch.no_grad()
def layers(run_id: str, number: int) -> list[dict[str, Any]]:
    """Every layer's output for a picture: name, kind, shape, values float32 (maps (c, h, w) or numbers (n,)), parameters."""
    trained = opened(run_id)
    x, found = _picture(trained, number), []
    found.append({"name": "input", "kind": "picture", "values": x[0].numpy(), "parameters": 0})
    for name, layer in trained.network.layers.named_children():
        x = layer(x)
        count = sum(parameter.numel() for parameter in layer.parameters())
        found.append({"name": name, "kind": type(layer).__name__, "values": x[0].numpy(), "parameters": count})
    found.append({"name": "softmax", "kind": "Softmax", "values": x.softmax(1)[0].numpy(), "parameters": 0})
    return found


def first_convolution(layer: nn.Module) -> nn.Conv2d | None:
    """The convolution that a named layer begins with."""
    return next((module for module in layer.modules() if isinstance(module, nn.Conv2d)), None)


@torch.no_grad()
def multiply(run_id: str, number: int, name: str, channel: int, row: int, column: int) -> dict[str, Any]:
    """One number of a layer, down to its products: the window of the input (c, k, k), the kernel, bias, sum and what follows.

    For a convolution: `window`, `kernel`, `bias`, `sum`; for pooling: `window`, `sum` the largest; with `steps`, what normalisation,
    ReLU and the shortcut of a block (whose second convolution is shown) make of the sum. Raises `UserError` for other layers and
    places that are not there.
    """
    trained = opened(run_id)
    x = _picture(trained, number)
    for other, layer in trained.network.layers.named_children():
        if other == name:
            break
        x = layer(x)
    else:
        raise UserError("There is no such layer.")
    if isinstance(layer, nn.MaxPool2d):
        return _pooled(x, layer, channel, row, column)
    beside, parts = None, list(layer)[1:] if isinstance(layer, nn.Sequential) else []
    field = field_of(trained, name, row, column)
    if isinstance(layer, Residual):  # the number that comes out is that of the second convolution, and what passes by it
        beside, parts = x, list(layer.second)[1:]
        x, layer = layer.first(x), layer.second
    convolution = first_convolution(layer)
    if convolution is None or x.ndim != 4:
        raise UserError("Only convolutions and pooling have a window.")
    output = convolution(x)
    if not (0 <= channel < output.shape[1] and 0 <= row < output.shape[2] and 0 <= column < output.shape[3]):
        raise UserError("There is no such place in this layer.")
    size, stride, pad = stages_of(layer)[0]
    padded = nn.functional.pad(x, (pad, pad, pad, pad))
    window = padded[0, :, row * stride : row * stride + size, column * stride : column * stride + size]
    kernel = convolution.weight[channel]
    bias = 0.0 if convolution.bias is None else float(convolution.bias[channel])
    total = float((window * kernel).sum()) + bias
    steps, value = [], output
    for part in parts:
        value = part(value)
        steps.append({"what": type(part).__name__, "value": float(value[0, channel, row, column])})
    if beside is not None:
        steps.append({"what": "adding what passes by", "value": float((beside + value)[0, channel, row, column])})
    return {
        "window": window.numpy(),
        "kernel": kernel.numpy(),
        "bias": bias,
        "sum": total,
        "steps": steps,
        "field": field,
    }


def _pooled(x: Tensor, layer: nn.MaxPool2d, channel: int, row: int, column: int) -> dict[str, Any]:
    size = int(layer.kernel_size)  # type: ignore[arg-type]
    window = x[0, channel : channel + 1, row * size : (row + 1) * size, column * size : (column + 1) * size]
    if not window.numel() or min(row, column, channel) < 0:
        raise UserError("There is no such place in this layer.")
    return {"window": window.numpy(), "kernel": None, "bias": 0.0, "sum": float(window.max()), "steps": [], "field": None}


def receptive_field(stages: list[tuple[int, int, int]], row: int, column: int) -> tuple[int, int, int, int]:
    """The part of the input that one place sees: top, left, bottom, right (exclusive), before clipping to the picture.

    stages: (kernel, stride, padding) from the input on. Going backwards, a span [a, b) of outputs needs [a s - p, (b - 1) s - p + k).
    """
    top, bottom, left, right = row, row + 1, column, column + 1
    for kernel, stride, padding in reversed(stages):
        top, bottom = top * stride - padding, (bottom - 1) * stride - padding + kernel
        left, right = left * stride - padding, (right - 1) * stride - padding + kernel
    return top, left, bottom, right


def stages_of(layer: nn.Module) -> list[tuple[int, int, int]]:
    """(kernel, stride, padding) of everything with a window in a layer."""
    if isinstance(layer, Residual):
        return stages_of(layer.first) + stages_of(layer.second)
    found = []
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            found.append((module.kernel_size[0], module.stride[0], int(module.padding[0])))
        elif isinstance(module, nn.MaxPool2d):
            found.append((int(module.kernel_size), int(module.stride), 0))  # type: ignore[arg-type]
    return found


def field_of(trained: Trained, name: str, row: int, column: int) -> tuple[int, int, int, int]:
    """`receptive_field` of a place in a named layer, clipped to the picture."""
    stages: list[tuple[int, int, int]] = []
    for other, layer in trained.network.layers.named_children():
        stages += stages_of(layer)
        if other == name:
            break
    top, left, bottom, right = receptive_field(stages, row, column)
    size = trained.data.shape[1]
    return max(0, top), max(0, left), min(size, bottom), min(size, right)


def explained(run_id: str, number: int, kind: int = -1) -> dict[str, Any]:
    """What mattered in a picture, by every method, with each map's deletion and insertion curve and its sanity check.

    kind: the class asked about, -1 for the one that is answered. `same` is how like the map is to that of shuffled weights.
    """
    torch.set_num_threads(CPU_THREADS)
    trained = opened(run_id)
    picture, network = _picture(trained, number), trained.network
    with torch.no_grad():
        chances = network(picture).softmax(1)[0]
    kind = int(chances.argmax()) if kind < 0 else kind
    if kind >= len(chances):
        raise UserError("There is no such class.")
    name = maps_layer(network)
    layer = dict(network.layers.named_children())[name]
    maps = explain.maps_of(network, layer, picture, kind)
    scrambled: Any = explain.shuffled(network)
    blind = explain.maps_of(scrambled, dict(scrambled.layers.named_children())[name], picture, kind)
    found = {}
    for method, heat in maps.items():
        found[method] = {"map": heat, "same": explain.likeness(heat, blind[method]), **explain.curves(network, picture, kind, heat)}
    return {"kind": kind, "chances": chances.numpy(), "methods": found, "layer": name}


def attacked(run_id: str, number: int, epsilon: float, steps: int) -> dict[str, Any]:
    """The picture after an attack: pixels uint8 before and after, and the chances of both."""
    trained = opened(run_id)
    picture = _picture(trained, number)
    with torch.no_grad():
        before = trained.network(picture).softmax(1)[0]
    changed = explain.adversarial(trained.network, picture, int(before.argmax()), min(1.0, max(0.0, epsilon)), min(50, max(1, steps)))
    with torch.no_grad():
        after = trained.network(changed).softmax(1)[0]
    pixels = [((value[0] + 1) * 127.5).round().clamp(0, 255).byte().numpy() for value in (picture, changed)]
    return {"before": pixels[0], "after": pixels[1], "chances_before": before.numpy(), "chances_after": after.numpy()}


def flipped(run_id: str, values: np.ndarray) -> dict[str, Any]:
    """The smallest edit of a picture uint8 (1, c, size, size) that makes the answer another, and the other answer.

    The largest change of a pixel is halved and halved again (PGD, ten times). `after` is None if no edit of a quarter of the range does.
    """
    trained = opened(run_id)
    if values.shape[1:] != trained.data.values.shape[1:] or values.dtype != np.uint8 or trained.config.network == "EfficientNet, new head":
        raise UserError("This picture does not have the size that the network was trained on.")
    picture = scaled(values)
    with torch.no_grad():
        said = int(trained.network(picture).argmax())

    def edited(epsilon: float) -> tuple[Tensor, int]:
        changed = explain.adversarial(trained.network, picture, said, epsilon, 20)
        with torch.no_grad():
            return changed, int(trained.network(changed).argmax())

    low, high = 0.0, 0.5
    best, other = edited(high)
    if other == said:
        return {"said": said, "after": None, "other": said, "epsilon": 0.0}
    for _ in range(10):
        middle = (low + high) / 2
        changed, answer = edited(middle)
        low, high = (low, middle) if answer != said else (middle, high)
        best, other = (changed, answer) if answer != said else (best, other)
    pixels = ((best + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return {"said": said, "after": pixels, "other": other, "epsilon": high / 2}


def previewed(values: np.ndarray, how: str) -> np.ndarray:
    """Pictures uint8 (n, c, size, size) as a network from scratch would be shown them in one epoch."""
    shown = augmented(scaled(values), how, torch.Generator().manual_seed(0))
    return ((shown + 1) * 127.5).round().byte().numpy()


@torch.no_grad()
def without_filters(run_id: str, name: str, channels: list[int], most: int = 1000) -> dict[str, Any]:
    """Accuracy by class with some maps of a layer set to zero, beside the accuracy with all of them."""
    trained = opened(run_id)
    values, labels = (part[:most] for part in trained.data.held_out())
    named = dict(trained.network.layers.named_children())
    if name not in named or not len(values):
        raise UserError("There is no such layer, or no picture was held out.")

    def off(_: nn.Module, __: object, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, [channel for channel in channels if 0 <= channel < output.shape[1]]] = 0
        return output

    def by_class() -> list[float]:
        right = trained.logits(values).argmax(1).numpy() == labels
        return [float(right[labels == kind].mean()) if (labels == kind).any() else 0.0 for kind in range(len(trained.data.classes))]

    whole = by_class()
    handle = named[name].register_forward_hook(off)
    try:
        return {"whole": whole, "without": by_class(), "classes": trained.data.classes}
    finally:
        handle.remove()
