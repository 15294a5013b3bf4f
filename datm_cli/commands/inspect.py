"""`datm inspect`: look at a distilled set, in the terminal or as an image file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from datm_cli import options
from datm_cli.text import output
from datm_engine.errors import Setting

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
    from datm_engine.hints import command

    printed = bool(no_tui or as_json or save or per_class or every or start or large)
    if not printed and terminal.is_interactive():
        terminal.set_colours(color)
        from datm_cli.gallery.gallery_app import GalleryApp, set_loader
        from datm_cli.screen.picture_widgets import picture_maker

        targets = [target, other] if other else [target]
        make_picture = picture_maker(pixels, command("datm", "inspect", *targets))
        load = set_loader(targets, class_names, runs_dir, last=last)
        gallery = GalleryApp(targets, load, clip=clip, make_picture=make_picture)
        code = gallery.run()
        if gallery.error is not None:
            raise gallery.error
        raise typer.Exit(code or 0)

    from datm_cli.target import choose_classes, find, read
    from datm_cli.text.set_report import first_images, print_set, save_pictures
    from datm_engine.errors import ConfigError
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
        wanted = first_images(summary, classes, per_class or summary.ipc)
        save_pictures(save, target_set, summary, wanted, clip=clip, captions=captions)
    if as_json:
        facts: dict[str, Any] = {"name": target_set.name, **summary.as_json()}
        facts |= target_set.state.as_json() if target_set.state else {}
        facts |= {"saved": str(save)} if save else {}
        output.print_json(facts)
        return
    # One image of each class, unless more are requested; at most MOST_PICTURES of them are drawn.
    shown = first_images(summary, classes, summary.ipc if every else per_class or 1)
    limit = None if every or per_class or class_names else MOST_PICTURES
    print_set(target_set, summary, shown, clip=clip, start=start, large=large, limit=limit)
    if save is not None:
        output.remark(f"saved {save}")
