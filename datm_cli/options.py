"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datm_engine.pipeline import Folders

Dataset = Annotated[
    str | None,
    typer.Option(
        envvar="DATM_DATASET",
        metavar="NAME|FOLDER|FILE",
        help="digits, cifar10, cifar100, svhn, mnist, fashionmnist, tinyimagenet, a folder with "
        "train/ and test/ class folders, or a .safetensors file of arrays.  [default: digits]",
    ),
]
Ipc = Annotated[
    int | None, typer.Option(min=1, envvar="DATM_IPC", help="Synthetic images per class.")
]
Preset = Annotated[
    str | None,
    typer.Option(envvar="DATM_PRESET", help="A preset or family of presets: cifar10-small, say."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="DATM_CONFIG",
        metavar="FILE",
        help="Settings that override the preset's: a .toml file, or another run's run.json.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override one setting; may be repeated."),
]
Resolution = Annotated[
    int | None,
    typer.Option(min=4, envvar="DATM_RESOLUTION", help="Resize images to so many pixels a side."),
]
Device = Annotated[str, typer.Option(envvar="DATM_DEVICE", help="auto, cuda, cuda:1, mps or cpu.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="DATM_DATA_DIR",
        help="Where downloads and decoded images are kept.  [default: ~/.cache/datm]",
    ),
]
ExpertsDir = Annotated[
    Path, typer.Option(envvar="DATM_EXPERTS_DIR", help="Where experts are kept.")
]
RunsDir = Annotated[Path, typer.Option(envvar="DATM_RUNS_DIR", help="Where runs are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]

EXPERTS_DIR, RUNS_DIR = Path("experts"), Path("runs")


def folders(data_dir: Path | None, experts_dir: Path, runs_dir: Path) -> Folders:
    from datm_engine.pipeline import Folders

    cache = Path("~/.cache").expanduser() / "datm"
    return Folders(data=data_dir or cache, experts=experts_dir, runs=runs_dir)
