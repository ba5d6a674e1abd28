"""Begin where another run left off: its pictures were corrected, or there are more of them, or another class."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import UserError
from core.image.config import ImageConfig
from core.image.data import Pictures, load
from core.image.models import Classifier
from core.runs import checkpoints, store


@torch.no_grad()
def take(network: Classifier, config: ImageConfig, data: Pictures) -> None:
    """Give a network the weights of the run `config.warm`; of the last layer, those of the classes that both know.

    Raises `UserError` if that run is gone, has no weights, or is of another network.
    """
    if not store.exists(config.warm):
        raise UserError("The run to go on from is not here any more, so this one can't begin with its weights.")
    folder, run = store.folder(config.warm), store.read(config.warm)
    saved = checkpoints.read(folder)
    if saved is None or run.capability != "image" or any(run.config.get(name) != getattr(config, name) for name in ("network", "width")):
        raise UserError("The run to go on from has no weights, or another network.")
    before, wanted = load(folder).classes, network.state_dict()
    both = [(n, before.index(name)) for n, name in enumerate(data.classes) if name in before]
    taken: dict[str, Tensor] = {}
    try:
        for name, value in saved.part("network").items():
            if name.startswith("layers.output."):
                rows = wanted[name].clone()
                for mine, theirs in both:
                    rows[mine] = value[theirs]
                taken[name] = rows
            else:
                taken[name] = value
        network.load_state_dict(taken)
    except (RuntimeError, IndexError, KeyError):
        raise UserError("The weights of the run to go on from do not fit: its pictures had another size.") from None
