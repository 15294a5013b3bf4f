"""Every network at every shape a dataset here has: outputs, gradients, weights and seeds."""

from __future__ import annotations

import pytest
import torch

from datm_engine.errors import ConfigError
from datm_engine.networks import zoo

SHAPES = {
    "8×8 grey": (1, (8, 8), 2),
    "28×28 grey": (1, (28, 28), 3),
    "32×32 colour": (3, (32, 32), 3),
    "64×64 colour": (3, (64, 64), 4),
    "24×40 colour": (3, (24, 40), 3),
}


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", zoo.NAMES)
def test_every_network_takes_every_shape_and_learns_from_it(name: str, shape: str) -> None:
    channels, size, depth = SHAPES[shape]
    network = zoo.build(
        name, channels=channels, size=size, classes=7, width=16, depth=depth, seed=0
    )
    images = torch.randn(4, channels, *size, generator=torch.Generator().manual_seed(0))

    logits = network(images.requires_grad_())
    assert logits.shape == (4, 7)
    assert not torch.allclose(logits[0], logits[1]), "the image makes no difference"

    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for label, parameter in network.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.isfinite().all(), label
        if parameter.ndim > 1:  # a bias before a normalisation has gradient 0
            assert parameter.grad.abs().max() > 0, label
    assert images.grad is not None
    assert images.grad.abs().max() > 0


@pytest.mark.parametrize("norm", ["instance", "layer", "group", "none"])
@pytest.mark.parametrize("name", ["convnet", "vgg11", "resnet18"])
def test_networks_with_a_norm_take_each_kind(name: str, norm: str) -> None:
    network = zoo.build(
        name, channels=3, size=(16, 16), classes=5, width=16, depth=2, norm=norm, seed=0
    )
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "classes", "size", "depth", "expected"),
    [
        ("convnet", 10, 32, 3, 320_010),
        ("convnet", 100, 32, 3, 504_420),
        ("convnet", 200, 64, 4, 857_160),
        ("lenet", 10, 32, 3, 62_006),
        ("vgg11", 10, 32, 3, 9_231_114),
        ("resnet18", 10, 32, 3, 11_173_962),
    ],
)
def test_parameter_counts_are_the_published_ones(
    name: str, classes: int, size: int, depth: int, expected: int
) -> None:
    network = zoo.build(name, channels=3, size=(size, size), classes=classes, depth=depth, seed=0)
    assert parameters(network) == expected


def test_lenet_and_alexnet_see_mnist_as_if_it_had_32_pixels() -> None:
    lenet = zoo.build("lenet", channels=1, size=(28, 28), classes=10, seed=0)
    assert parameters(lenet) == 61_706
    grey = zoo.build("alexnet", channels=1, size=(28, 28), classes=10, seed=0)
    color = zoo.build("alexnet", channels=3, size=(32, 32), classes=10, seed=0)
    assert parameters(color) - parameters(grey) == 128 * 2 * 5 * 5


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_seed_alone_decides_the_weights(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        network = zoo.build(name, channels=1, size=(8, 8), classes=3, depth=2, seed=seed)
        return torch.cat([p.flatten() for p in network.parameters()])

    torch.manual_seed(1)
    first = weights(5)
    torch.manual_seed(2)
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)


def test_building_leaves_the_callers_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    zoo.build("lenet", channels=1, size=(8, 8), classes=3, seed=0)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.gpu
def test_building_leaves_an_accelerators_random_state_alone() -> None:
    before = torch.cuda.get_rng_state()
    with torch.device("cuda"):
        network = zoo.build("lenet", channels=1, size=(8, 8), classes=3, seed=0)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert {p.device.type for p in network.parameters()} == {"cpu"}


def test_an_unknown_network_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'resnet50' is not one of convnet, convnetbn, mlp"):
        zoo.build("resnet50", channels=3, size=(32, 32), classes=10, seed=0)
