"""When experts are trained enough (`experts.early_stop`): a rule over the first expert's losses.

Both of these end the training:

- The held-out loss has not been lower for `PATIENCE` epochs, and for half of the epochs up to its
  lowest value.
- The epochs that `window_rules` may choose for as many synthetic images, or for `SHARED` if there
  are fewer, are covered.

The rule knows what is stated before training, so that it can be part of the experts' fingerprint.
The number of epochs that it leads to cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datm_engine.settings.derived.window_rules import (
    MOST_OF_EPOCHS,
    epoch_of,
    progress,
    published_window,
    reached,
    segment_epochs,
)

# Epochs without a lower held-out loss. Fewer end the training by chance where few images are held
# out: docs/unpublished.md.
PATIENCE = 10
PATIENCE_SHARE = 0.5  # and as many as this share of the epochs up to the lowest
SHARED = 1000  # synthetic images; experts are the same for all sets of up to as many


@dataclass(frozen=True)
class EarlyStop:
    """images: synthetic images in all. steps: of an expert's epoch. most: epochs of an expert."""

    images: int
    steps: int
    most: int

    @property
    def share(self) -> float:
        """The share of the training loss's whole fall that lies before the published T⁺."""
        return reached(published_window(max(self.images, SHARED))[1])

    def facts(self) -> dict[str, Any]:
        """What the number of epochs follows from, besides the losses."""
        return {
            "patience": PATIENCE,
            "patience_share": PATIENCE_SHARE,
            "share": round(self.share, 6),
        }

    def is_enough(self, loss: Sequence[float], held_out_loss: Sequence[float]) -> bool:
        """Whether training may end after epoch E. Both: [E + 1]; loss: of training images without
        augmentation."""
        epochs = len(loss) - 1
        best = best_epoch(held_out_loss)
        if epochs - best < max(PATIENCE, PATIENCE_SHARE * best):
            return False
        learned = progress(loss, self.most)
        segment = segment_epochs(self.steps, self.most)  # M
        # T⁺ is exclusive, so T⁺ − 1 + M is the last epoch that is matched.
        needed = epoch_of(learned, self.share) - 1 + segment
        return learned[-1] >= self.share and epochs >= max(needed, MOST_OF_EPOCHS * segment)


def estimated_epochs(epochs: int, images: int) -> int:
    """How many of at most `epochs` experts of so many training images will have.

    Between what was measured: 35 and 37 epochs for 960 images of CIFAR-10 and Tiny-ImageNet, 99 for
    9,600 of CIFAR-10 (docs/unpublished.md).
    """
    return max(1, min(epochs, round(36 * (images / 960) ** 0.44)))


def best_epoch(held_out_loss: Sequence[float]) -> int:
    """The epoch of the lowest loss, from 1 on: epoch 0 has learned nothing. held_out_loss:
    [E + 1]."""
    return min(range(1, len(held_out_loss)), key=held_out_loss.__getitem__)
