"""Real images to compare a distilled set with: as many of each class, chosen at random, by their
features, or by how hard they are to learn.

The choices are those of the field's tables (DC, Zhao et al. 2021: random, herding, k-center,
forgetting), made class by class. Herding and k-center compare a network's features by Euclidean
distance; both begin with the image nearest to the mean of its class. Forgetting and EL2N keep the
hardest images, as in their papers and those tables, though with few images per class the hardest
teach less than random ones (DC's table; Sorscher et al. 2022).

A new baseline is a function here, a name in `expert_baselines` and in `evaluate.against`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from datm_engine.data.prepared import Part
from datm_engine.distillation.initialization import random_images

# (features [n, d], how many) → indices of the chosen ones, in that order
Choose = Callable[[Tensor, int], Tensor]


def random_subset(train: Part, classes: int, ipc: int, seed: int) -> Part:
    """`ipc` random images of each class, or all that a smaller class has."""
    indices = random_images(train.labels, classes, ipc, seed).indices.to(train.images.device)
    return Part(train.images[indices], train.labels[indices])


def herding(features: Tensor, count: int) -> Tensor:
    """One after the other, the image that brings the mean of the chosen ones nearest to the mean
    of all; each at most once. Source: Welling 2009, in iCaRL's form (Rebuffi et al. 2017).

    features: [n, d]; returns indices [min(count, n)].
    """
    mean, lengths = features.mean(dim=0), features.square().sum(dim=1)
    total, free = torch.zeros_like(mean), torch.ones_like(lengths, dtype=torch.bool)
    chosen: list[int] = []
    for k in range(1, min(count, len(features)) + 1):
        wanted = k * mean - total  # ‖mean − (total + f)/k‖ is least where ‖wanted − f‖ is
        distances = lengths - 2 * features @ wanted
        chosen.append(int(distances.where(free, torch.inf).argmin()))
        total = total + features[chosen[-1]]
        free[chosen[-1]] = False
    return torch.tensor(chosen, device=features.device)


def k_center(features: Tensor, count: int) -> Tensor:
    """The image nearest to the mean of all, then one after the other the image farthest from the
    chosen ones. Source: the greedy rule of Sener & Savarese 2018, which leaves the start open.

    features: [n, d]; returns indices [min(count, n)].
    """
    chosen = [int(_distances(features, features.mean(dim=0)).argmin())]
    nearest = torch.full_like(features[:, 0], torch.inf)
    for _ in range(1, min(count, len(features))):
        nearest = nearest.minimum(_distances(features, features[chosen[-1]]))
        nearest[chosen[-1]] = -1.0  # below any distance: a twin of one chosen still comes before it
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=features.device)


def forgetting(right: Tensor) -> Tensor:
    """How often an image is classified correctly in an epoch and wrongly in the next.

    right: [epochs, n] booleans, whether an expert classified it correctly; returns [n] float32. An
    image that is never right counts as forgotten `epochs` times, which is more than any count and,
    unlike infinity, has a mean over experts. Source: Toneva et al. 2019.
    """
    events = (right[:-1] & ~right[1:]).sum(dim=0)
    return events.where(right.any(dim=0), len(right)).float()


def highest(scores: Tensor, labels: Tensor, classes: int, ipc: int) -> Tensor:
    """Indices of the `ipc` images with the highest scores of each class, class after class; of
    equal scores the first."""
    order = scores.argsort(descending=True, stable=True)
    return torch.cat([order[labels[order] == c][:ipc] for c in range(classes)])


def _distances(features: Tensor, centre: Tensor) -> Tensor:
    """[n], squared."""
    return (features - centre).square().sum(dim=1)
