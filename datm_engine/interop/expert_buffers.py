"""Import expert buffers of MTT, FTD, TESLA and DATM as experts that datm can match.

A replay_buffer_*.pt is a list of experts, each a list of epochs 0 … E, each a list of tensors in
the order of `net.parameters()`. Files are memory-mapped and written expert by expert.

Their ConvNet is ours: blocks of convolution (weight, bias) and affine normalization (weight, bias),
then the linear layer (weight, bias), which is the order of `Layout`. Two networks have the same
shapes and are other functions, so they are refused: those of grey images (their first convolution
pads by 3) and those with group normalization (theirs always has 4 groups).

A snapshot that equals the one before is refused too. On a CPU the published code keeps references
to the network's weights instead of copies, so that all snapshots of its buffers are the last one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datm_engine.compute.memory_errors import oom_as_error
from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import prepare
from datm_engine.errors import ConfigError, DatmError, FileError, Setting
from datm_engine.experts.imported import Origin, write_origin
from datm_engine.experts.train import expert_network
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import make_folder
from datm_engine.hints import HELP, datm
from datm_engine.interop.pickles import bad_file, read_pickle
from datm_engine.networks.weights import Layout
from datm_engine.networks.zoo import build
from datm_engine.runs.events import DatasetProgress, Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.settings.image_size import Shape

Shapes = Sequence[tuple[int, ...]]
CHECKED_IMAGES = 1000  # training images that an imported expert is tested on


def import_buffers(
    paths: Sequence[Path],
    name: str,
    config: Config,
    shape: Shape,
    experts_dir: Path,
    *,
    emit: Emit,
) -> tuple[ExpertSet, int]:
    """Returns the experts of all files, in order, and how many there are.

    They are stored in EXPERTS_DIR/NAME-FINGERPRINT. The fingerprint covers the files' content, and
    the dataset, preprocessing and network that they are taken to be of. Raises ConfigError for
    another network, FileError for a damaged file.
    """
    layout = _layout(config, shape)
    epochs = len(_read_buffer(paths[0])[0]) - 1
    origin = Origin(
        files=_digests(paths, emit),
        dataset=config.dataset.name,
        classes=shape.classes,
        preprocessing=config.dataset.preprocessing,
        zca_regularization=config.dataset.zca_regularization,
        network=config.network.model_dump(),
        epochs=epochs,
    )
    folder = experts_dir / f"{name}-{fingerprint(asdict(origin))}"
    experts = ExpertSet(folder, layout, epochs)
    count = 0
    known: dict[bytes, str] = {}  # digest of an expert → its file and number
    for path in paths:
        buffer = _read_buffer(path)
        for number, expert in enumerate(buffer):
            title = f"{path}: expert {number}"
            _check_motion(title, expert, config)
            if len(expert) != epochs + 1:
                wrong = f"{title} has {len(expert) - 1} epochs and the first one {epochs}"
                raise bad_file(path, wrong)
            # [epochs + 1, weights]
            snapshots = torch.stack([_flat(title, path, weights, layout) for weights in expert])
            equal = known.setdefault(hashlib.sha256(snapshots.numpy().data).digest(), title)
            if equal != title:
                wrong = f"{title} is the same as {equal}: experts differ in their random draws"
                raise _no_trajectory(wrong, config)
            make_folder(folder)  # after the first check of a network
            experts.save(count, snapshots, {"expert": str(count), "source": path.name})
            count += 1
            what = f"importing {path.name}"
            emit(DatasetProgress(what=what, done=number + 1, total=len(buffer)))
    write_origin(folder, origin, count)  # last: a folder without it is unfinished
    return experts, count


def check_accuracy(
    experts: ExpertSet, config: Config, data_dir: Path, runtime: Runtime, *, emit: Emit
) -> float | None:
    """The accuracy of the first expert, after its last epoch, on training images, in percent.

    A buffer does not state the order of classes or the whitening. With another one, experts
    classify at chance and matching them learns noise, so a low accuracy is reported. Returns None,
    and reports why, if the dataset cannot be loaded.
    """
    try:
        with oom_as_error(f"the images of {config.dataset.name}", HELP):
            data = prepare(config.dataset, data_dir, runtime, emit=emit)
    except DatmError as problem:
        emit(Noted(text=f"the experts' accuracy is not checked: {problem.message}"))
        return None
    draws = generator(config.dataset.seed, "images to check experts on")
    chosen = torch.randperm(len(data.train), generator=draws)[:CHECKED_IMAGES]
    network = expert_network(config, data, seed=0, runtime=runtime)  # its own weights are unused
    theta = runtime.place(experts.snapshot(0, experts.epochs))  # [weights]
    # Waits for the device.
    accuracy = network.accuracy(theta, data.train.images[chosen], data.train.labels[chosen])
    if accuracy < lowest_plausible(data.classes):
        text = (
            f"expert 0 classifies {accuracy:.1f}% of {len(chosen):,} training images of "
            f"{data.name} correctly after its last epoch, and chance is {100 / data.classes:.1f}%: "
            "its buffer may be of another dataset, another order of classes or another whitening "
            "(settings: dataset.name, dataset.preprocessing)"
        )
        emit(Noted(text=text))
    return accuracy


def lowest_plausible(classes: int) -> float:
    """Twice the accuracy of chance, in percent, or halfway from chance to 100 if that is less."""
    chance = 100 / classes
    return min(2 * chance, (chance + 100) / 2)


def _digests(paths: Sequence[Path], emit: Emit) -> dict[str, str]:
    """File name → sha256 of the content. Files of the same name are numbered."""
    names: dict[str, str] = {}  # digest → name
    for done, path in enumerate(paths):
        emit(DatasetProgress(what="reading buffers", done=done, total=len(paths)))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in names:
            same = paths[list(names).index(digest)]
            raise ConfigError(f"{path} has the same content as {same}: name one of them", HELP)
        alike = [other.name for other in paths].count(path.name)
        number = [other.name for other in paths[:done]].count(path.name) + 1
        names[digest] = path.name if alike == 1 else f"{path.name} ({number})"
    return {name: digest for digest, name in names.items()}


def _layout(config: Config, shape: Shape) -> Layout:
    """Our network's weights. Raises ConfigError where theirs would be another function."""
    if shape.channels != 3:
        raise ConfigError(
            "buffers of grey images cannot be used: their network pads its first convolution by 3, "
            "and ours by 1",
            datm("experts", dataset=config.dataset.name),
        )
    if config.network.norm == "group":
        wrong = 'network.norm = "group" has 4 groups in buffers, and others here'
        raise ConfigError(wrong, Setting("network.norm", "instance"))
    if shape.height is None or shape.width is None:
        raise ConfigError("images of several sizes need one", Setting("resolution", 32))
    options = config.network.model_dump(exclude={"architecture"})
    size = (shape.height, shape.width)
    module = build(
        "convnet", channels=shape.channels, size=size, classes=shape.classes, seed=0, **options
    )
    return Layout.of(module)


