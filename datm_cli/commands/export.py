"""`datm export`: a distilled set, or the curves of a run, in the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options
from datm_engine.errors import Setting

if TYPE_CHECKING:
    from datm_engine.synthetic import SyntheticSet

FORMATS = (
    "official", "mtt", "dcbench", "ddranking", "images", "parquet", "tensorboard", "grid"
)  # fmt: skip


def export(
    target: options.Target,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="DATM's files; MTT's and DC-BENCH's (hard labels); DD-Ranking's; PNGs by class; "
            "parquet for the Hub; a run's events for TensorBoard; one PNG of all.",
        ),
    ],
    to: Annotated[
        Path, typer.Option("--to", metavar="PATH", help="A new folder; for grid a new file.")
    ],
    last: options.Last = False,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Write a distilled set, or the curves of a run, in the form that other programs read."""
    from datm_cli.target import find, read
    from datm_cli.text import output
    from datm_engine.errors import ConfigError
    from datm_engine.files import make_folder, or_elsewhere
    from datm_engine.interop import ddranking, picture_files, tensor_files, tracking
    from datm_engine.runs.directory import Run

    if form not in FORMATS:
        raise ConfigError(
            f"--format {form}: not one of {', '.join(FORMATS)}", Setting("format", "official")
        )
    options.named("to", to, "distilled.png" if form == "grid" else form)
    if to.is_file() or (to.is_dir() and any(to.iterdir())):
        raise ConfigError(
            f"{to} is there already", Setting("to", to.with_name(f"{to.stem}-2{to.suffix}"))
        )
    found = find(target, runs_dir, last=last)
    with or_elsewhere(to, "to"):
        if form == "tensorboard":
            if not isinstance(found, Run):
                wrong = f"{target} is a file: only runs have events to show in TensorBoard"
                raise ConfigError(wrong, Setting("format", "official"))
            state = found.state()
            make_folder(to)
            tracking.export(to, [*state.results, *state.matched, *state.candidates])
            written = sorted(to.iterdir())
        else:
            writers: dict[str, Callable[[Path, SyntheticSet], list[Path]]] = {
                "grid": _save_grid,
                "official": tensor_files.save_soft,
                "mtt": tensor_files.save_hard,
                "dcbench": tensor_files.save_hard,
                "ddranking": ddranking.export,
                "images": picture_files.save_folder,
                "parquet": picture_files.save_parquet,
            }
            written = writers[form](to, read(target, found, last=last).synthetic)
    facts = {"format": form, "files": [str(path) for path in written]}
    output.print_written("what was exported is in", to, facts, as_json=as_json)


def _save_grid(path: Path, synthetic: SyntheticSet) -> list[Path]:
    """One picture of all images, a row a class."""
    from datm_cli.text.contact_sheet import KINDS, Row, save_sheet
    from datm_engine.errors import ConfigError

    if path.suffix.lower() not in KINDS:
        wrong = f"--to {path}: a grid is written as {', '.join(KINDS)}"
        raise ConfigError(wrong, Setting("to", path.with_suffix(".png")))
    ipc = synthetic.ipc
    rows = [
        Row(name, range(number * ipc, (number + 1) * ipc))
        for number, name in enumerate(synthetic.class_names)
    ]
    pictures = synthetic.pictures().permute(0, 2, 3, 1)  # channels last
    save_sheet(path, pictures.numpy(), rows)
    return [path]
