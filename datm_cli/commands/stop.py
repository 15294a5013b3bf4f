"""`datm stop`: end a run, wherever it was started, with its checkpoint."""

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
    """Stop a run cleanly: it ends after its step, with a checkpoint."""
    from datm_cli.session import detach
    from datm_cli.text import output
    from datm_engine.runs.directory import Run
    from datm_engine.tuning.tune_folder import Tune

    def tell(words: str) -> None:
        if not as_json:
            output.remark(words)

    tune = None if (runs_dir / run / "run.json").exists() else Tune.find(run, tunes_dir)
    found = tune.log if tune else Run.open(runs_dir, run)
    status = detach.stop_engine(found, wait, tell)
    if as_json:
        output.print_json({"run": found.name, "status": status})
        return
    told = f"tune {tune.name}" if tune else f"run {found.name}"
    tell(f"{told} is {status}; go on with: {tune.resuming if tune else found.resuming}")
