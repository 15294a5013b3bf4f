"""Expert buffers of MTT, FTD, TESLA and DATM as experts that datm can match.

A replay_buffer_*.pt is a list of experts, each a list of epochs 0 … E, each a list of tensors in
`net.parameters()` order. They are read from a mapped file and written expert by expert.

Their ConvNet is ours: blocks of convolution (weight, bias) and affine normalisation (weight, bias),
then the linear layer (weight, bias), so that the order is `Layout`'s. Where the same shapes would
be another function, they are refused: grey images (their first convolution pads by 3) and group
normalisation (always 4 groups there).

A snapshot that equals the one before it is refused. On a CPU the published code keeps references to
the network's weights instead of copies, so that all snapshots of its buffers are the last one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datm_engine.errors import ConfigError, FileError
from datm_engine.experts.imported import FORMAT, Origin, state
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import make_folder
from datm_engine.hints import HELP, command
from datm_engine.interop import pickles
from datm_engine.networks.weights import Layout
from datm_engine.networks.zoo import build
from datm_engine.runs.events import DatasetProgress, Emit
from datm_engine.settings.config import Config
from datm_engine.settings.image_size import Shape

Shapes = Sequence[tuple[int, ...]]


def import_buffers(
    paths: Sequence[Path],
    name: str,
    config: Config,
    shape: Shape,
    experts_dir: Path,
    *,
    emit: Emit,
) -> tuple[ExpertSet, int]:
    """The experts of all files, in their order, as the set EXPERTS_DIR/NAME-FINGERPRINT, and how
    many there are. The fingerprint is of the files' content and of what they are taken to be:
    the dataset, its preprocessing and the network.

    Raises ConfigError for a network that is not theirs, FileError for a damaged or unfit file.
    """
    layout = _layout(config, shape)
    epochs = _epochs(paths[0])
    digests: list[str] = []
    for done, path in enumerate(paths):
        emit(DatasetProgress(what="reading buffers", done=done, total=len(paths)))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in digests:
            same = paths[digests.index(digest)]
            raise ConfigError(f"{path} has the same content as {same}: name one of them", HELP)
        digests.append(digest)
    origin = Origin(
        format=FORMAT,
        files=dict(zip(_names(paths), digests, strict=True)),
        dataset=config.dataset.name,
        classes=shape.classes,
        preprocessing=config.dataset.preprocessing,
        zca_regularization=config.dataset.zca_regularization,
        network=config.network.model_dump(),
        epochs=epochs,
    )
    folder = experts_dir / f"{name}-{fingerprint(origin.facts())}"
    experts = ExpertSet(folder, layout, epochs)
    count = 0
    known: dict[bytes, str] = {}  # digest of an expert → where it is
    for path in paths:
        buffer = _read(path)
        for number, expert in enumerate(buffer):
            where = f"{path}: expert {number}"
            _check_motion(where, expert, config)
            snapshots = _snapshots(where, path, expert, layout, epochs)
            equal = known.setdefault(hashlib.sha256(snapshots.numpy().data).digest(), where)
            if equal != where:
                wrong = f"{where} is the same as {equal}: experts differ in their random draws"
                raise _unusable(wrong, config)
            make_folder(folder)  # now that the network is known to be theirs
            experts.save(count, snapshots, {"expert": str(count), "source": path.name})
            count += 1
            what = f"importing {path.name}"
            emit(DatasetProgress(what=what, done=number + 1, total=len(buffer)))
    state(folder, origin, count)  # last: a folder without it was never finished
    return experts, count


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names, numbered where files of several folders have the same one."""
    names = [path.name for path in paths]
    return [
        name if names.count(name) == 1 else f"{name} ({names[:place].count(name) + 1})"
        for place, name in enumerate(names)
    ]


def _layout(config: Config, shape: Shape) -> Layout:
    if shape.channels != 3:
        raise ConfigError(
            "buffers of grey images cannot be used: their network pads its first convolution by 3, "
            "and ours by 1",
            command("datm", "experts", "--dataset", config.dataset.name),
        )
    if config.network.norm == "group":
        wrong = 'network.norm = "group" has 4 groups in buffers, and others here'
        raise ConfigError(wrong, "--set network.norm=instance")
    if shape.height is None or shape.width is None:
        raise ConfigError("images of several sizes need one", "--resolution 32")
    settings = config.network
    module = build(
        settings.architecture,
        channels=shape.channels,
        size=(shape.height, shape.width),
        classes=shape.classes,
        width=settings.width,
        depth=settings.depth,
        norm=settings.norm,
        seed=0,
    )
    return Layout.of(module)


