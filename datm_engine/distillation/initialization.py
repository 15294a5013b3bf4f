"""Where the synthetic set starts: real images that experts classify correctly, random real
images, or noise; and labels that are the mean of the experts' logits, or one-hot.

Source: DATM §3.3. Its published code searches without end when too few images of a class
qualify; here such a class is filled up with random images and reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import DataError, Setting
from datm_engine.experts.held_out import lowest_held_out_epoch
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import ClassesFilledUp, Emit, Initialized, Noted
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from datm_engine.training.losses import hard_labels


@dataclass(frozen=True)
class ChosenImages:
    """indices: [classes × ipc] into the training images, class after class. qualified: how many of
    each class meet the criterion; the rest are random. Where there is no criterion, all do."""

    indices: Tensor
    qualified: tuple[int, ...]


def check_ipc(labels: Tensor, class_names: Sequence[str], ipc: int) -> None:
    """A DataError that names the smallest class if it has fewer than `ipc` images."""
    counts = labels.bincount(minlength=len(class_names))
    fewest = int(counts.argmin())
    if counts[fewest] < ipc:
        raise DataError(
            f"ipc {ipc} is more than class {class_names[fewest]} has: "
            f"{int(counts[fewest])} training images",
            Setting("ipc", int(counts[fewest])),
        )


def permuted_by_class(labels: Tensor, classes: int, seed: int) -> list[Tensor]:
    """For each class its images' indices in a seeded order, on the CPU."""
    by_class = [(labels.cpu() == c).nonzero().flatten() for c in range(classes)]
    return [
        members[torch.randperm(len(members), generator=generator(seed, "images of class", c))]
        for c, members in enumerate(by_class)
    ]


def random_images(labels: Tensor, classes: int, ipc: int, seed: int) -> ChosenImages:
    """`ipc` random images of each class."""
    chosen = [members[:ipc] for members in permuted_by_class(labels, classes, seed)]
    return ChosenImages(torch.cat(chosen), (ipc,) * classes)


def correct_images(
    network: FlatNetwork,
    experts: Iterator[Tensor],
    images: Tensor,
    labels: Tensor,
    classes: int,
    ipc: int,
    seed: int,
) -> ChosenImages:
    """Of each class the first `ipc` images, in a seeded order, that an expert classifies
    correctly. Classes that are still short after the first expert are
    continued with the next.

    `experts` yields flat weights (of one epoch) and is drawn from only as needed.
    """
    waiting = permuted_by_class(labels, classes, seed)
    chosen: list[list[int]] = [[] for _ in range(classes)]
    for theta in experts:
        untried = [members.tolist() for members in waiting]
        rejected: list[list[int]] = [[] for _ in range(classes)]
        while short := [c for c in range(classes) if len(chosen[c]) < ipc and untried[c]]:
            # Twice as many as are missing, of every class at once: predictions in large batches.
            chunks = {c: untried[c][: 2 * (ipc - len(chosen[c]))] for c in short}
            flat = torch.tensor([i for chunk in chunks.values() for i in chunk])
            at = flat.to(images.device)
            right = (network.predict(theta, images[at]).argmax(1) == labels[at]).tolist()
            is_correct = dict(zip(flat.tolist(), right, strict=True))
            for c, chunk in chunks.items():
                untried[c] = untried[c][len(chunk) :]
                for index in chunk:
                    is_chosen = is_correct[index] and len(chosen[c]) < ipc
                    (chosen if is_chosen else rejected)[c].append(index)
        if all(len(of_class) == ipc for of_class in chosen):
            break
        waiting = [torch.tensor(rejected[c] + untried[c]) for c in range(classes)]
    qualified = tuple(map(len, chosen))
    for c, of_class in enumerate(chosen):
        if len(of_class) < ipc:
            others = [i for i in waiting[c].tolist() if i not in of_class]
            of_class += others[: ipc - len(of_class)]
    return ChosenImages(torch.tensor([i for of_class in chosen for i in of_class]), qualified)


