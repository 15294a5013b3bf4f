"""`datm inspect`: look at a distilled set, in the terminal or as an image file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datm_cli import options
from datm_cli.text import output
from datm_engine.errors import Setting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from datm_cli.target import TargetSet
    from datm_engine.summary import Summary
    from datm_engine.synthetic import SyntheticSet

MOST_PICTURES = 100  # in the terminal, unless more are asked for


def inspect(
    target: options.Target,
    other: Annotated[
        str | None,
        typer.Argument(metavar="RUN|FILE", help="Another, to compare it with; on a terminal."),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Show K images of each class.", show_default="1"),
    ] = None,
    class_names: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only this class; may be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every image.")] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Show beside each image the one it started as.")
    ] = False,
    large: Annotated[bool, typer.Option("--large", help="Larger pictures.")] = False,
    clip: Annotated[
        bool,
        typer.Option(
            "--clip/--no-clip",
            help="Clip each picture's values beyond 2.5 standard deviations, to see the rest.",
        ),
    ] = True,
    last: options.Last = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write all pictures, a row a class, to a .png, .jpg or .webp file.",
        ),
    ] = None,
    captions: Annotated[
        bool, typer.Option("--captions", help="With --save: each image's top class under it.")
    ] = False,
    as_json: options.AsJson = False,
    no_tui: options.NoTui = False,
    color: options.Color = "auto",
    pixels: options.Pixels = False,
    runs_dir: options.RunsDir = options.RUNS_DIR,
) -> None:
    """Look at a distilled set: pictures, soft labels, curves, what changed.

    On a terminal this opens a gallery. What is printed instead elsewhere, or with --no-tui, is
    also what --per-class, --all, --start, --large, --save and --json ask for.
    """
    from datm_cli.text import terminal

    printed = bool(no_tui or as_json or save or per_class or every or start or large)
    if not printed and terminal.is_interactive():
        targets = [target, other] if other else [target]
        terminal.set_colours(color)
        _open_gallery(targets, class_names, runs_dir, clip=clip, last=last, pixels=pixels)
        return

    from datm_cli.target import choose_classes, find, read
    from datm_engine.errors import ConfigError
    from datm_engine.files import or_elsewhere
    from datm_engine.hints import command
    from datm_engine.summary import summarize

    if other:
        raise ConfigError(
            f"{target} and {other} are compared in the gallery, which takes a terminal and none of "
            "the options that print",
            command("datm", "inspect", target) + options.elsewhere(runs_dir),
        )
    if save is not None:
        from datm_cli.text.contact_sheet import check_kind

        check_kind(save)  # before any work
    target_set = read(target, find(target, runs_dir, last=last), last=last)
    if start and target_set.start is None:
        raise ConfigError(f"--start: how {target} started is not known", Setting("start", False))
    summary = summarize(target_set.synthetic, target_set.start)
    classes = choose_classes(class_names, summary.class_names, summary.dataset)
    if save is not None:
        wanted = _images(summary, classes, per_class or summary.ipc)
        with or_elsewhere(save, "save"):
            _save(save, target_set, summary, wanted, clip=clip, captions=captions)
    if as_json:
        facts: dict[str, Any] = {"name": target_set.name, **summary.as_json()}
        facts |= target_set.state.as_json() if target_set.state else {}
        facts |= {"saved": str(save)} if save else {}
        output.print_json(facts)
        return
    # One image of each class, unless more are requested; at most MOST_PICTURES of them are drawn.
    shown = _images(summary, classes, summary.ipc if every else per_class or 1)
    limit = None if every or per_class or class_names else MOST_PICTURES
    _show(target_set, summary, shown, clip=clip, start=start, large=large, limit=limit)
    if save is not None:
        output.remark(f"saved {save}")


def _open_gallery(
    targets: list[str],
    class_names: list[str] | None,
    runs_dir: Path,
    *,
    clip: bool,
    last: bool,
    pixels: bool,
) -> None:
    """Show the gallery until the user leaves it. A thread of it reads the sets."""
    from datm_cli.gallery.gallery_app import GalleryApp, set_loader
    from datm_cli.screen.picture_widgets import picture_maker
    from datm_engine.hints import command

    load = set_loader(targets, class_names, runs_dir, last=last)
    again = command("datm", "inspect", *targets)
    gallery = GalleryApp(targets, load, clip=clip, make_picture=picture_maker(pixels, again))
    code = gallery.run()
    if gallery.error is not None:
        raise gallery.error
    raise typer.Exit(code or 0)


def _images(summary: Summary, classes: list[int], per_class: int) -> list[list[int]]:
    """For each class, the indices of its first `per_class` images."""
    ipc = summary.ipc
    return [list(range(k * ipc, k * ipc + min(per_class, ipc))) for k in classes]


def _save(
    path: Path,
    target_set: TargetSet,
    summary: Summary,
    wanted: list[list[int]],
    *,
    clip: bool,
    captions: bool,
) -> None:
    from datm_cli.text.contact_sheet import Row, save_sheet

    rows: list[Row] = []
    chosen: list[int] = []
    for indices in wanted:
        images = [summary.images[i] for i in indices]
        tops = [f"{image.top[0].name} {image.top[0].probability:.0%}" for image in images]
        others = [k for k, image in enumerate(images) if not image.is_led_by_own_class]
        pictures = range(len(chosen), len(chosen) + len(indices))
        name = images[0].class_name
        rows.append(Row(name, pictures, tops if captions else (), frozenset(others)))
        chosen += indices
    save_sheet(path, _pictures(target_set.synthetic, chosen, clip=clip), rows)


def _show(
    target_set: TargetSet,
    summary: Summary,
    shown: list[list[int]],
    *,
    clip: bool,
    start: bool,
    large: bool,
    limit: int | None,
) -> None:
    import numpy as np

    from datm_cli.text import set_report
    from datm_cli.text.quadrant_pictures import LARGE, SMALL, Grid
    from datm_cli.text.tables import side_by_side

    console, state = output.results(), target_set.state
    parts: list[RenderableType] = [set_report.set_facts(target_set.name, summary, state)]
    if state is not None:
        if curves := set_report.history_curves(state):
            parts.append(side_by_side(curves, console.width, set_report.NARROWEST_CURVE))
        if state.results:
            parts.append(set_report.accuracy_table(state.results))
    chosen = [index for indices in shown for index in indices]
    images = [summary.images[index] for index in chosen]
    parts.append(set_report.label_table(images, ascii_only=console.options.ascii_only))
    group = len(shown[0])
    drawn = chosen[:limit]
    pictures = _pictures(target_set.synthetic, drawn, clip=clip)
    captions = [
        summary.images[index].class_name + (f" {index % summary.ipc}" if group > 1 else "")
        for index in drawn
    ]
    if start and target_set.start is not None:
        before = target_set.start[drawn].permute(0, 2, 3, 1).numpy()
        # [n, 2, height, width, channels] → [2n, …]: the start before each picture
        pictures = np.stack([before, pictures], axis=1).reshape(-1, *pictures.shape[1:])
        captions = [text for caption in captions for text in ("start", caption)]
        group *= 2
    parts.append(Grid(pictures, captions, room=LARGE if large else SMALL, group=group))
    if len(drawn) < len(chosen):
        parts.append(f"{len(chosen) - len(drawn)} more classes: --class NAME, or --all")
    output.print_parts(parts)


def _pictures(synthetic: SyntheticSet, indices: list[int], *, clip: bool) -> Any:
    """Pictures to show: a uint8 array [n, height, width, channels]."""
    from datm_engine.summary import pictures_of

    pictures = pictures_of(synthetic, indices, clip=2.5 if clip else None)
    return pictures.permute(0, 2, 3, 1).numpy()
