"""Fixed windows over a third of the experts' start epochs each."""

from __future__ import annotations

import pytest

from datm_engine.errors import ConfigError, Setting
from datm_engine.settings.derived.window_rules import THIRDS, third

# Epochs and M; then the start epochs of each third, 0 … epochs − M shared out among them.
BY_THIRDS: dict[tuple[int, int], tuple[range, range, range]] = {
    (100, 2): (range(0, 33), range(33, 66), range(66, 99)),
    (50, 3): (range(0, 16), range(16, 32), range(32, 48)),
    (30, 2): (range(0, 9), range(9, 19), range(19, 29)),
    (5, 2): (range(0, 1), range(1, 2), range(2, 4)),
    (3, 1): (range(0, 1), range(1, 2), range(2, 3)),
}


@pytest.mark.parametrize(("epochs", "apart"), list(BY_THIRDS))
def test_thirds_of_the_experts_epochs(epochs: int, apart: int) -> None:
    found = {which: third(epochs, apart, which) for which in THIRDS}
    expected = dict(zip(THIRDS, BY_THIRDS[epochs, apart], strict=True))
    for which, (lower, initial, final) in found.items():
        assert range(lower, final) == expected[which]
        assert initial == final, "the window does not grow"
    assert found["late"][2] - 1 + apart == epochs, "the last epoch is matched, and none beyond it"


def test_too_few_epochs_for_thirds_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few start epochs") as error:
        third(3, 2, "early")
    assert error.value.fix == Setting("experts.epochs", 4)
    assert third(4, 2, "late") == (2, 3, 3)