def initial_soft_labels(
    network: FlatNetwork, experts: Iterator[Tensor], images: Tensor, labels: Tensor
) -> Tensor:
    """[n, classes]: for each image the mean of the logits of those experts that classify it
    correctly; of all experts, where none does."""
    logits = torch.stack([network.predict(theta, images) for theta in experts])
    right = (logits.argmax(dim=2) == labels)[:, :, None]  # [experts, n, 1]
    counted = torch.where(right.any(dim=0), right, True).to(logits)
    return (counted * logits).sum(dim=0) / counted.sum(dim=0)


def _label_epoch(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    runtime: Runtime,
    *,
    emit: Emit,
) -> tuple[int, str]:
    """The experts' epoch that gives labels and correct images (`distill.label_epoch`), and the
    words that follow its number, such as " of 50"."""
    stated = config.distill.label_epoch
    is_used = config.distill.labels == "soft" or config.distill.images != "random"
    if stated == "last" or not is_used:
        return experts.epochs, ""
    if stated != "best":
        return stated, f" of {experts.epochs}"
    if not len(data.validation):
        text = (
            f"no images are held out, so labels come from the experts' last epoch "
            f"{experts.epochs} and not from the best (distill.label_epoch)"
        )
        emit(Noted(text=text))
        return experts.epochs, ""
    epoch = lowest_held_out_epoch(experts, config.experts.count, network, data.validation, runtime)
    return epoch, f" of {experts.epochs}, that of the lowest held-out loss"


def initial_set(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    runtime: Runtime,
    *,
    emit: Emit,
) -> SyntheticSet:
    """The synthetic set at iteration 0. Every class must have at least ipc images."""
    settings, train, classes = config.distill, data.train, data.classes
    count = config.experts.count
    epoch, of_epoch = _label_epoch(config, data, experts, network, runtime, emit=emit)

    def snapshots_of(count: int) -> Iterator[Tensor]:
        return (runtime.place(experts.snapshot(k, epoch)) for k in range(count))

    of_each = classes, settings.ipc, settings.seed
    if settings.images == "random":
        chosen = random_images(train.labels, *of_each)
    else:
        snapshots = snapshots_of(count)
        chosen = correct_images(network, snapshots, train.images, train.labels, *of_each)
    qualified = zip(data.class_names, chosen.qualified, strict=True)
    if short := [f"{name} {number}" for name, number in qualified if number < settings.ipc]:
        names = ", ".join(short[:5] + ["…"] * (len(short) > 5))
        emit(ClassesFilledUp(classes=len(short), of=classes, wanted=settings.ipc, names=names))
    indices = chosen.indices.to(runtime.device)  # [classes × ipc]
    images, class_numbers = train.images[indices], train.labels[indices]
    if settings.labels == "hard":
        labels, label_source = hard_labels(class_numbers, classes), "one-hot, fixed"
    else:
        labelled_by = 1 if settings.label_experts == "one" else count
        snapshots = snapshots_of(labelled_by)
        labels = initial_soft_labels(network, snapshots, images, class_numbers)
        who = "one expert" if labelled_by == 1 else f"{labelled_by} experts"
        label_source = f"logits of {who} at epoch {epoch}{of_epoch}"
    image_source = {
        "correct": "real images that experts classify correctly",
        "random": "random real images",
        "noise": "noise, labelled as the real images that it replaces",
    }[settings.images]
    if settings.images == "noise":
        images = torch.randn(images.shape, generator=generator(settings.seed, "noise"))
    emit(Initialized(images=len(images), image_source=image_source, label_source=label_source))
    return SyntheticSet(
        images=images.float().cpu(),
        labels=labels.float().cpu(),
        syn_lr=settings.syn_lr,
        preprocessing=data.preprocessing,
        dataset=config.dataset.name,
        class_names=data.class_names,
        iteration=0,
        augmentation=tuple(config.dataset.augmentation),
        config=config.model_dump(),
    )