def _epochs(path: Path) -> int:
    return len(_read(path)[0]) - 1


def _read(path: Path) -> list[Any]:
    buffer = pickles.read(path, mapped=True)
    if not isinstance(buffer, list) or not buffer or not all(_is_expert(e) for e in buffer):
        raise _unfit(path, f"{path} is no list of experts, each a list of epochs")
    return buffer


def _is_expert(expert: Any) -> bool:
    return isinstance(expert, list) and len(expert) > 1


def _check_motion(where: str, expert: list[Any], config: Config) -> None:
    """Raises FileError where a snapshot equals the one before it. Runs before the check of shapes,
    which is about another fault."""
    still = [epoch for epoch in range(1, len(expert)) if _same(expert[epoch - 1], expert[epoch])]
    if not still:
        return
    if len(still) == len(expert) - 1:
        what = f"all {len(expert)} snapshots are the same"
    else:
        what = f"the snapshot of epoch {still[0]} is the same as that of epoch {still[0] - 1}"
    raise _unusable(
        f"{where} does not move: {what}, so there is no trajectory to match; the published code "
        "writes this on a CPU, where it keeps references to the weights and not copies",
        config,
    )


def _same(before: Any, after: Any) -> bool:
    """Whether two snapshots hold the same tensors; what they are else is checked later."""
    if not all(isinstance(weights, list | tuple) and weights for weights in (before, after)):
        return False
    return len(before) == len(after) and all(
        isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
        for one, other in zip(before, after, strict=True)
    )


def _unusable(wrong: str, config: Config) -> FileError:
    """With the command that trains experts here."""
    return FileError(wrong, command("datm", "experts", "--dataset", config.dataset.name))


def _snapshots(where: str, path: Path, expert: list[Any], layout: Layout, epochs: int) -> Tensor:
    """[epochs + 1, weights] float32."""
    if len(expert) != epochs + 1:
        wrong = f"{where} has {len(expert) - 1} epochs and the first one {epochs}"
        raise _unfit(path, wrong)
    return torch.stack([_flat(where, path, weights, layout) for weights in expert])


def _flat(where: str, path: Path, weights: Any, layout: Layout) -> Tensor:
    """[weights], after a check of every tensor against the network's."""
    if not isinstance(weights, list | tuple) or not all(isinstance(w, Tensor) for w in weights):
        raise _unfit(path, f"{where} is no list of tensors an epoch")
    shapes = tuple(tuple(tensor.shape) for tensor in weights)
    if shapes != layout.shapes:
        pairs = zip(shapes, layout.shapes, strict=False)
        at = next((i for i, (theirs, ours) in enumerate(pairs) if theirs != ours), None)
        if at is None:
            told = f"{len(shapes)} tensors, and the network {len(layout.shapes)}"
        else:
            told = f"{shapes[at]} where the network has {layout.names[at]} {layout.shapes[at]}"
        raise ConfigError(
            f"{where} is of another network: it has {told}", _change(shapes, layout.shapes)
        )
    flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in weights])
    if not bool(torch.isfinite(flat).all()):
        raise _unfit(path, f"{where} holds weights that are not finite")
    return flat


def _change(theirs: Shapes, ours: Shapes) -> str:
    """The setting that makes our network theirs, as far as their shapes tell."""
    if theirs and theirs[0] and theirs[0][0] != ours[0][0]:
        return f"--set network.width={theirs[0][0]}"
    if _has_norm(theirs) != _has_norm(ours):
        return "--set network.norm=" + ("instance" if _has_norm(theirs) else "none")
    if len(theirs) != len(ours):
        return f"--set network.depth={max(1, (len(theirs) - 2) // (4 if _has_norm(ours) else 2))}"
    return HELP


def _has_norm(shapes: Shapes) -> bool:
    """Whether weights of one axis stand between the convolutions."""
    return len(shapes) > 2 and len(shapes[2]) == 1


def _unfit(path: Path, wrong: str) -> FileError:
    return FileError(wrong, command("ls", "-l", path))
