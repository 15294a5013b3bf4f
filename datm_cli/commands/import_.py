"""`datm import`: distilled sets and experts of other codes, as datm's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_cli.settings import Settings
    from datm_engine.formats.tensors import Foreign


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="images_*.pt, labels_*.pt and, if there is one, lr_*.pt; a res_*.pt; or any "
            "number of replay_buffer_*.pt.",
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
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Read what other codes wrote: distilled sets, or expert trajectories."""
    from datm_cli import output, settings
    from datm_cli.driving import drive
    from datm_cli.progress import reader
    from datm_engine.config import overlay, parse_assignments
    from datm_engine.data import datasets
    from datm_engine.errors import ConfigError
    from datm_engine.events import Noted
    from datm_engine.formats import tensors
    from datm_engine.hints import command

    folders = options.folders(data_dir, experts_dir, options.RUNS_DIR)
    kinds = {tensors.kind_of(path) for path in files}
    if "replay_buffer" in kinds and (len(kinds) > 1 or dataset is None):
        wrong = "buffers are imported by themselves, and with the dataset they were trained on"
        raise ConfigError(wrong, "--help" if len(kinds) > 1 else "--dataset cifar10")

    def settle(ipc: int | None) -> Settings:
        # Theirs were made of all training images, and chosen without a held-out part.
        own: dict[str, Any] = {"dataset": {"validation": 0.0}, "evaluate": {"selection": "last"}}
        if resolution:
            own["dataset"]["resolution"] = resolution
        return settings.settle(
            dataset=dataset,
            ipc=ipc,
            preset=preset,
            config_file=config_file,
            flags=overlay(own, parse_assignments(assignments or [])),
            assignments=[],
            data_dir=folders.data,
        )

    with reader(output.remarks(), silent=quiet or as_json) as screen:
        if "replay_buffer" in kinds:
            from datm_engine.formats.buffers import import_buffers

            config = settle(None).config
            shape = _sized(datasets.peek(config.dataset.name, data_dir=folders.data), resolution)
            made = import_buffers(files, to, config, shape, folders.experts)
            experts, count = drive(made, screen)
            told: dict[str, Any] = {"folder": str(experts.folder), "experts": count}
            told |= {"epochs": experts.epochs}
            words = ["datm", "distill", "--dataset", dataset, "--set"]
            words += [f"experts.imported={experts.folder.name}", "--set", f"experts.count={count}"]
            following = f"match them: {command(*words)}"
        else:
            from datm_engine import runtime
            from datm_engine.formats import importing

            path = _new_file(to)
            foreign = tensors.read(files, experiment=experiment)
            if foreign.experiments > 1:
                text = f"{foreign.experiments} sets in {files[0].name}; number {experiment} is read"
                screen.read(Noted(text=f"{text} (--experiment)"))
            if dataset is None:
                eta, source = _rate(foreign, rate, None)
                synthetic = importing.without_dataset(foreign, eta)
            else:
                shape = datasets.peek(settings.full_name(dataset), data_dir=folders.data)
                config = settle(max(1, len(foreign.images) // shape.classes)).config
                eta, source = _rate(foreign, rate, config.evaluate.real_lr)
                on = runtime.start("cpu")
                made_set = importing.with_dataset(foreign, config, eta, folders.data, on)
                synthetic = drive(made_set, screen)
            screen.read(Noted(text=f"learning rate {eta:g}, {source}"))
            synthetic.save(path)
            told = {"file": str(path), "images": len(synthetic.images), "ipc": synthetic.ipc}
            told |= {"classes": len(synthetic.class_names), "syn_lr": eta, "syn_lr_from": source}
            told |= {"preprocessing": synthetic.preprocessing.kind}
            following = f"look at it: {command('datm', 'inspect', path)}"
            if dataset is None:
                following = f"pass it on: {command('datm', 'export', path, '--help')}"
    if as_json:
        output.print_json(told)
        return
    print(told.get("folder") or told["file"])
    if not quiet:
        output.remarks().print(following, soft_wrap=True, markup=False)


def _new_file(name: str) -> Path:
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command

    path = Path(name if name.endswith(".safetensors") else f"{name}.safetensors")
    if path.exists():
        free = path.with_name(f"{path.stem}-2")
        raise ConfigError(f"{path} is there already", command("--to", free))
    return path


def _rate(foreign: Foreign, stated: float | None, usual: float | None) -> tuple[float, str]:
    """η and where it is from: what is stated goes before the file's, and that before the usual."""
    from datm_engine.errors import ConfigError

    if stated is not None:
        if not 0 < stated < float("inf"):
            raise ConfigError(f"--lr {stated}: a rate is above 0", "--lr 0.01")
        return stated, "from --lr"
    if foreign.rate is not None:
        return foreign.rate, "from lr_*.pt"
    if usual is not None:
        return usual, "evaluate.real_lr of the preset: the files have none (--lr)"
    raise ConfigError("the files have no learning rate, and no dataset tells one", "--lr 0.01")


def _sized(shape: Any, resolution: int | None) -> Any:
    from dataclasses import replace

    return replace(shape, height=resolution, width=resolution) if resolution else shape
