"""The benchmark of early stops asks for runs that differ in their experts and labels alone."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.early_stop import SAME, WAYS, entropy
from datm_engine.settings import presets
from datm_engine.settings.config import build, differences, overlay, parse_assignments


@pytest.mark.parametrize("way", WAYS)
def test_a_way_differs_in_experts_and_labels_alone(way: str) -> None:
    preset = overlay(presets.load("digits-ipc10"), {"experts": {"epochs": 30}})
    plain = build(overlay(preset, parse_assignments(SAME)), "here")
    config = build(overlay(preset, parse_assignments((*SAME, *WAYS[way]))), "here")
    assert set(differences(plain, config)) <= {"experts.early_stop", "distill.label_epoch"}


def test_the_entropy_of_labels_is_in_nats() -> None:
    logits = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    assert entropy(logits) == pytest.approx(math.log(2) / 2, abs=1e-5)
