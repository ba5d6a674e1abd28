"""The judge: a small classifier, trained apart, that says what a sample shows. It never sees the GAN.

    python -m core.gan.judge --data fashion

Its last hidden layer gives the features in which real and fake pictures are compared.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = Path(__file__).parent / "weights"
FEATURES = 64


class Judge(nn.Module):
    """Grey pictures (batch, 1, size, size) in -1 to 1 -> features (batch, 64) and logits (batch, classes)."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.size = size
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (size // 4) ** 2, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits; colours are averaged and other sizes resized."""
        grey = pictures.mean(1, keepdim=True)
        if grey.shape[-1] != self.size:
            grey = F.interpolate(grey, size=(self.size, self.size), mode="bilinear", antialias=True)
        features = self.body(grey)
        return features, self.head(features)


def weights_of(name: str) -> Path:
    """The file of the shipped judge of "digits" or "fashion"; others are looked at through the eyes of "fashion"."""
    return WEIGHTS / f"judge-{name if name in {'digits', 'fashion'} else 'fashion'}.safetensors"


@cache
def load(name: str) -> Judge:
    """The shipped judge for a built-in dataset, see `weights_of`."""
    judge = Judge(8 if name == "digits" else 28, 10)
    judge.load_state_dict({key: value.float() for key, value in load_file(weights_of(name)).items()})
    return judge.eval()


@torch.no_grad()
def look(judge: Judge, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the judge makes of uint8 pictures (n, colours, size, size): features (n, 64), probabilities (n, classes)."""
    features, chances = [], []
    for part in torch.from_numpy(pictures).split(500):
        found, logits = judge(part.float() / 127.5 - 1)
        features.append(found)
        chances.append(logits.softmax(1))
    return torch.cat(features).numpy().astype(np.float64), torch.cat(chances).numpy()


def train(pictures: np.ndarray, labels: np.ndarray, *, epochs: int, seed: int = 0) -> Judge:
    """Fit a judge on uint8 pictures (n, 1, size, size); flips and shifts are not needed to name ten kinds."""
    torch.manual_seed(seed)
    judge = Judge(pictures.shape[-1], int(labels.max()) + 1)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    inputs, targets = torch.from_numpy(pictures).float() / 127.5 - 1, torch.from_numpy(labels).long()
    rounds = epochs * (len(inputs) // 128 + 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, rounds)
    for _ in range(rounds):
        rows = torch.randint(len(inputs), (128,))
        loss = F.cross_entropy(judge(inputs[rows])[1], targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return judge.eval()


def main() -> None:
    """Train a judge, print its accuracy on pictures it has not seen, and write its weights (half precision)."""
    from core.datasets import ORIGINAL, read
    from core.gan.data import builtin

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("digits", "fashion"), default="fashion")
    parser.add_argument("--source", type=Path, default=ORIGINAL, help="the whole Fashion-MNIST")
    options = parser.parse_args()
    if options.data == "fashion":
        (pictures, labels), (unseen, answers) = read(options.source, "train"), read(options.source, "t10k")
        pictures, unseen, epochs = pictures[:, None].copy(), unseen[:, None].copy(), 8
    else:
        data = builtin("digits")
        assert data.labels is not None
        pictures, labels, unseen, answers, epochs = *_halves(data.values, data.labels, data.train), 60
    judge = train(pictures, labels.astype(np.int64), epochs=epochs)
    accuracy = (look(judge, unseen)[1].argmax(1) == answers).mean()
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / f"judge-{options.data}.safetensors"
    save_file({key: value.half() for key, value in judge.state_dict().items()}, path)
    print(f"{path.name}: {100 * accuracy:.2f} % of {len(unseen):,} unseen pictures, {path.stat().st_size / 1e3:.0f} kB")


def _halves(values: np.ndarray, labels: np.ndarray, train: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return values[:train], labels[:train], values[train:], labels[train:]


if __name__ == "__main__":
    main()
