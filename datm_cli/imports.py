"""Importing files of other codes: as a distilled set, or as a set of experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli import options
from datm_cli.options import StorageOptions
from datm_cli.resolve import GivenSettings, overrides
from datm_engine.compute import runtime
from datm_engine.data import datasets
from datm_engine.data.description import full_name
from datm_engine.errors import ConfigError, Setting
from datm_engine.files import or_elsewhere
from datm_engine.hints import command, datm
from datm_engine.interop import imported_sets, tensor_files
from datm_engine.interop.expert_buffers import check_accuracy, import_buffers
from datm_engine.runs.events import Emit, Noted
from datm_engine.runs.names import valid_name
from datm_engine.settings.config import Config, overlay
from datm_engine.settings.image_size import at_resolution

if TYPE_CHECKING:
    from datm_engine.interop.tensor_files import ForeignSet
    from datm_engine.runs.directory import Folders

# Other codes use every training image, and choose without a held-out part.
_THEIRS: dict[str, Any] = {"dataset": {"validation": 0.0}, "evaluate": {"selection": "last"}}


@dataclass(frozen=True)
class Imported:
    """facts: what --json prints. path: what was written. next_step: what to do with it."""

    facts: dict[str, Any]
    path: str
    next_step: str


@dataclass(frozen=True, kw_only=True)
class ImportOptions(GivenSettings):
    """The options of `datm import` that state the dataset and the settings."""

    resolution: str | None
    storage: StorageOptions

    def config(self, ipc: int | None) -> Config:
        """The settings that the files are taken to be made with."""
        flags = options.tables(dataset__resolution=self.resolution)
        # What is stated stands above what other codes do.
        flags = overlay(_THEIRS, overrides(flags, self.assigned))
        return replace(self, ipc=ipc, flags=flags, assignments=None).resolve().config

    def stated(self, *settings: str) -> dict[str, object]:
        """The same options for `hints.datm`, with more of --set."""
        return {
            "dataset": self.dataset,
            "preset": self.preset,
            "config": self.config_file,
            "resolution": self.resolution,
            **vars(self.storage),
            "set": [*(self.assignments or ()), *settings],
        }


def import_experts(
    files: Sequence[Path], name: str, given: ImportOptions, folders: Folders, *, emit: Emit
) -> Imported:
    """Import replay buffers as a set of experts. Raises ConfigError, FileError."""
    name = valid_name(name, "theirs", argument="to", most=80)
    config = given.config(None)
    shape = datasets.peek(config.dataset.name, data_dir=folders.data)
    shape = at_resolution(shape, given.resolution)
    with or_elsewhere(folders.experts, "experts_dir"):
        experts, count = import_buffers(files, name, config, shape, folders.experts, emit=emit)
    accuracy = None
    if datasets.is_here(config.dataset.name, data_dir=folders.data):
        on = runtime.start("cpu")  # one pass of one expert
        accuracy = check_accuracy(experts, config, folders.data, on, emit=emit)
    else:
        again = datm("import", *files, to=name, **given.stated())
        where = f"{config.dataset.name} is not yet below {folders.data}"
        text = f"the experts' accuracy is not checked: {where}; once it is, this checks it: {again}"
        emit(Noted(text=text))
    facts = {
        "folder": str(experts.folder),
        "experts": count,
        "epochs": experts.epochs,
        "train_accuracy": accuracy,
    }
    chosen = (f"experts.imported={experts.folder.name}", f"experts.count={count}")
    next_step = f"match them: {datm('distill', **given.stated(*chosen))}"
    return Imported(facts, str(experts.folder), next_step)


def import_set(
    files: Sequence[Path],
    name: str,
    given: ImportOptions,
    *,
    rate: float | None,
    experiment: int,
    emit: Emit,
) -> Imported:
    """Import a distilled set as a file. Raises ConfigError, DataError, FileError.

    rate: η, if it was given. experiment: which of the sets in a file of several.
    """
    options.named("to", Path(name), "theirs")
    path = Path(name if name.endswith(".safetensors") else f"{name}.safetensors")
    if path.exists():
        raise ConfigError(f"{path} is there already", Setting("to", f"{path.with_suffix('')}-2"))
    foreign = tensor_files.read_set(files, experiment=experiment)
    notes = list(foreign.notes)
    if foreign.experiments > 1:
        sets = f"{foreign.experiments} sets in {files[0].name}"
        notes.insert(0, f"{sets}; number {experiment} is read (--experiment)")
    if foreign.has_probabilities:
        notes.append(
            "the labels sum to 1, as probabilities do; they are taken as logits, as DATM does"
        )
    for note in notes:
        emit(Noted(text=note))
    if given.dataset is None:
        eta, source = _rate(foreign, rate, None)
        synthetic = imported_sets.without_dataset(foreign, eta)
        next_step = f"pass it on: {command('datm', 'export', path, '--help')}"
    else:
        shape = datasets.peek(full_name(given.dataset), data_dir=given.data_dir)
        # A preset is chosen by the number of images per class, which the files show.
        config = given.config(max(1, len(foreign.images) // shape.classes))
        eta, source = _rate(foreign, rate, config.evaluate.real_lr)
        on = runtime.start("cpu")
        synthetic = imported_sets.with_dataset(foreign, config, eta, given.data_dir, on, emit=emit)
        next_step = f"look at it: {command('datm', 'inspect', path)}"
    emit(Noted(text=f"learning rate {eta:g}, {source}"))
    with or_elsewhere(path, "to"):
        synthetic.save(path)
    facts = {
        "file": str(path),
        "images": len(synthetic.images),
        "ipc": synthetic.ipc,
        "classes": len(synthetic.class_names),
        "syn_lr": eta,
        "syn_lr_from": source,
        "preprocessing": synthetic.preprocessing.kind,
    }
    return Imported(facts, str(path), next_step)


def _rate(foreign: ForeignSet, stated: float | None, usual: float | None) -> tuple[float, str]:
    """η and where it comes from: the option, else the file, else the preset's rate."""
    if stated is not None:
        if not 0 < stated < float("inf"):
            raise ConfigError(f"--lr {stated}: a rate is above 0", Setting("lr", 0.01))
        return stated, "from --lr"
    if foreign.rate is not None:
        return foreign.rate, "from lr_*.pt"
    if usual is not None:
        return usual, "evaluate.real_lr of the preset: the files have none (--lr)"
    raise ConfigError(
        "the files have no learning rate, and without a dataset there is none", Setting("lr", 0.01)
    )
