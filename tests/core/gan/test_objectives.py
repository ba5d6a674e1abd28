import math

import pytest
import torch
from torch import nn

from core.gan.objectives import OBJECTIVES, penalty, slope

LN2 = math.log(2)


def softplus(x):
    return math.log(1 + math.exp(x))


# by hand, for logits real (1, -1) and fake (0, 2): each loss is the mean over the two
REAL, FAKE = torch.tensor([1.0, -1.0]), torch.tensor([0.0, 2.0])
BY_HAND = {
    "minimax": ((softplus(-1) + softplus(1)) / 2 + (LN2 + softplus(2)) / 2, -(LN2 + softplus(2)) / 2),
    "non-saturating": ((softplus(-1) + softplus(1)) / 2 + (LN2 + softplus(2)) / 2, (LN2 + softplus(-2)) / 2),
    "least squares": (((0 + 4) / 2 + (0 + 4) / 2) / 2, ((1 + 1) / 2) / 2),
    "hinge": ((0 + 2) / 2 + (1 + 3) / 2, -(0 + 2) / 2),
    "wasserstein": (1.0 - 0.0, -1.0),
    "relativistic": ((softplus(-1) + softplus(3)) / 2, (softplus(1) + softplus(-3)) / 2),
}


def test_every_objective_is_worked_out_by_hand():
    assert set(BY_HAND) == set(OBJECTIVES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_have_the_values_found_by_hand(name):
    objective, (d_loss, g_loss) = OBJECTIVES[name], BY_HAND[name]
    assert objective.discriminator(REAL, FAKE).item() == pytest.approx(d_loss, rel=1e-6)
    assert objective.generator(REAL, FAKE).item() == pytest.approx(g_loss, rel=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_d_gains_by_telling_apart_and_g_by_fooling(name):
    objective = OBJECTIVES[name]
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    objective.discriminator(real, fake).backward()
    assert (real.grad < 0).all() or name == "least squares"
    assert (fake.grad > 0).all() or name == "least squares"  # there the fakes are already where D wants them
    fake.grad = None
    objective.generator(real, fake).backward()
    assert (fake.grad < 0).all()


def test_minimax_is_flat_where_d_is_sure_and_non_saturating_is_steep():
    slopes = {}
    for name in ("minimax", "non-saturating"):
        fake = torch.full((1,), -10.0, requires_grad=True)
        OBJECTIVES[name].generator(torch.zeros(1), fake).backward()
        slopes[name] = abs(fake.grad.item())
    assert slopes["minimax"] < 1e-4 and slopes["non-saturating"] > 0.99


@pytest.fixture
def plane():
    """D(x) = 3 x1 + 4 x2: its slope is 5 everywhere."""
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    return lambda x: layer(x)[:, 0]


def test_the_slope_of_a_plane_is_known(plane):
    assert slope(plane, torch.randn(6, 2)).tolist() == pytest.approx([25.0] * 6)


@pytest.mark.parametrize(("kind", "cost"), [("none", 0.0), ("R1", 12.5), ("R1 and R2", 25.0), ("gradient penalty", 16.0)])
def test_penalties_of_a_plane_are_known(plane, kind, cost):
    assert penalty(kind, plane, torch.randn(8, 2), torch.randn(8, 2)).item() == pytest.approx(cost, rel=1e-5)


def test_a_pack_has_the_slope_of_all_its_samples():
    judge = lambda x: x.reshape(len(x) // 2, -1).sum(1)  # noqa: E731  the sum of four coordinates: slope 2
    assert slope(judge, torch.randn(6, 2), 2).tolist() == [4.0] * 3
    assert penalty("gradient penalty", judge, torch.randn(6, 2), torch.randn(6, 2), 2).item() == pytest.approx(1, rel=1e-4)


def test_a_penalty_can_be_learned_from(plane):
    layer = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    penalty("R1", lambda x: layer(x)[:, 0], torch.randn(8, 2), torch.randn(8, 2)).backward()
    assert layer[0].weight.grad.abs().sum() > 0
