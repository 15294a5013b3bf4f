"""DD-Ranking's scores, beside values computed by hand."""

from __future__ import annotations

import math

import pytest

from datm_engine.evaluation.scores import (
    augmentation_robust_score,
    hard_label_recovery,
    improvement_over_random,
    label_robust_score,
)


def test_scores_of_a_distilled_set() -> None:
    hlr = hard_label_recovery(real=0.85, synthetic=0.55)
    ior = improvement_over_random(synthetic=0.67, random=0.47)
    assert (hlr, ior) == (pytest.approx(0.30), pytest.approx(0.20))
    # 0.5 · 0.20 − 0.5 · 0.30 = −0.05; (e^−0.05 − e^−1) / (e − e^−1) = 0.583350 / 2.350402
    assert label_robust_score(hlr=hlr, ior=ior) == pytest.approx(0.248192, abs=1e-6)
    # 0.5 · 0.20 + 0.5 · 0.10 = 0.15; (e^0.15 − e^−1) / (e − e^−1) = 0.793955 / 2.350402
    assert augmentation_robust_score(augmented=0.2, plain=0.1) == pytest.approx(0.337795, abs=1e-6)


def test_the_ends_and_the_middle_of_the_scale() -> None:
    assert label_robust_score(hlr=1, ior=-1) == 0
    assert label_robust_score(hlr=-1, ior=1) == pytest.approx(1)
    assert label_robust_score(hlr=0, ior=0) == pytest.approx(
        (1 - 1 / math.e) / (math.e - 1 / math.e)
    )
    assert augmentation_robust_score(augmented=-1, plain=-1) == 0


def test_weights_move_a_score_towards_one_of_its_parts() -> None:
    only_ior = label_robust_score(hlr=0.9, ior=0.2, weight=1.0)
    assert only_ior == label_robust_score(hlr=0.1, ior=0.2, weight=1.0)
    assert only_ior > label_robust_score(hlr=0.9, ior=0.2)
    assert augmentation_robust_score(augmented=0.4, plain=0.0, weight=0.9) > (
        augmentation_robust_score(augmented=0.4, plain=0.0)
    )


def test_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="percent / 100"):
        hard_label_recovery(real=85.0, synthetic=55.0)
    with pytest.raises(ValueError, match="percent / 100"):
        improvement_over_random(synthetic=0.6, random=47.0)
