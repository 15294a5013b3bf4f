"""`datm evaluate`: accuracy of a distilled set over networks and repeats, beside real images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.runs.directory import Run
    from datm_engine.settings.config import Config
    from datm_engine.synthetic import SyntheticSet


def evaluate(
    *,
    target: options.Target,
    networks: Annotated[
        str | None,
        typer.Option(
            help="convnet, convnetbn, mlp, lenet, alexnet, vgg11, resnet18, vit; several with "
            "commas."
        ),
    ] = None,
    repeats: options.Repeats = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="random, herding, kcenter, forgetting, el2n, full; several with commas, or none."
        ),
    ] = None,
    dataset: options.Dataset = None,
    assignments: options.Set = None,
    compute: options.ComputeWithoutMemory,
    storage: options.StorageOptions,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train networks on a distilled set and test them, beside networks trained on real images."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.session.run_stage import StopRequest, until_lost
    from datm_cli.target import find
    from datm_cli.text import output, set_report
    from datm_cli.text.progress import reader
    from datm_engine import hints
    from datm_engine.compute import ranks
    from datm_engine.compute.threads import evaluation_work
    from datm_engine.standalone import evaluate_again

    together = ranks.join()
    found = find(target, runs_dir)
    config, distilled = _read(target, found)
    manifest = None if isinstance(found, Path) else found.manifest()
    # The experts of the run; its images may be elsewhere now.
    earlier = {} if manifest is None else {"experts_dir": manifest.options.get("experts_dir", "")}
    folders = storage.folders(runs_dir, **earlier)
    flags = options.tables(
        evaluate__networks=None if networks is None else _listed(networks),
        evaluate__repeats=repeats,
        evaluate__full_repeats=repeats,
        evaluate__against=None if against is None else _listed(against.replace("none", "")),
    )
    given = GivenSettings(
        data_dir=folders.data, dataset=dataset, assignments=assignments, flags=flags
    )
    # The settings of the run or file, with what the options change in them.
    config = config.with_values(given.overrides(), target)
    images = next(iter(distilled.values())).images  # [n, channels, height, width]
    channels, height, width = images.shape[1:]
    work = evaluation_work(config, (channels, height, width), len(images))
    silent = quiet or not together.leads  # with --json, events are printed to stderr
    with (
        StopRequest(silent=silent).listening() as stop,
        reader(output.remarks(), silent=silent) as shown,
    ):
        on = replace(compute.start(work=work, ranks=together), stop=stop)
        # Of the experts that choose real images; and the command that trains them.
        precision = manifest.arithmetic.precision if manifest else on.precision
        training = hints.datm(
            "experts",
            config=found if isinstance(found, Path) else found.manifest_file,
            experts_dir=folders.experts,
            data_dir=storage.data_dir,
            dataset=dataset,
            precision=None if precision == "float32" else precision,
            set=assignments,
        )
        emit = until_lost(shown.read)
        rows = evaluate_again(config, distilled, folders, on, precision, training, emit=emit)
    if together.leads and as_json:
        output.print_json({"results": [output.row(row) for row in rows]})
    elif together.leads and rows:  # none where it was interrupted before the first
        output.results().print(set_report.accuracy_table(rows))
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _read(target: str, found: Path | Run) -> tuple[Config, dict[str, SyntheticSet]]:
    """The settings and the sets of a run, or those in a file. Raises FileError, RunError."""
    from datm_engine.distillation.distilled_sets import distilled_sets
    from datm_engine.errors import FileError
    from datm_engine.hints import command
    from datm_engine.settings.config import build
    from datm_engine.synthetic import SyntheticSet

    if not isinstance(found, Path):
        return found.config(), distilled_sets(found)
    synthetic = SyntheticSet.load(found)
    if not synthetic.config:
        wrong = f"{target} was imported without a dataset, and has no settings to test it by"
        raise FileError(wrong, command("datm", "import", "--help"))
    return build(synthetic.config, target), {"distilled": synthetic}
