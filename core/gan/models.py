"""Generator and discriminator, written to be read: MLPs for points, small convolutional networks for pictures.

    samples = generator(noise, labels)      noise (batch, latent_dim) -> samples (batch, 2) or (batch, colours, size, size)
    logits = discriminator(samples, labels) samples -> (batch / packing,), large for real

Samples are in the networks' units: points with mean 0 and deviation 1, pictures in -1 to 1; `to_data` leads back.
labels: (batch,) class numbers for class-conditional networks, else None.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm as spectral

SLOPE = 0.2  # of D's leaky ReLU for negative inputs
HALVINGS = {8: 1, 28: 2, 32: 2}  # picture size -> how often it is halved: 4, 7 or 8 pixels remain


class Generator(nn.Module):
    """Noise -> sample."""

    centre: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...], *, latent_dim: int, layers: int, width: int, classes: int = 0) -> None:
        super().__init__()
        self.shape, self.latent_dim, self.classes = shape, latent_dim, classes
        given = latent_dim + classes  # a class is told as a one-hot vector beside the noise
        self.net = _mlp(given, width, layers, 2, nn.ReLU()) if len(shape) == 1 else _upwards(shape, given, width, layers)
        self.register_buffer("centre", torch.zeros(shape[0]))  # per coordinate or colour, of the data
        self.register_buffer("scale", torch.ones(shape[0]))

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """See the top of this file."""
        if self.classes and labels is not None:
            noise = torch.cat([noise, F.one_hot(labels, self.classes).to(noise.dtype)], 1)
        return self.net(noise)

    def from_data(self, values: Tensor) -> Tensor:
        """Samples in the data's units -> in the networks'."""
        return (values - self._wide(self.centre)) / self._wide(self.scale)

    def to_data(self, samples: Tensor) -> Tensor:
        """Samples in the networks' units -> in the data's."""
        return samples * self._wide(self.scale) + self._wide(self.centre)

    def _wide(self, per_channel: Tensor) -> Tensor:
        return per_channel.view(-1, *[1] * (len(self.shape) - 1))


class Discriminator(nn.Module):
    """Sample -> one number, large for real. With `packing` it judges that many samples together."""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        layers: int,
        width: int,
        classes: int = 0,
        packing: int = 1,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.packing = packing
        packed = (shape[0] * packing, *shape[1:])  # PacGAN (Lin et al. 2018): side by side in the channels
        self.net, features = _mlp_body(packed[0], width, layers) if len(shape) == 1 else _downwards(packed, width, layers)
        self.head = nn.Linear(features, 1)
        self.classes = nn.Embedding(classes, features) if classes else None  # projection (Miyato & Koyama 2018)
        if self.classes is not None:
            with torch.no_grad():
                self.classes.weight.mul_(features**-0.5)  # else the first logits are as large as features are many
        if spectral_norm:
            for layer in [*weighted(self.net), self.head]:
                spectral(layer)

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """See the top of this file."""
        features = self.net(samples.reshape(len(samples) // self.packing, -1, *samples.shape[2:]))
        logits = self.head(features)[:, 0]
        if self.classes is not None and labels is not None:
            logits = logits + (self.classes(labels) * features).sum(1)
        return logits

    def each(self, samples: Tensor, labels: Tensor | None = None, *, company: Tensor) -> Tensor:
        """The logit of every single sample: with packing, of a pack that real samples (`company`) fill.  # (batch,)"""
        if self.packing == 1:
            return self(samples, labels)
        rows = torch.arange(len(samples) * (self.packing - 1), device=samples.device) % len(company)
        rest = company[rows].view(len(samples), self.packing - 1, *samples.shape[1:])
        return self(torch.cat([samples.unsqueeze(1), rest], 1).flatten(0, 1), labels)


def weighted(network: nn.Module) -> list[Any]:
    """The layers of a network that hold weights to be learned, first to last."""
    return [layer for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]


def _mlp_body(inputs: int, width: int, layers: int) -> tuple[nn.Sequential, int]:
    parts: list[nn.Module] = []
    for layer in range(layers):
        parts += [nn.Linear(width if layer else inputs, width), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*parts), width


def _mlp(inputs: int, width: int, layers: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    parts: list[nn.Module] = []
    for layer in range(layers):
        parts += [nn.Linear(width if layer else inputs, width), activation]
    return nn.Sequential(*parts, nn.Linear(width, outputs))


def _upwards(shape: tuple[int, ...], inputs: int, width: int, layers: int) -> nn.Sequential:
    """DCGAN's generator (Radford et al. 2016): a small map, doubled by transposed convolutions."""
    colours, size, _ = shape
    halvings = HALVINGS[size]
    channels, small = width * 2 ** (halvings - 1), size >> halvings
    parts: list[nn.Module] = [nn.Linear(inputs, channels * small * small), nn.Unflatten(1, (channels, small, small))]
    parts += [nn.BatchNorm2d(channels), nn.ReLU()]
    for halving in range(halvings):
        for _ in range(layers - 1):
            parts += [nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
        if halving < halvings - 1:
            parts += [nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1), nn.BatchNorm2d(channels // 2), nn.ReLU()]
            channels //= 2
    return nn.Sequential(*parts, nn.ConvTranspose2d(channels, colours, 4, 2, 1), nn.Tanh())


def _downwards(shape: tuple[int, ...], width: int, layers: int) -> tuple[nn.Sequential, int]:
    """The way back: strided convolutions, no batch norm, so that each sample is judged by itself."""
    colours, size, _ = shape
    parts: list[nn.Module] = []
    channels = colours
    for halving in range(HALVINGS[size]):
        wider = width * 2**halving
        parts += [nn.Conv2d(channels, wider, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        channels = wider
        for _ in range(layers - 1):
            parts += [nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE)]
        size //= 2
    return nn.Sequential(*parts, nn.Flatten()), channels * size * size
