"""Batch normalisation for a function of weights alone: nothing moves while a network is trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datm_engine.networks.weights import FlatNetwork


class BatchNorm(nn.Module):
    """Normalize each channel of a batch [n, channels, height, width] to mean 0 and variance 1, then
    scale and shift it.

    In training the statistics are the batch's own, even of one image. In testing they are `mean`
    and `variance`, which `measure_statistics` takes from the training images after training.
    Running statistics would be changed by every step, which a step that is a function of its
    arguments cannot do; and they lag behind the weights that are tested.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, maps: Tensor) -> Tensor:
        if self.training:
            return F.batch_norm(maps, None, None, self.weight, self.bias, training=True)
        return F.batch_norm(maps, self.mean, self.variance, self.weight, self.bias)


def measure_statistics(
    network: FlatNetwork, theta: Tensor, images: Tensor, batch: int = 1000
) -> None:
    """Set the statistics of every batch normalization to those of its maps over all these images,
    as if they were one batch.

    images: [n, channels, height, width], without augmentation, as images are tested. Each layer
    takes a pass, as its maps depend on the statistics of the layers before it. The size of batches
    makes no difference. Source: the population statistics of Ioffe & Szegedy
    2015, §3.1, measured as in Wu & Johnson 2021 instead of being averaged while training.
    """
    was_training = network.module.training
    network.module.eval()
    for layer in network.module.modules():  # in the order in which they are applied
        if isinstance(layer, BatchNorm):
            _measure(layer, network, theta, images, batch)
    network.module.train(was_training)


def _measure(
    layer: BatchNorm, network: FlatNetwork, theta: Tensor, images: Tensor, batch: int
) -> None:
    means: list[Tensor] = []
    variances: list[Tensor] = []
    shares: list[float] = []

    def record(_: nn.Module, inputs: tuple[Tensor]) -> None:
        (maps,) = inputs  # [b, channels, height, width]
        variance, mean = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
        means.append(mean.cpu().double())  # some devices have no float64
        variances.append(variance.cpu().double())
        shares.append(len(maps) / len(images))

    hook = layer.register_forward_pre_hook(record)
    network.predict(theta, images, batch)
    hook.remove()
    share = torch.tensor(shares, dtype=torch.float64)
    mean = share @ torch.stack(means)  # [channels]
    # A mixture's variance: that within the batches, and that of their means.
    variance = share @ (torch.stack(variances) + (torch.stack(means) - mean).square())
    layer.mean.copy_(mean)
    layer.variance.copy_(variance)
