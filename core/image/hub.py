"""Other networks that name photos, from the hub: an extra for who has internet. Weights as safetensors only, of one fixed revision."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import UserError
from core.image import backbone
from core.pictures import open_picture
from core.runs import limits, uploads

SETTINGS, WEIGHTS = "config.json", "model.safetensors"
MOST_BYTES, MOST_SETTINGS = 600 * 2**20, 100_000  # of the weights, of config.json
MOST_CLASSES, MOST_PIXELS = 100_000, 640  # pixels a side of what a network is shown
NAMING = "A repository of the hub is named owner/name, such as timm/mobilenetv3_small_100.lamb_in1k."
OFFLINE = "The hub can't be reached. Is there internet?"
NETWORK = {"httpx", "httpx2", "httpcore", "requests", "urllib3"}  # whose errors of the line reach us, by version of the hub's library
_LEADS_ELSEWHERE = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "scriptable"}
_REPOSITORY, _REVISION = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII), re.compile(r"[0-9a-f]{40}")


def fetched(repository: str, revision: str) -> Path:
    """The folder with settings and weights of a repository at a revision (a commit's 40 digits), downloaded if need be.

    Raises `UserError` for a name or revision that is none, for what is not there or too large, and where there is no internet.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise UserError(NAMING)
    if not _REVISION.fullmatch(revision):
        raise UserError("Name the revision by its commit, 40 digits and letters a to f: what a branch holds may change.")
    if limits.demo():
        raise UserError("In the public demo no networks are fetched. Run Manabi on your own machine for that.")
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        for name, most in ((SETTINGS, MOST_SETTINGS), (WEIGHTS, MOST_BYTES)):
            size = get_hf_file_metadata(hf_hub_url(repository, name, revision=revision), token=False).size
            if size is None or size > most:
                raise UserError(f"{name} has {(size or 0) / 2**20:.1f} MB; at most {most / 2**20:.1f} MB are fetched.")
        paths = [Path(hf_hub_download(repository, name, revision=revision, token=False)) for name in (SETTINGS, WEIGHTS)]
    except HFValidationError:
        raise UserError(NAMING) from None
    except HfHubHTTPError as error:
        known = error.response is None or error.response.status_code < 429  # more: the hub is busy or broken
        raise UserError("The hub has no such repository, revision, or no weights as safetensors in it." if known else OFFLINE) from None
    except LocalEntryNotFoundError:
        raise UserError(OFFLINE) from None
    except Exception as error:
        if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in NETWORK:
            raise UserError(OFFLINE) from None
        raise
    return paths[0].parent


@lru_cache(maxsize=1)
def opened(folder: Path) -> tuple[Any, Any, list[str]]:
    """Network, what prepares a photo for it, and names of its classes, from a folder of timm's. Raises `UserError` if it is none."""
    import timm
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / SETTINGS).read_bytes())
        about, classes = dict(facts.get("pretrained_cfg") or {}), int(facts["num_classes"])
        architecture, more = str(facts["architecture"]), dict(facts.get("model_args") or {})
        elsewhere = not timm.is_model(architecture) or _LEADS_ELSEWHERE & set(more)  # a name like "hf-hub:..." would fetch something else
        if elsewhere or not 0 < classes <= MOST_CLASSES or max(about.get("input_size", [0])) > MOST_PIXELS:
            raise ValueError
        network = timm.create_model(architecture, pretrained=False, num_classes=classes, **more)
        network.load_state_dict(load_file(folder / WEIGHTS))
        shown = {name: about[name] for name in ("input_size", "mean", "std", "interpolation", "crop_pct") if name in about}
        transform = timm.data.create_transform(**timm.data.resolve_data_config(shown, model=network))
        given = facts.get("label_names") or about.get("label_names")
        if isinstance(given, list) and len(given) == classes:
            names = [str(name)[:60] for name in given]
        else:
            names = [entry["name"] for entry in backbone.labels()] if classes == 1000 else [f"class {n}" for n in range(classes)]
    except (OSError, LookupError, TypeError, ValueError, ArithmeticError, AssertionError, AttributeError, RuntimeError, SafetensorError):
        raise UserError("This is no network of timm with weights as safetensors.") from None
    return network.eval(), transform, names


def named(repository: str, revision: str, content: bytes = b"", upload_id: str = "") -> dict[str, Any]:
    """What a network of the hub says of a photo, from its bytes or of an upload: the likeliest five, `class` and `chance`; `weights`."""
    torch.set_num_threads(1)
    network, transform, names = opened(fetched(repository, revision))
    photo, notes = open_picture(content or uploads.content(upload_id))
    try:
        with torch.no_grad():
            chances = network(transform(photo)[None]).softmax(1)[0].numpy().astype(np.float64)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
        raise UserError("This network does not take a photo and name it.") from None
    best = np.argsort(-chances)[:5]
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"top": [{"class": names[n], "chance": float(chances[n])} for n in best], "weights": count, "notes": notes}
