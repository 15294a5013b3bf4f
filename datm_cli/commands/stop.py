"""`datm stop`: end a run, wherever it was started, with its checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from datm_cli import options


def stop(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for it to end.")
    ] = 600.0,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Stop a run cleanly: it ends after its step, with a checkpoint."""
    from datm_cli import launch, output
    from datm_engine.runs import Run

    def tell(words: str) -> None:
        if not as_json:
            output.remarks().print(words, markup=False, soft_wrap=True)

    found = Run.open(runs_dir, run)
    status = launch.stop_engine(found, wait, tell)
    if as_json:
        output.print_json({"run": found.name, "status": status})
        return
    tell(f"run {found.name} is {status}; go on with: {found.resuming}")
