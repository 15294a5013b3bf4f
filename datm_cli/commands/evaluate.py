"""`datm evaluate`: accuracy of a distilled set over networks and repeats, beside real images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.config import Config
    from datm_engine.synthetic import SyntheticSet


def evaluate(
    target: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="A run's name, or a distilled set's file.")
    ],
    networks: Annotated[
        str | None,
        typer.Option(help="convnet, mlp, lenet, alexnet, vgg11, resnet18; several with commas."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Networks a row, each with weights of its own.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="random, full, both with a comma, or none.")
    ] = None,
    dataset: options.Dataset = None,
    assignments: options.Set = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    data_dir: options.DataDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train networks on a distilled set and test them, beside networks trained on real images."""
    from datm_cli import output, report
    from datm_cli.driving import StopRequest, UntilLost, drive
    from datm_cli.progress import reader
    from datm_cli.settings import full_name, overrides, with_names
    from datm_engine import runtime
    from datm_engine.config import build, overlay
    from datm_engine.evaluation.comparison import result
    from datm_engine.pipeline import evaluate_again

    folders = options.folders(data_dir, None, runs_dir)
    base, distilled = _subject(target, runs_dir)
    own: dict[str, Any] = {
        "networks": None if networks is None else _listed(networks),
        "repeats": repeats,
        "full_repeats": repeats,
        "against": None if against is None else _listed(against.replace("none", "")),
    }
    flags = {"evaluate": {key: value for key, value in own.items() if value is not None}}
    flags = with_names(flags, None if dataset is None else full_name(dataset), None)
    over = overrides(flags, assignments or [])
    config = build(overlay(base.model_dump(), over), target)
    with (
        StopRequest(silent=quiet or as_json).listening() as stop,
        reader(output.remarks(), silent=quiet or as_json) as shown,
    ):
        screen = UntilLost(shown)
        on = runtime.start(device or "auto", precision, compiling, memory="0")
        road = evaluate_again(config, distilled, folders, on, stop)
        rows = drive(road, screen)
    if as_json:
        output.print_json({"results": [result(row) for row in rows]})
    elif rows:  # none where it was interrupted before the first
        output.results().print(report.results(rows))
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _subject(target: str, runs_dir: Path) -> tuple[Config, dict[str, SyntheticSet]]:
    """A run's settings and sets; or those that a file of its own carries."""
    from datm_engine.config import build
    from datm_engine.distilled import distilled_sets
    from datm_engine.errors import FileError
    from datm_engine.hints import command
    from datm_engine.runs import Run
    from datm_engine.synthetic import SyntheticSet

    if Path(target).is_file():
        synthetic = SyntheticSet.load(target)
        if not synthetic.config:
            wrong = f"{target} was imported without --dataset, and states no settings to test it by"
            raise FileError(wrong, command("datm", "import", "--help"))
        return build(synthetic.config, target), {"distilled": synthetic}
    run = Run.open(runs_dir, target)
    return run.config(), distilled_sets(run)
