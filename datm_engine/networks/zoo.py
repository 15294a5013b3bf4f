"""The networks a distilled set is scored by, built by name for any small image.

Source: the versions of DC and MTT that the field's tables compare. Ours differ where theirs have
no answer: pooling and strides stop before a map is too small, so that 8×8 images pass too.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from datm_engine.compute.runtime import Runtime
from datm_engine.errors import ConfigError, Setting
from datm_engine.networks.convnet import ConvNet, Size, normalization
from datm_engine.networks.resnet import ResNet18
from datm_engine.networks.vit import VisionTransformer
from datm_engine.networks.weights import FlatNetwork
from datm_engine.settings.config import NetworkConfig

NAMES = ("convnet", "convnetbn", "mlp", "lenet", "alexnet", "vgg11", "resnet18", "vit")
HIDDEN = 128  # units in each of the MLP's two hidden layers
VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))  # its convolutions, stage by stage


def build(
    name: str,
    *,
    channels: int,
    size: Size,
    classes: int,
    seed: int,
    width: int = 128,
    depth: int = 3,
    norm: str = "instance",
) -> nn.Module:
    """A freshly initialised network on the CPU: images [n, channels, *size] → logits [n, classes].

    The weights depend on `seed` alone; the caller's random state is neither used nor moved.
    `width` and `depth` are the ConvNets'; `norm` is the ConvNet's, VGG-11's and ResNet-18's
    (convnetbn normalises batches; the others take none). Raises ConfigError for an unknown name
    or an impossible shape.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # torch.manual_seed would also seed every accelerator, whose state is not put back.
        torch.default_generator.manual_seed(seed)
        match name:
            case "convnet" | "convnetbn":
                norm = "batch" if name == "convnetbn" else norm
                return ConvNet(channels, size, classes, width=width, depth=depth, norm=norm)
            case "mlp":
                return _Layers(channels, size).classify(HIDDEN, HIDDEN, classes)
            case "lenet":
                return _lenet(channels, size, classes)
            case "alexnet":
                return _alexnet(channels, size, classes)
            case "vgg11":
                return _vgg11(channels, size, classes, norm)
            case "resnet18":
                return ResNet18(channels, size, classes, norm=norm)
            case "vit":
                return VisionTransformer(channels, size, classes)
    raise ConfigError(
        f"network {name!r} is not one of {', '.join(NAMES)}",
        Setting("evaluate.networks", ["convnet"]),
    )


def build_flat(
    name: str,
    settings: NetworkConfig,
    shape: tuple[int, int, int],
    classes: int,
    seed: int,
    runtime: Runtime,
) -> FlatNetwork:
    """A network of `build` on the device, as a function of flat weights. shape: channels, height,
    width."""
    channels, height, width = shape
    options = settings.model_dump(exclude={"architecture"})  # the ConvNets' width and depth; norm
    module = build(
        name, channels=channels, size=(height, width), classes=classes, seed=seed, **options
    )
    return FlatNetwork(module.to(runtime.device, runtime.dtype), runtime.compute)


def _lenet(channels: int, size: Size, classes: int) -> nn.Sequential:
    """LeNet-5 with max-pooling; each convolution is padded where the image would not last."""
    layers = _Layers(channels, size)
    layers.convolution(6, 5, stride=_first_stride(size), padding=2 if min(size) < 32 else 0)
    layers.pool()
    layers.convolution(16, 5, padding=2 if min(layers.size) < 6 else 0)
    layers.pool()
    return layers.classify(120, 84, classes)


def _alexnet(channels: int, size: Size, classes: int) -> nn.Sequential:
    layers = _Layers(channels, size)
    layers.convolution(128, 5, stride=_first_stride(size), padding=2 + _border(size))
    layers.pool()
    layers.convolution(192, 5, padding=2)
    layers.pool()
    for width in (256, 192, 192):
        layers.convolution(width, 3, padding=1)
    layers.pool()
    return layers.classify(classes)


def _vgg11(channels: int, size: Size, classes: int, norm: str) -> nn.Sequential:
    layers = _Layers(channels, size)
    border = _border(size)
    for stage, widths in enumerate(VGG11):
        for width in widths:
            layers.convolution(width, 3, padding=1 + border, norm=norm)
            border = 0
        # Instance normalisation of 1×1 maps leaves only its bias: as long as one is to come,
        # maps keep 2 pixels a side.
        layers.pool(smallest=1 if stage == len(VGG11) - 1 else 2)
    return layers.classify(classes)


def _first_stride(size: Size) -> int:
    """From 64 pixels on, the first convolution of LeNet and AlexNet takes every other one."""
    return 2 if min(size) >= 64 else 1


def _border(size: Size) -> int:
    """Extra padding of the first convolution: MNIST's 28 pixels become 32, as published."""
    return 2 if size == (28, 28) else 0


class _Layers:
    """Layers in their order, and the channels and size of the maps they end in."""

    def __init__(self, channels: int, size: Size) -> None:
        self.channels = channels
        self.size = size
        self.modules: list[nn.Module] = []

    def convolution(
        self, width: int, kernel: int, *, stride: int = 1, padding: int, norm: str = "none"
    ) -> None:
        self.modules.append(nn.Conv2d(self.channels, width, kernel, stride, padding))
        rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in self.size)
        self.channels, self.size = width, (rows, columns)
        if norm != "none":
            self.modules.append(normalization(norm, width, self.size))
        self.modules.append(nn.ReLU())

    def pool(self, smallest: int = 1) -> None:
        """Halve the maps by their maxima, unless that leaves fewer than `smallest` pixels."""
        if min(self.size) // 2 >= smallest:
            self.modules.append(nn.MaxPool2d(2))
            self.size = (self.size[0] // 2, self.size[1] // 2)

    def classify(self, *widths: int) -> nn.Sequential:
        """Linear layers of these widths on the flattened maps, ReLU between them."""
        self.modules.append(nn.Flatten())
        units = self.channels * math.prod(self.size)
        for number, width in enumerate(widths):
            if number > 0:
                self.modules.append(nn.ReLU())
            self.modules.append(nn.Linear(units, width))
            units = width
        return nn.Sequential(*self.modules)
