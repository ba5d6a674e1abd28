"""What generator and discriminator minimise. D gives one number (a logit) per sample: large for real.

real, fake  (batch,)  D's logits of real samples and of fakes; a fake is paired with the real one at its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


class Objective(NamedTuple):
    """The two losses of a game, and where it was published."""

    discriminator: Loss
    generator: Loss
    source: str


OBJECTIVES = {
    "minimax": Objective(
        # D: -log D(x) - log(1 - D(G(z)));  G: log(1 - D(G(z))), flat where D is sure
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda real, fake: -F.softplus(fake).mean(),
        "Goodfellow et al. 2014, equation 1",
    ),
    "non-saturating": Objective(
        # G: -log D(G(z)), steep where D is sure
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda real, fake: F.softplus(-fake).mean(),
        "Goodfellow et al. 2014, section 3",
    ),
    "least squares": Objective(
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda real, fake: (fake - 1).square().mean() / 2,
        "Mao et al. 2017, equation 9",
    ),
    "hinge": Objective(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda real, fake: -fake.mean(),
        "Lim & Ye 2017; Miyato et al. 2018",
    ),
    "wasserstein": Objective(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
        "Arjovsky et al. 2017; Gulrajani et al. 2017",
    ),
    "relativistic": Objective(
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda real, fake: F.softplus(real - fake).mean(),
        "Jolicoeur-Martineau 2019; Huang et al. 2024",
    ),
}

Judge = Callable[[Tensor], Tensor]  # samples (batch, ...) -> logits (judgements,)


def slope(judge: Judge, samples: Tensor, packing: int = 1) -> Tensor:
    """Squared length of the gradient of D's logit with respect to what it judged.  # (batch / packing,)"""
    samples = samples.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(samples).sum(), samples, create_graph=True)
    return gradient.reshape(len(samples) // packing, -1).square().sum(1)


def penalty(kind: str, judge: Judge, real: Tensor, fake: Tensor, packing: int = 1) -> Tensor:
    """What D's steepness costs, to be weighted.

    "gradient penalty": (slope - 1)^2 on random points between real and fake (Gulrajani et al. 2017);
    "R1": half the squared slope on real samples (Mescheder et al. 2018); "R1 and R2": on fakes too.
    """
    if kind == "gradient penalty":
        share = torch.rand(len(real) // packing, *[1] * (real.dim() - 1), device=real.device).repeat_interleave(packing, 0)
        return ((slope(judge, real + share * (fake - real), packing) + 1e-12).sqrt() - 1).square().mean()
    if kind == "R1":
        return slope(judge, real, packing).mean() / 2
    if kind == "R1 and R2":
        return (slope(judge, real, packing).mean() + slope(judge, fake, packing).mean()) / 2
    return real.new_zeros(())
