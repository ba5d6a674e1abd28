"""Explanations and what a layer computes: worked examples, properties, and agreement with hand computations."""

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from torch import nn

from core.errors import UserError
from core.image import anatomy, backbone, explain, interpret, predict, recognise
from core.image.anatomy import receptive_field
from core.image.config import HEAD
from core.image.data import builtin, photo
from core.image.models import lenet, maps_layer, resnet, resnet_early, vgg
from core.runs import store
from tests.core.image.test_train import finished, toy

EXAMPLE = "example-image-digits"


def linear(weights):
    """A network whose logits are sums of weighted pixels."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(weights.shape[1], len(weights), bias=False))
    net[1].weight.data = weights
    return net


def held(number, run_id=EXAMPLE):
    return store.dataset(run_id).held_out()[0][number]


@pytest.fixture(scope="module")
def cat():
    """A photo as EfficientNet gets it."""
    return recognise.named(photo("A cat"))["photo"]


def test_the_parts_of_efficientnet_are_the_network_itself(cat):
    subject = anatomy.subject("")
    given = subject.given(cat)
    with torch.no_grad():
        *_, (last, _, logits, _) = anatomy.flow(subject.network, given)
        assert last.name == "output" and torch.equal(logits, backbone.load()(given))
    named = recognise.named(photo("A cat"))
    assert logits.softmax(1).max() == pytest.approx(named["top"][0]["chance"], abs=1e-4)  # the same model run directly
    assert subject.classes[int(logits.argmax())] == named["top"][0]["name"]


def test_every_map_of_efficientnet_is_its_products_and_what_follows(cat):
    layers = {layer["name"]: layer for layer in anatomy.layers("", cat)}
    assert len(layers) == 54 and layers["softmax"]["values"].sum() == pytest.approx(1, abs=1e-4)
    for name in ("stem", "block4.depthwise", "block5.project", "head"):  # strided, depthwise of 5x5, with a shortcut, 1x1
        found = anatomy.computed("", cat, name, 3, 0)
        assert found["steps"][-1]["values"] == pytest.approx(layers[name]["values"][3], abs=1e-4), name
        first = found["steps"][0]
        assert first["factor"] * found["sum"] + first["shift"] == pytest.approx(first["values"], abs=1e-3), name
        whole = found["own"] + found["others"] + found["bias"]
        assert whole == pytest.approx(found["sum"], abs=1e-3), name
        place = (found["sum"].shape[0] - 1,) * 2  # the corner, where the padding is
        assert by_hand(found, *place) == pytest.approx(float(found["own"][place]), abs=1e-4), name


def by_hand(found, row, column):
    """The sum of products at one place."""
    size, total = found["kernel_size"], 0.0
    for y in range(size):
        for x in range(size):
            down, right = row * found["stride"] - found["padding"] + y, column * found["stride"] - found["padding"] + x
            if 0 <= down < found["below"].shape[0] and 0 <= right < found["below"].shape[1]:
                total += float(found["below"][down, right]) * float(found["kernel"][y, x])
    return total


@pytest.mark.parametrize("network", ["VGG", "ResNet", "ResNet, early pooling"])
def test_every_number_of_a_map_is_worked_out(fresh_runs, network):
    run = finished(network)
    picture = held(2, run.id)
    for layer in anatomy.layers(run.id, picture):
        if layer["kind"] not in {"Sequential", "MaxPool2d"}:
            continue
        depths = anatomy.computed(run.id, picture, layer["name"], 1)["depths"]
        parts = [anatomy.computed(run.id, picture, layer["name"], 1, depth) for depth in range(depths)]
        first = parts[0]
        last = first["steps"][-1]["values"] if first["steps"] else first["sum"]
        assert last == pytest.approx(layer["values"][1], abs=1e-5), layer["name"]
        if first["kernel"] is not None:
            assert sum(part["own"] for part in parts) + first["bias"] == pytest.approx(first["sum"], abs=1e-4), layer["name"]
            assert by_hand(first, 0, first["sum"].shape[1] - 1) == pytest.approx(float(first["own"][0, -1]), abs=1e-5)


def test_pooling_takes_the_largest():
    found = anatomy.computed(EXAMPLE, held(0), "pool1", 1)
    below = found["below"]
    assert (
        found["sum"][2, 3] == below[4:6, 6:8].max() and found["kernel"] is None and found["field"] == {"step": 2, "offset": -2, "length": 6}
    )


def test_bias_and_activation_of_lenet_are_shown():
    """Its ReLU is a layer of its own."""
    layers = {layer["name"]: layer for layer in anatomy.layers(EXAMPLE, held(0))}
    found = anatomy.computed(EXAMPLE, held(0), "conv1", 2)
    assert [step["what"] for step in found["steps"]] == ["ReLU"] and found["bias"] != 0
    assert found["sum"] == pytest.approx(layers["conv1"]["values"][2], abs=1e-5) and (found["sum"] < 0).any()
    assert (found["steps"][0]["values"] == np.maximum(found["sum"], 0)).all()
    assert found["steps"][0]["values"] == pytest.approx(layers["relu1"]["values"][2], abs=1e-5)
    hidden = anatomy.weighed(EXAMPLE, held(0), "hidden", 3)
    assert hidden["relu"] and hidden["sum"] == pytest.approx(float(layers["hidden"]["values"][3]), abs=1e-4)
    assert not anatomy.weighed(EXAMPLE, held(0), "output", 3)["relu"]


@pytest.mark.parametrize(
    ("network", "name", "pools", "made"), [("VGG", "mean", "mean", np.mean), ("ResNet", "strongest", "largest", np.max)]
)
def test_a_whole_map_becomes_one_number(fresh_runs, network, name, pools, made):
    run = finished(network, steps=2)
    found = anatomy.computed(run.id, held(1, run.id), name, 3)
    assert found["pools"] == pools and found["kernel_size"] == len(found["below"]) and found["sum"].shape == (1, 1)
    assert found["sum"][0, 0] == pytest.approx(made(found["below"]), abs=1e-6)
    layers = {layer["name"]: layer for layer in anatomy.layers(run.id, held(1, run.id))}
    assert found["sum"][0, 0] == pytest.approx(float(layers[name]["values"][3, 0, 0]), abs=1e-6)


def test_layers_end_with_chances():
    layers = anatomy.layers(EXAMPLE, held(0))
    assert layers[-1]["values"].sum() == pytest.approx(1) and layers[0]["values"].shape == (1, 8, 8)
    logits = layers[-2]["values"]
    assert layers[-1]["values"] == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-5)
    found = anatomy.weighed(EXAMPLE, held(0), "output", 4)
    assert found["sum"] == pytest.approx(float(logits[4]), abs=1e-4) and found["count"] == 128
    products = [abs(row["product"]) for row in found["products"]]
    assert products == sorted(products, reverse=True)
    assert all(row["product"] == pytest.approx(row["value"] * row["weight"], abs=1e-6) for row in found["products"])


@pytest.mark.parametrize(
    "place", [("conv1", 99, 0), ("conv1", -1, 0), ("nothing", 0, 0), ("output", 0, 0), ("conv2", 0, 16), ("flatten", 0, 0)]
)
def test_a_map_that_is_not_there_is_told(place):
    with pytest.raises(UserError):
        anatomy.computed(EXAMPLE, held(0), *place)
    with pytest.raises(UserError):
        anatomy.weighed(EXAMPLE, held(0), "conv1", 0)
    with pytest.raises(UserError):
        anatomy.weighed(EXAMPLE, held(0), "output", 10)


def test_a_picture_of_another_size_is_told():
    with pytest.raises(UserError, match="size"):
        anatomy.layers(EXAMPLE, np.zeros((3, 8, 8), np.uint8))


def test_the_receptive_field_worked_out_by_hand():
    assert receptive_field([(3, 1, 1)], 4, 5) == (3, 4, 6, 7)
    assert receptive_field([(3, 1, 1), (2, 2, 0)], 1, 1) == (1, 1, 5, 5)
    assert receptive_field([(3, 1, 1), (2, 2, 0), (3, 1, 1)], 2, 2) == (1, 1, 9, 9)  # 3, then 4, then 4 + 2 * 2 = 8


@pytest.mark.parametrize(("build", "name"), [(lenet, "conv2"), (vgg, "conv2a"), (resnet, "block2.second"), (resnet_early, "conv3")])
def test_no_pixel_outside_the_receptive_field_matters(build, name):
    network = build(1, 28, 4, 3).eval()
    stages, x = [], torch.randn(1, 1, 28, 28, requires_grad=True)
    for part, before, value, _ in anatomy.flow(network, x):
        window = anatomy.window_of(part.layer, before.shape[-1])
        stages += [window] if window else []
        if part.name == name:
            break
    value[0, :, 5, 6].sum().backward()
    top, left, bottom, right = receptive_field(stages, 5, 6)
    outside = x.grad[0, 0].clone()
    outside[max(0, top) : bottom, max(0, left) : right] = 0
    assert not outside.any() and x.grad.any()


# explanations


def test_integrated_gradients_of_a_linear_network_are_its_products_and_add_up():
    weights = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    picture = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    found = explain.integrated_gradients(linear(weights), picture, 1)
    assert torch.allclose(found.ravel(), weights[1] * picture.ravel(), atol=1e-5)
    network = lenet(1, 8, 4, 3).eval()
    digit = torch.rand(1, 1, 8, 8) * 2 - 1
    total = explain.integrated_gradients(network, digit, 2, 300).sum()
    with torch.no_grad():
        wanted = network(digit)[0, 2] - network(torch.zeros_like(digit))[0, 2]
    assert float(total) == pytest.approx(float(wanted), abs=5e-3)


def test_grad_cam_worked_out_by_hand():
    """Two maps that are the picture and its opposite; the class likes the first twice and the second once."""
    convolution = nn.Conv2d(1, 2, 1, bias=False)
    convolution.weight.data = torch.tensor([[[[1.0]]], [[[-1.0]]]])
    network = nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1, bias=False))
    network[3].weight.data = torch.tensor([[2.0, 1.0]])
    picture = torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]]])
    heat = explain.grad_cam(network, convolution, picture, 0)
    # the gradient of the mean over 4 places is w / 4: 0.5 and 0.25, so the map is ReLU(0.5 x - 0.25 x) = ReLU(x) / 4
    assert torch.allclose(heat, torch.tensor([[0.25, 0.0], [0.75, 0.0]]))


def test_grad_cam_plus_worked_out_by_hand():
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    convolution.weight.data.fill_(1.0)
    network = nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 1, bias=False))
    network[3].weight.data.fill_(4.0)
    picture = torch.tensor([[[[1.0, 2.0], [0.0, 1.0]]]])  # gradient 1 everywhere, maps sum to 4: share 1 / (2 + 4), weight 4 / 6
    assert torch.allclose(explain.grad_cam_plus(network, convolution, picture, 0), picture[0, 0] * 4 / 6, atol=1e-5)
    uneven = nn.Sequential(convolution, nn.Flatten(), nn.Linear(4, 1, bias=False))
    uneven[2].weight.data = torch.tensor([[1.0, 2.0, 3.0, 4.0]])  # a place of gradient g has the share 1 / (2 + 4 g)
    weight = sum(g / (2 + 4 * g) for g in (1, 2, 3, 4))
    assert torch.allclose(explain.grad_cam_plus(uneven, convolution, picture, 0), picture[0, 0] * weight, atol=1e-5)


def test_smooth_grad_of_a_linear_network_is_the_size_of_its_weights():
    weights = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    found = explain.smooth_grad(linear(weights), torch.randn(1, 1, 4, 4), 0)
    assert torch.allclose(found.ravel(), weights[0].abs(), atol=1e-5)


def test_occlusion_and_the_curves_find_the_only_pixel_that_matters():
    weights = torch.zeros(2, 64)
    weights[1, 27] = 8.0  # row 3, column 3
    picture = torch.ones(1, 1, 8, 8)
    heat = explain.occlusion(linear(weights), picture, 1, patch=2)
    assert int(heat.argmax()) in {18, 19, 26, 27} and heat.max() > 0.3 and heat[0, 0] == 0
    right = np.zeros((8, 8), np.float32)
    right[3, 3] = 1
    wrong = -np.arange(64, dtype=np.float32).reshape(8, 8)[::-1].copy()
    good, bad = (explain.curves(linear(weights), picture, 1, value) for value in (right, wrong))
    assert good["deletion"].mean() < bad["deletion"].mean() and good["insertion"].mean() > bad["insertion"].mean()
    assert good["deletion"][0] == good["insertion"][-1] > 0.99 and good["deletion"][-1] == good["insertion"][0] == 0.5


def test_the_likeness_of_maps():
    heat = np.random.default_rng(0).random((6, 6))
    assert explain.likeness(heat, heat**3) == pytest.approx(1)
    assert explain.likeness(heat, 1 - heat) == pytest.approx(-1)
    for one, another in ((np.zeros((6, 6)), heat), (heat, np.zeros((6, 6)))):
        assert np.isnan(explain.likeness(one, another))  # a blank map has no order that could be like another
    first, second = np.zeros(100), np.zeros(100)
    first[:10], second[50:60] = np.arange(1, 11), np.arange(1, 11)  # mostly zero, and nothing in common
    assert explain.likeness(first, second) == pytest.approx(-1 / 9, abs=0.02)


def test_shuffled_weights_are_the_same_numbers_elsewhere():
    network = lenet(1, 8, 4, 3)
    other = explain.shuffled(network)
    first, second = network.layers.conv2.weight, other.layers.conv2.weight
    assert not torch.equal(first, second) and torch.equal(first.sort().values.ravel().sort().values, second.ravel().sort().values)


def test_an_attack_stays_within_epsilon_and_hurts():
    found = interpret.attacked(EXAMPLE, held(0), 0.3, 20)
    kind = int(found["chances_before"].argmax())
    assert found["chances_after"][kind] < found["chances_before"][kind]
    assert np.abs(found["before"].astype(int) - found["after"].astype(int)).max() <= round(0.3 * 127.5) + 1
    assert (interpret.attacked(EXAMPLE, held(0), 0.0, 1)["after"] == found["before"]).all()
    shown = predict.classify(EXAMPLE, found["after"][None])["chances"][0]
    assert np.allclose(shown, found["chances_after"], atol=1e-6)  # of the whole numbers that are shown


def test_every_method_explains_the_example_and_is_tested():
    found = interpret.explained(EXAMPLE, held(5))
    assert set(found["methods"]) == set(explain.METHODS)
    for facts in found["methods"].values():
        assert facts["map"].shape == (8, 8) and np.isfinite(facts["map"]).all()
        assert -1 <= facts["same"] <= 1 or (np.isnan(facts["same"]) and facts["blank"])
        assert facts["blank"] == (not np.ptp(facts["map"])) and facts["sum"] == pytest.approx(facts["map"].sum(), abs=1e-4)
        assert facts["deletion"][0] == pytest.approx(found["chances"][found["kind"]], abs=1e-5)
    other = interpret.explained(EXAMPLE, held(5), (found["kind"] + 1) % 10)
    assert not np.allclose(other["methods"]["Grad-CAM"]["map"], found["methods"]["Grad-CAM"]["map"])


def test_integrated_gradients_of_efficientnet_add_up_to_its_logit(cat):
    subject = anatomy.subject("")
    given = subject.given(cat)
    with torch.no_grad():
        rise = (subject.network(given) - subject.network(torch.zeros_like(given)))[0]
    kind = int(rise.argmax())
    assert float(explain.integrated_gradients(subject.network, given, kind, explain.PATH_STEPS).sum()) == pytest.approx(
        float(rise[kind]), rel=0.1
    )


def test_the_smallest_edit_that_flips_the_answer():
    """What is shown is what was asked: a picture of whole numbers that gets the other answer."""
    for picture in builtin("digits").held_out()[0][:24]:
        found = interpret.flipped(EXAMPLE, picture[None])
        chances = predict.classify(EXAMPLE, np.stack([picture, found["after"][0]]))["chances"]
        assert chances.argmax(1).tolist() == [found["said"], found["other"]] and found["other"] != found["said"]
        moved = np.abs(found["after"].astype(int) - picture.astype(int)).max()
        assert moved / 255 == pytest.approx(found["epsilon"]) and 0 < found["epsilon"] < 0.25
        assert (found["way"][0] == picture).all() and (found["way"][-1] == found["after"][0]).all()
        assert found["chances"][0].argmax() == found["said"] and found["chances"][-1].argmax() == found["other"]
    with pytest.raises(UserError, match="size"):
        interpret.flipped(EXAMPLE, np.zeros((1, 3, 9, 9), np.uint8))


def test_a_preview_of_augmentation():
    values = builtin("digits").values[:6]
    assert (interpret.previewed(values, "none") == values).all()
    shown = interpret.previewed(values, "shift and flip")
    assert shown.shape == values.shape and (shown != values).any()


def test_filters_switched_off_cost_accuracy():
    found = interpret.without_filters(EXAMPLE, "conv1", list(range(16)))
    assert np.mean(found["whole"]) > 0.97 and np.mean(found["without"]) < 0.3
    assert interpret.without_filters(EXAMPLE, "conv1", [])["without"] == found["whole"]


def test_grad_cam_looks_at_the_last_maps():
    assert maps_layer(lenet(1, 8, 4, 3)) == "pool2" and maps_layer(resnet(1, 28, 4, 3)) == "block3"


def test_the_explanations_are_those_of_captum():
    network = resnet(3, 32, 4, 5).eval()
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    layer = network.layers.block3
    theirs = LayerAttribution.interpolate(LayerGradCam(network, layer).attribute(picture, 2, relu_attributions=True), (32, 32), "bilinear")
    assert torch.allclose(explain.grad_cam(network, layer, picture, 2), theirs[0, 0].detach(), atol=1e-4)
    ours = explain.integrated_gradients(network, picture, 2, 50)
    wanted = IntegratedGradients(network).attribute(picture, torch.zeros_like(picture), 2, n_steps=50, method="gausslegendre")
    assert torch.allclose(ours, wanted[0].sum(0).detach().float(), atol=1e-4)


def test_a_large_network_is_explained_too(fresh_runs):
    """A new head: the maps are those of EfficientNet, the answer is the head's."""
    run = finished(HEAD, toy(count=24, size=32, colours=3, classes=2))
    picture = held(0, run.id)
    chances = predict.classify(run.id, picture[None])["chances"][0]
    layers = anatomy.layers(run.id, picture)
    assert layers[-1]["values"] == pytest.approx(chances, abs=1e-4) and layers[0]["shape"] == (3, 128, 128)
    attacked = interpret.attacked(run.id, picture, 0.1, 1)
    assert attacked["chances_before"] == pytest.approx(chances, abs=1e-4)
    off = interpret.without_filters(run.id, "head", list(range(1280)))
    assert off["whole"] != off["without"] and len(off["whole"]) == 2