def _read_buffer(path: Path) -> list[Any]:
    buffer = read_pickle(path, mapped=True)
    if (
        not isinstance(buffer, list)
        or not buffer
        or not all(isinstance(expert, list) and len(expert) > 1 for expert in buffer)
    ):
        raise bad_file(path, f"{path} is no list of experts, each a list of epochs")
    return buffer


def _check_motion(title: str, expert: list[Any], config: Config) -> None:
    """Raises FileError if a snapshot equals the one before. Runs before the check of shapes."""
    still = [
        epoch
        for epoch, (before, after) in enumerate(pairwise(expert), start=1)
        # Whether they are lists of tensors is checked later.
        if all(isinstance(weights, list | tuple) and weights for weights in (before, after))
        and len(before) == len(after)
        and all(
            isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
            for one, other in zip(before, after, strict=True)
        )
    ]
    if not still:
        return
    what = f"the snapshot of epoch {still[0]} is the same as that of epoch {still[0] - 1}"
    if len(still) == len(expert) - 1:
        what = f"all {len(expert)} snapshots are the same"
    raise _no_trajectory(
        f"{title} does not move: {what}, so there is no trajectory to match; the published code "
        "writes this on a CPU, where it keeps references to the weights and not copies",
        config,
    )


def _no_trajectory(wrong: str, config: Config) -> FileError:
    return FileError(wrong, datm("experts", dataset=config.dataset.name))


def _flat(title: str, path: Path, weights: Any, layout: Layout) -> Tensor:
    """A snapshot as [weights] float32, with every tensor checked against our network's."""
    if not isinstance(weights, list | tuple) or not all(isinstance(w, Tensor) for w in weights):
        raise bad_file(path, f"{title} is no list of tensors an epoch")
    shapes = tuple(tuple(tensor.shape) for tensor in weights)
    if shapes != layout.shapes:
        pairs = zip(shapes, layout.shapes, strict=False)
        first = next((i for i, (theirs, ours) in enumerate(pairs) if theirs != ours), None)
        if first is None:
            found = f"{len(shapes)} tensors, and the network {len(layout.shapes)}"
        else:
            ours = f"{layout.names[first]} {layout.shapes[first]}"
            found = f"{shapes[first]} where the network has {ours}"
        wrong = f"{title} is of another network: it has {found}"
        raise ConfigError(wrong, _fitting_setting(shapes, layout.shapes))
    # [out, in, 3, 3], [out], … → [weights], in the order of the network's parameters
    flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in weights])
    if not bool(torch.isfinite(flat).all()):
        raise bad_file(path, f"{title} holds weights that are not finite")
    return flat


def _fitting_setting(theirs: Shapes, ours: Shapes) -> Setting:
    """The setting that makes our network theirs, as far as the shapes show it."""
    # The first weight is the first convolution's: [width, channels, 3, 3].
    if theirs and theirs[0] and theirs[0][0] != ours[0][0]:
        return Setting("network.width", theirs[0][0])
    if _has_norm(theirs) != _has_norm(ours):
        return Setting("network.norm", "instance" if _has_norm(theirs) else "none")
    if len(theirs) != len(ours):
        # A block has weight and bias of the convolution and of the normalization, if it has one.
        return Setting("network.depth", max(1, (len(theirs) - 2) // (4 if _has_norm(ours) else 2)))
    return HELP


def _has_norm(shapes: Shapes) -> bool:
    """The third tensor is the weight of a normalization [channels], or of a convolution."""
    return len(shapes) > 2 and len(shapes[2]) == 1
