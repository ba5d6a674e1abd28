"""Look inside a classifier: what mattered in a picture, attacks, the smallest edit that flips the answer, filters off.

Functions take the id of a run, or "" for EfficientNet as it recognises photos, and a picture uint8 (colours, h, w), so a page can
call them by name. What its layers compute is in `anatomy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.image import anatomy, explain
from core.image.models import maps_layer
from core.image.predict import opened
from core.image.session import augmented, scaled

CPU_THREADS = 1
LARGE = 64  # pixels a side, from which the slower methods take half their steps
SHUFFLES = 3  # tries at shuffled weights that do not leave every map blank
GOALS = 3  # likeliest other classes that an edit is led to
WAY = 11  # pictures on the way from one to its edit


def explained(run_id: str, picture: np.ndarray, kind: int = -1) -> dict[str, Any]:
    """What mattered in a picture, by every method, with each map's deletion and insertion curve and its sanity check.

    kind: the class asked about, -1 for the one that is answered. `same` is how like the map is to that of shuffled weights, NaN where
    one of the two is blank; `sum` what a map adds up to, beside the class's `logit` less that of a grey picture. `picture` is what the
    network was shown, uint8.
    """
    torch.set_num_threads(CPU_THREADS)
    subject = anatomy.subject(run_id)
    given, network = subject.given(picture), subject.network
    with torch.no_grad():
        chances = network(given).softmax(1)[0]
    kind = int(chances.argmax()) if kind < 0 else kind
    if kind >= len(chances):
        raise UserError("There is no such class.")
    name = maps_layer(network)
    steps = explain.STEPS if given.shape[-1] <= LARGE else explain.STEPS // 2
    maps = explain.maps_of(network, dict(network.layers.named_children())[name], given, kind, steps)
    blind: dict[str, np.ndarray] = {}
    for seed in range(SHUFFLES):
        empty = [method for method in maps if method not in blind or explain.blank(blind[method])]
        if not empty:
            break
        scrambled: Any = explain.shuffled(network, seed)
        layer = dict(scrambled.layers.named_children())[name]
        blind |= explain.maps_of(scrambled, layer, given, kind, steps, explain.PATH_STEPS // 4, empty)
    found = {
        method: {
            "map": heat,
            "blank": explain.blank(heat),
            "same": explain.likeness(heat, blind[method]),
            "sum": float(heat.sum()),
            **explain.curves(network, given, kind, heat),
        }
        for method, heat in maps.items()
    }
    with torch.no_grad():
        logit = float((network(given) - network(torch.zeros_like(given)))[0, kind])
    return {"kind": kind, "chances": chances.numpy(), "methods": found, "layer": name, "picture": _pixels(given)[0], "logit": logit}


def _pixels(pictures: Tensor) -> np.ndarray:
    """-1 to 1 -> uint8."""
    found: np.ndarray = ((pictures + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return found


def attacked(run_id: str, picture: np.ndarray, epsilon: float, steps: int) -> dict[str, Any]:
    """The picture after an attack: pixels uint8 before and after, and the chances of both."""
    torch.set_num_threads(CPU_THREADS)
    subject = anatomy.subject(run_id)
    given = subject.given(picture)
    with torch.no_grad():
        before = subject.network(given).softmax(1)[0]
    changed = explain.adversarial(subject.network, given, int(before.argmax()), min(1.0, max(0.0, epsilon)), min(50, max(1, steps)))
    pixels = [_pixels(value) for value in (given, changed)]
    with torch.no_grad():
        after = subject.network(scaled(pixels[1])).softmax(1)[0]  # asked of the whole numbers that are shown
    return {"before": pixels[0][0], "after": pixels[1][0], "chances_before": before.numpy(), "chances_after": after.numpy()}


def flipped(run_id: str, values: np.ndarray) -> dict[str, Any]:
    """The smallest edit found of a picture uint8 (1, c, size, size) that makes the answer another, and the other answer.

    Away from the answer, then towards each of the likeliest others (PGD), the largest change of a pixel is halved and halved again; it is
    asked of the whole numbers that a picture can hold. `after` is None if no edit of a quarter of the range does; `epsilon`: the largest
    change, as a share of the range; `way` and `chances`: pictures from the first to the edit, and what the network says of each.
    """
    subject = anatomy.subject(run_id)
    picture = subject.given(values[0])
    with torch.no_grad():
        likely = subject.network(picture)[0].argsort(descending=True)[: GOALS + 1].tolist()
    said, best, other = likely[0], None, likely[0]

    def edited(epsilon: float, towards: int | None) -> tuple[np.ndarray, int]:
        changed = _pixels(explain.adversarial(subject.network, picture, said, epsilon, 20, towards))
        with torch.no_grad():
            return changed, int(subject.network(scaled(changed)).argmax())

    high = 0.5
    for towards in (None, *likely[1:]):
        low, size = 0.0, high
        while high - low > 1 / 255:  # half a grey value
            changed, answer = edited(size, towards)
            if answer != said:
                best, other, high = changed, answer, size
            else:
                low = size
            if low >= high:  # not even the largest edit does: another goal
                break
            size = (low + high) / 2
    if best is None:
        return {"said": said, "after": None, "other": said, "epsilon": 0.0}
    first = _pixels(picture).astype(np.float32)
    way = np.concatenate([(first + share * (best - first)).round().astype(np.uint8) for share in np.linspace(0, 1, WAY)])
    with torch.no_grad():
        chances = subject.network(scaled(way)).softmax(1).numpy()
    moved = np.abs(best - first).max()
    return {"said": said, "after": best, "other": other, "epsilon": float(moved) / 255, "way": way, "chances": chances}


def previewed(values: np.ndarray, how: str) -> np.ndarray:
    """Pictures uint8 (n, c, size, size) as a network would be shown them in one epoch."""
    return _pixels(augmented(scaled(values), how, torch.Generator().manual_seed(0)))


@torch.no_grad()
def without_filters(run_id: str, name: str, channels: list[int], most: int = 1000) -> dict[str, Any]:
    """Accuracy by class with some maps of a layer set to zero, beside that with all of them; None for a class that was not held out."""
    subject, data = anatomy.subject(run_id), opened(run_id).data
    values, labels = (part[:most] for part in data.held_out())
    if name not in {part.name for part in anatomy.parts(subject.network)} or not len(values):
        raise UserError("There is no such layer, or no picture was held out.")

    def by_class(off: dict[str, list[int]]) -> list[float | None]:
        said = []
        for start in range(0, len(values), 50):
            given = torch.cat([subject.given(picture) for picture in values[start : start + 50]])
            *_, (_, _, logits, _) = anatomy.flow(subject.network, given, off)
            said.append(logits.argmax(1))
        right = torch.cat(said).numpy() == labels
        return [float(right[labels == kind].mean()) if (labels == kind).any() else None for kind in range(len(data.classes))]

    return {"whole": by_class({}), "without": by_class({name: channels}), "classes": data.classes}
