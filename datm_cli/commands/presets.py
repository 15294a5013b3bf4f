"""`datm presets`: list the presets, or print one with every key."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from datm_cli import options

presets = typer.Typer()


@presets.callback(invoke_without_command=True)
def list_presets(context: typer.Context, as_json: options.AsJson = False) -> None:
    """List the presets with what they reproduce and the accuracy to expect; or print one."""
    if context.invoked_subcommand is not None:  # `datm presets show` runs next
        return
    from datm_cli.text import output
    from datm_cli.text.tables import plain_table
    from datm_engine.settings.presets import heading, names

    headings = [heading(name) for name in names()]
    if as_json:
        output.print_json({"presets": [each.as_json() for each in headings]})
        return
    table = plain_table(
        "preset", "accuracy", "about", cut=["accuracy", "about"], optional=["about"]
    )
    for each in headings:  # without details in brackets and further sentences
        table.add_row(each.name, each.accuracy.partition(" (")[0], each.about.partition(". ")[0])
    output.results().print(table)
    output.remark("every key of one: datm presets show NAME")


@presets.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As datm presets lists it.")],
    as_json: options.AsJson = False,
) -> None:
    """Print a preset with every key, as a file that --config takes."""
    from datm_cli.text import output
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command
    from datm_engine.settings.config import build
    from datm_engine.settings.presets import heading, load, names, preset_text

    if name not in names():
        near = difflib.get_close_matches(name, names(), 1, cutoff=0.4) or names()
        raise ConfigError(
            f"there is no preset {name} (datm presets lists them)",
            command("datm", "presets", "show", near[0]),
        )
    tables, head = load(name), heading(name)
    if as_json:
        output.print_json({**head.as_json(), "settings": tables})
    else:
        print(preset_text(build(tables, name), head.lines), end="")
