"""Files as other codes write them: by plain torch.save, in their layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datm_engine.data.preprocessing import Normalization
from datm_engine.synthetic import SyntheticSet

CLASSES, IPC = 3, 2


def official_images(size: int = 8) -> Tensor:
    return torch.randn(CLASSES * IPC, 3, size, size, generator=torch.Generator().manual_seed(1))


def official_logits() -> Tensor:
    return 5 * torch.randn(CLASSES * IPC, CLASSES, generator=torch.Generator().manual_seed(2))


def hard() -> Tensor:
    """As DC and MTT make them."""
    rows = [np.ones(IPC) * i for i in range(CLASSES)]
    return torch.tensor(np.array(rows), dtype=torch.long).view(-1)


def write_datm(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    parts = {
        "images_best.pt": official_images(),
        "labels_best.pt": official_logits(),
        "lr_best.pt": torch.tensor(0.0123),
    }
    for name, tensor in parts.items():
        torch.save(tensor, folder / name)
    return [folder / name for name in parts]


def write_mtt(folder: Path, prefix: str = "") -> list[Path]:
    folder.mkdir(exist_ok=True)
    torch.save(official_images(), folder / f"{prefix}images_5000.pt")
    torch.save(hard(), folder / "labels_5000.pt")
    return [folder / f"{prefix}images_5000.pt", folder / "labels_5000.pt"]


def write_dc(folder: Path, sets: int = 2) -> Path:
    """Its accuracies are numpy's numbers."""
    folder.mkdir(exist_ok=True)
    path = folder / "res_DC_CIFAR10_ConvNet_2ipc.pt"
    data = [[official_images() + number, hard()] for number in range(sets)]
    accuracies = {"ConvNet": [np.float64(0.28), np.float64(0.29)]}
    torch.save({"data": data, "accs_all_exps": accuracies}, path)
    return path


class OfficialConvNet(nn.Module):
    """As in the published codes: conv, GroupNorm (a group a channel), ReLU, pool; linear."""

    def __init__(self, width: int, depth: int, size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for _ in range(depth):
            layers += [
                nn.Conv2d(channels, width, kernel_size=3, padding=1),
                nn.GroupNorm(width, width, affine=True),
                nn.ReLU(inplace=True),
                nn.AvgPool2d(kernel_size=2, stride=2),
            ]
            channels, size = width, size // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * size * size, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.features(x)
        return self.classifier(out.view(out.size(0), -1))


def official_buffer(
    path: Path,
    *,
    experts: int = 2,
    epochs: int = 4,
    width: int = 4,
    size: int = 8,
    depth: int = 2,
    seed: int = 0,
) -> list[list[OfficialConvNet]]:
    """Write a buffer as buffer.py does, of networks whose every weight is random; the networks,
    expert by expert and epoch by epoch."""
    torch.manual_seed(seed)
    networks, trajectories = [], []
    for _ in range(experts):
        own = [OfficialConvNet(width, depth, size, CLASSES) for _ in range(epochs + 1)]
        for network in own:
            for parameter in network.parameters():
                nn.init.normal_(parameter, std=0.3)
        networks.append(own)
        trajectories.append([[p.detach().cpu() for p in n.parameters()] for n in own])
    torch.save(trajectories, path)
    return networks


@pytest.fixture
def make_set() -> Callable[..., SyntheticSet]:
    """A set in memory, of any class names and dataset."""

    def make(
        *,
        dataset: str = "cifar10",
        channels: int = 3,
        names: tuple[str, ...] = ("cat", "dog", "ox"),
    ) -> SyntheticSet:
        images = torch.linspace(-2, 2, CLASSES * IPC * channels * 64)
        mean = torch.full((channels,), 0.5)
        return SyntheticSet(
            images=images.reshape(CLASSES * IPC, channels, 8, 8),
            labels=official_logits(),
            syn_lr=0.02,
            preprocessing=Normalization(mean, torch.full((channels,), 0.2)),
            dataset=dataset,
            class_names=names,
            iteration=7,
            augmentation=("color", "flip"),
        )

    return make
