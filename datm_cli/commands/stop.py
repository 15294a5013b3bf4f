"""`datm stop`: stop a run on any machine, with a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from datm_cli import options


def stop(
    run: Annotated[
        str, typer.Argument(metavar="RUN|TUNE", help="A run's or a tune's name or folder.")
    ],
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for it to end.")
    ] = 600.0,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    tunes_dir: options.TunesDir = options.TUNES_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Stop a run cleanly: it finishes its step and saves a checkpoint."""
    from datm_cli.session import detach
    from datm_cli.text import output
    from datm_engine.runs.directory import Run
    from datm_engine.tuning.tune_folder import Tune

    def report(text: str) -> None:
        if not as_json:
            output.remark(text)

    tune = None if (runs_dir / run / "run.json").exists() else Tune.find(run, tunes_dir)
    found = tune.log if tune else Run.open(runs_dir, run)
    status = detach.stop_engine(found, wait, report)
    if as_json:
        output.print_json({"run": found.name, "status": status})
        return
    name = f"tune {tune.name}" if tune else f"run {found.name}"
    report(f"{name} is {status}; resume it: {found.resume_command}")
