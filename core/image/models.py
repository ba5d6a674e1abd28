"""The networks: small ones that are trained from scratch, and a new head for EfficientNet. All map pictures to logits.

Each is a sequence of named layers, so that what flows between them can be looked at: `network.layers`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from core.image.config import HEAD, TUNED, ImageConfig


class Residual(nn.Module):
    """x plus two convolutions of x: what need not change passes by (He et al. 2016).  # (batch, channels, h, w) -> the same"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = convolution(channels, channels), convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> the same shape."""
        return x + self.second(self.first(x))


def convolution(inside: int, outside: int) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU.  # (batch, inside, h, w) -> (batch, outside, h, w)"""
    return nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU())


class Classifier(nn.Module):
    """Pictures in -1 to 1 -> logits.  # (batch, colours, size, size) -> (batch, classes)"""

    def __init__(self, layers: OrderedDict[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """(batch, colours, size, size) -> (batch, classes)."""
        return self.layers(pictures)


def lenet(colours: int, size: int, width: int, classes: int) -> Classifier:
    """In the style of LeNet-5 (LeCun et al. 1998), with ReLU and max pooling."""
    side = size // 4
    return Classifier(
        OrderedDict(
            conv1=nn.Conv2d(colours, width, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(width, 2 * width, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            hidden=nn.Linear(2 * width * side * side, 8 * width),
            relu3=nn.ReLU(),
            output=nn.Linear(8 * width, classes),
        )
    )


def vgg(colours: int, size: int, width: int, classes: int) -> Classifier:
    """Pairs of 3x3 convolutions, then pooling, as in VGG (Simonyan and Zisserman 2015)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inside = colours
    for stage, outside in enumerate((width, 2 * width, 4 * width) if size >= 16 else (width, 2 * width), 1):
        layers[f"conv{stage}a"] = convolution(inside, outside)
        layers[f"conv{stage}b"] = convolution(outside, outside)
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
        inside = outside
    layers |= OrderedDict(mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), output=nn.Linear(inside, classes))
    return Classifier(layers)


def resnet(colours: int, size: int, width: int, classes: int) -> Classifier:
    """Convolutions with shortcuts, in three resolutions; the strongest answer anywhere counts."""
    middle, last = width * 5 // 3, width * 8 // 3
    return Classifier(
        OrderedDict(
            conv1=convolution(colours, width),
            block1=Residual(width),
            conv2=convolution(width, width),
            pool1=nn.MaxPool2d(2),
            conv3=convolution(width, middle),
            block2=Residual(middle),
            pool2=nn.MaxPool2d(2),
            conv4=convolution(middle, last),
            block3=Residual(last),
            strongest=nn.AdaptiveMaxPool2d(1),
            flatten=nn.Flatten(),
            output=nn.Linear(last, classes),
        )
    )


def resnet_early(colours: int, size: int, width: int, classes: int) -> Classifier:
    """A ResNet that halves its maps before it widens them: most of its work is done on small maps (after He et al. 2016, Page 2018)."""
    half, middle, last = max(1, width // 2), 3 * width, width * 7 // 2
    return Classifier(
        OrderedDict(
            conv1=convolution(colours, half),
            conv2=convolution(half, width),
            pool1=nn.MaxPool2d(2),
            block1=Residual(width),
            conv3=convolution(width, middle),
            pool2=nn.MaxPool2d(2),
            block2=Residual(middle),
            conv4=convolution(middle, last),
            pool3=nn.MaxPool2d(2) if size >= 16 else nn.Identity(),
            block3=Residual(last),
            strongest=nn.AdaptiveMaxPool2d(1),
            flatten=nn.Flatten(),
            output=nn.Linear(last, classes),
        )
    )


def head(classes: int, features: int = 1280) -> Classifier:
    """A linear layer on the features of a network that is not trained.  # (batch, features) -> (batch, classes)

    It begins with zeros: with 1,280 features and few pictures, the luck of random weights would never be unlearned.
    """
    output = nn.Linear(features, classes)
    nn.init.zeros_(output.weight)
    nn.init.zeros_(output.bias)
    return Classifier(OrderedDict(norm=nn.BatchNorm1d(features, affine=False), output=output))


def whole(body: Any, after: Classifier | None = None) -> Classifier:
    """EfficientNet, layer by layer (Tan and Le 2019), with another network's layers on its features in place of its own last one.

    body: timm's network, whose layers are taken as they are.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(body.conv_stem, body.bn1))
    layers |= {f"block{n}": block for n, block in enumerate((block for stage in body.blocks for block in stage), 1)}
    layers |= OrderedDict(head=nn.Sequential(body.conv_head, body.bn2), mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    layers |= after.layers.named_children() if after else {"output": body.classifier}
    return Classifier(layers).eval()


def efficientnet(classes: int) -> Classifier:
    """EfficientNet-Lite0 without weights, for other classes: all of it learns on.  # (batch, 3, 128, 128) -> (batch, classes)"""
    import timm

    return whole(timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes))


def network_of(config: ImageConfig, shape: tuple[int, int, int], classes: int) -> Classifier:
    """The network that the settings ask for, for pictures of a shape (colours, size, size)."""
    if config.network == HEAD:
        return head(classes)
    if config.network == TUNED:
        return efficientnet(classes)
    kinds = {"LeNet": lenet, "VGG": vgg, "ResNet": resnet, "ResNet, early pooling": resnet_early}
    return kinds[config.network](shape[0], shape[1], config.width, classes)


def maps_layer(network: Classifier) -> str:
    """The last layer whose output is still a map: where Grad-CAM looks."""
    names = [name for name, layer in network.layers.named_children() if not isinstance(layer, (nn.Linear, nn.Flatten))]
    flat = [name for name, _ in network.layers.named_children()]
    before = flat.index("flatten")
    kept = [name for name in names if flat.index(name) < before and name not in {"mean", "strongest"}]
    return kept[-1]


def probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Softmax of logits over a temperature.  # (batch, classes)"""
    return F.softmax(logits / temperature, -1)
