"""`datm import`: distilled sets and experts of other codes, as datm's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datm_cli import options
from datm_engine.errors import Setting


def import_(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="images_*.pt, labels_*.pt and, if there is one, lr_*.pt (or images.pt, labels.pt, "
            "lr.pt); a res_*.pt; or any number of replay_buffer_*.pt.",
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", help="NAME.safetensors, or the experts' name.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            envvar="DATM_DATASET",
            metavar="NAME|FOLDER|FILE",
            help="What it was made of; without it a set can be exported, but not tested.",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--lr", help="Learning rate, where no lr_*.pt has it.")
    ] = None,
    experiment: Annotated[
        int, typer.Option(min=0, help="Which of the sets in a res_*.pt, from 0.")
    ] = 0,
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    resolution: options.Resolution = None,
    storage: options.StorageOptions,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Read what other codes wrote: distilled sets, or expert trajectories."""
    from datm_cli import imports
    from datm_cli.text import output
    from datm_cli.text.progress import reader
    from datm_engine.errors import ConfigError
    from datm_engine.hints import HELP
    from datm_engine.interop import tensor_files

    folders = storage.folders()
    # File names distinguish sets (images_*, labels_*) from experts (replay_buffer_*).
    kinds = {tensor_files.kind_of(path) for path in files}
    if "replay_buffer" in kinds and (len(kinds) > 1 or dataset is None):
        wrong = "buffers are imported by themselves, and with the dataset they were trained on"
        raise ConfigError(wrong, HELP if len(kinds) > 1 else Setting("dataset", "cifar10"))
    given = imports.ImportOptions(
        dataset=dataset,
        preset=preset,
        config_file=config_file,
        assignments=assignments,
        data_dir=folders.data,
        device="cuda",  # nothing is computed, and other codes' files have the settings of a GPU
        resolution=resolution,
        storage=storage,
    )
    with reader(output.remarks(), silent=quiet or as_json) as screen:
        if "replay_buffer" in kinds:
            imported = imports.import_experts(files, to, given, folders, emit=screen.read)
        else:
            imported = imports.import_set(
                files, to, given, rate=rate, experiment=experiment, emit=screen.read
            )
    output.print_written(
        "what was imported is kept in", imported.path, imported.facts, as_json=as_json
    )
    if not (as_json or quiet):
        output.remark(imported.next_step)
