"""`datm evaluate`: accuracy of a distilled set over networks and repeats, beside real images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.settings.config import Config
    from datm_engine.synthetic import SyntheticSet


def evaluate(
    target: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="A run's name, or a distilled set's file.")
    ],
    networks: Annotated[
        str | None,
        typer.Option(
            help="convnet, convnetbn, mlp, lenet, alexnet, vgg11, resnet18, vit; several with "
            "commas."
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Networks a row, each with weights of its own; of full, too."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="random, herding, kcenter, forgetting, el2n, full; several with commas, or none."
        ),
    ] = None,
    dataset: options.Dataset = None,
    assignments: options.Set = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    threads: options.Threads = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train networks on a distilled set and test them, beside networks trained on real images."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.session.run_stage import StopRequest, UntilLost
    from datm_cli.text import output, set_report
    from datm_cli.text.progress import reader
    from datm_engine.compute import ranks
    from datm_engine.hints import command
    from datm_engine.standalone import evaluate_again

    together = ranks.join()
    evaluated = _read_target(target, runs_dir)
    folders = options.folders(data_dir, experts_dir or evaluated.experts_dir, runs_dir)
    flags = options.tables(
        evaluate__networks=None if networks is None else _listed(networks),
        evaluate__repeats=repeats,
        evaluate__full_repeats=repeats,
        evaluate__against=None if against is None else _listed(against.replace("none", "")),
    )
    given = GivenSettings(folders.data, dataset, flags=flags, assignments=assignments or [])
    # The settings of the run or file, with what the options change in them.
    config = evaluated.config.with_values(given.overrides(), target)
    compute = options.ComputeOptions(device, precision, compiling, "0", threads)
    silent = quiet or as_json or not together.leads
    with (
        StopRequest(silent=silent).listening() as stop,
        reader(output.remarks(), silent=silent) as shown,
    ):
        on = compute.start(work=evaluated.work(config), ranks=together)
        # The experts that choose real images, and the command that trains them.
        precision = evaluated.precision or on.precision
        words: list[object] = ["--config", evaluated.path, "--experts-dir", folders.experts]
        words += ["--data-dir", data_dir] if data_dir else []
        words += ["--dataset", dataset] if dataset else []
        words += ["--precision", precision] if precision != "float32" else []
        words += [word for text in assignments or [] for word in ("--set", text)]
        training = command("datm", "experts", *words)
        emit = UntilLost(shown).read
        on = replace(on, stop=stop)
        rows = evaluate_again(
            config, evaluated.distilled, folders, on, precision, training, emit=emit
        )
    if together.leads and as_json:
        output.print_json({"results": [output.row(row) for row in rows]})
    elif together.leads and rows:  # none where it was interrupted before the first
        output.results().print(set_report.accuracy_table(rows))
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


@dataclass(frozen=True)
class EvaluationTarget:
    """What is evaluated.

    path: the file of its settings, as `--config` takes it. precision, experts_dir: of its experts,
    where they are known.
    """

    config: Config
    distilled: dict[str, SyntheticSet]
    path: Path
    precision: str | None = None
    experts_dir: Path | None = None

    def work(self, config: Config) -> float:
        """Multiply-adds of the forward pass of a step of what `config` trains."""
        from datm_engine.compute.threads import evaluation_work

        images = next(iter(self.distilled.values())).images
        channels, height, width = images.shape[1:]
        return evaluation_work(config, (channels, height, width), len(images))


def _read_target(target: str, runs_dir: Path) -> EvaluationTarget:
    """A run's settings and sets, or those in a file. Raises FileError, RunError."""
    from datm_cli.target import find
    from datm_engine.distillation.distilled_sets import distilled_sets
    from datm_engine.errors import FileError
    from datm_engine.hints import command
    from datm_engine.settings.config import build
    from datm_engine.synthetic import SyntheticSet

    run = find(target, runs_dir)
    if isinstance(run, Path):
        synthetic = SyntheticSet.load(run)
        if not synthetic.config:
            wrong = f"{target} was imported without a dataset, and has no settings to test it by"
            raise FileError(wrong, command("datm", "import", "--help"))
        return EvaluationTarget(build(synthetic.config, target), {"distilled": synthetic}, run)
    manifest = run.manifest()
    experts_dir = manifest.options.get("experts_dir")
    return EvaluationTarget(
        run.config(),
        distilled_sets(run),
        run.manifest_file,
        manifest.arithmetic.precision,
        Path(experts_dir) if experts_dir else None,
    )
