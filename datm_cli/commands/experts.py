"""`datm experts`: train the experts that a distillation will match, or show what they know."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options
from datm_engine.errors import Setting

if TYPE_CHECKING:
    from datm_cli.text.expert_report import ExpertReport
    from datm_engine.experts.trajectories import ExpertSet


def experts(
    *,
    settings: options.SettingOptions,
    count: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_EXPERTS", help="How many there should be.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, envvar="DATM_EPOCHS", help="Epochs each.", show_default="the preset's"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the experts.")] = None,
    inspect: Annotated[
        bool,
        typer.Option(
            "--inspect",
            help="Train none; show what those on disk know after each epoch, and where the window "
            "is in it.",
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="With --inspect: write that as a page, too."),
    ] = None,
    resolution: options.Resolution = None,
    skip_damaged: options.SkipDamaged = False,
    compute: options.ComputeWithoutMemory,
    storage: options.StorageOptions,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train the experts that are missing; with --inspect, see how hard the window is for them."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.session.run_stage import StopRequest, until_lost
    from datm_cli.text import output
    from datm_cli.text.expert_report import ExpertReport
    from datm_cli.text.progress import reader
    from datm_engine.compute import ranks
    from datm_engine.compute.threads import expert_work
    from datm_engine.errors import Stopped
    from datm_engine.runs.events import Noted
    from datm_engine.standalone import inspect_experts, make_experts

    if save is not None:
        _check_page(save, inspect=inspect)
    together = ranks.join()
    folders = storage.folders()
    given = GivenSettings(
        **vars(settings),
        data_dir=folders.data,
        device=compute.device,
        flags=options.tables(
            dataset__resolution=resolution,
            dataset__skip_damaged=skip_damaged or None,
            experts__count=count,
            experts__epochs=epochs,
            experts__seed=seed,
        ),
    )
    resolved = together.first(given.resolve)
    silent = quiet or not together.leads  # with --json, events are printed to stderr
    with (
        StopRequest(silent=silent).listening() as stop,
        reader(output.remarks(), silent=silent) as shown,
    ):
        emit = until_lost(shown.read)
        for text in resolved.messages():
            emit(Noted(text=text))
        on = compute.start(work=expert_work(resolved.config, resolved.shape), ranks=together)
        on = replace(on, stop=stop)
        try:
            if inspect:
                found, curves, config = inspect_experts(
                    resolved.config, resolved.derive, folders, on, _training_command(), emit=emit
                )
                ready = len(found.present(config.experts.count))
                report = ExpertReport(config, str(found.folder), ready, curves)
            else:
                trained = make_experts(resolved.config, resolved.derive, folders, on, emit=emit)
        except Stopped:
            raise typer.Exit(stop.exit_code) from None
    if together.leads and inspect:
        _print_report(report, save, as_json)
    elif together.leads:
        _print_experts(trained, resolved.config.experts.count, as_json, quiet)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _check_page(save: Path, *, inspect: bool) -> None:
    """Raise ConfigError where no page can be written to `save`."""
    from datm_cli.report.experts_page import KIND
    from datm_cli.report.page import check_page
    from datm_engine.errors import ConfigError

    if not inspect:
        raise ConfigError("--save is for what --inspect shows", Setting("save"))
    check_page("save", save, KIND)


def _training_command() -> str:
    """The command that was typed, without what only inspects: it trains the missing experts."""
    from datm_engine.hints import retyped

    words = shlex.split(retyped(sys.argv[1:], Setting("save")))
    return retyped(words[words.index("experts") :], Setting("inspect", False))


def _print_report(report: ExpertReport, save: Path | None, as_json: bool) -> None:
    from datm_cli.report.experts_page import experts_page
    from datm_cli.text import output
    from datm_engine.files import or_elsewhere, save_text

    if save is not None:
        with or_elsewhere(save, "save"):
            save_text(save, experts_page(report))
    if as_json:
        output.print_json(report.as_json() | ({} if save is None else {"page": str(save)}))
        return
    for part in report.printed():
        output.results().print(part)
    if save is not None:
        print()
        output.print_line(f"written to {save}")


def _print_experts(trained: ExpertSet, wanted: int, as_json: bool, quiet: bool) -> None:
    """Print the experts' folder, or all about them as JSON; and how many are missing."""
    from datm_cli.text import output

    ready = len(trained.present(wanted))
    facts = {
        "folder": str(trained.folder),
        "status": "done" if ready == wanted else "stopped",
        "experts": ready,
        "epochs": trained.epochs,
        "bytes": ready * trained.expert_size,
    }
    output.print_written("the experts are kept in", trained.folder, facts, as_json=as_json)
    if not (as_json or quiet) and ready < wanted:
        output.remark(f"stopped with {ready} of {wanted} experts; the same command continues")
