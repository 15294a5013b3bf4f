"""`datm experts`: train the experts that a distillation will match."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from datm_cli import options


def experts(
    dataset: options.Dataset = None,
    ipc: options.Ipc = None,
    preset: options.Preset = None,
    method: options.Method = None,
    window: options.Window = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    count: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_EXPERTS", help="How many there should be.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, envvar="DATM_EPOCHS", help="Epochs each.", show_default="the preset's"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the experts.")] = None,
    resolution: options.Resolution = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train experts and keep their weights after every epoch. Those on disk are kept."""
    from datm_cli import output, settings
    from datm_cli.driving import StopRequest, UntilLost, drive
    from datm_cli.progress import reader
    from datm_engine import ranks, runtime
    from datm_engine.events import Noted
    from datm_engine.pipeline import make_experts

    together = ranks.join()
    folders = options.folders(data_dir, experts_dir, options.RUNS_DIR)
    flags: dict[str, Any] = {"dataset": {"resolution": resolution}} if resolution else {}
    own = {"count": count, "epochs": epochs, "seed": seed}
    if stated := {key: value for key, value in own.items() if value is not None}:
        flags["experts"] = stated
    settled = settings.settle(
        dataset=dataset,
        ipc=ipc,
        preset=preset,
        method=method,
        window=window,
        config_file=config_file,
        flags=flags,
        assignments=assignments or [],
        data_dir=folders.data,
    )
    silent = quiet or as_json or not together.leads
    with (
        StopRequest(silent=silent).listening() as stop,
        reader(output.remarks(), silent=silent) as shown,
    ):
        screen = UntilLost(shown)
        for note in (f"settings: {settled.source}", *settled.notes):
            screen.read(Noted(text=note))
        on = runtime.start(device or "auto", precision, compiling, "0", ranks=together)
        _, made = drive(make_experts(settled.config, folders, on, stop), screen)
    if not together.leads:
        raise typer.Exit(stop.exit_code)
    wanted = settled.config.experts.count
    ready = len(made.present(wanted))
    if as_json:
        status = "done" if ready == wanted else "stopped"
        output.print_json(
            {
                "folder": str(made.folder),
                "status": status,
                "experts": ready,
                "epochs": made.epochs,
                "bytes": ready * made.expert_size,
            }
        )
    else:
        print(made.folder)
    if not (as_json or quiet) and ready < wanted:
        output.remarks().print(
            f"stopped with {ready} of {wanted} experts; the same command goes on", markup=False
        )
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)
