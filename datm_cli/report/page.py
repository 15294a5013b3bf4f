"""Pages of HTML from the templates in `templates/`.

A page loads nothing from a network and runs no script. Templates escape every value that is not
`Markup`, and show control characters as in the terminal, so that no name, path or message of
others becomes markup.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from datm_cli.options import named
from datm_cli.text.escapes import printable
from datm_engine.errors import ConfigError, Setting
from datm_engine.formatting import setting
from datm_engine.version import __version__

SUFFIXES = (".html", ".htm")


def render(template: str, **values: object) -> Markup:
    """A template of `templates/` with these values in it."""
    return Markup(environment().get_template(template).render(values))


@cache
def environment() -> Environment:
    """Templates share the filters `setting` and `pixels`, and the global `version`."""
    shared = Environment(
        loader=PackageLoader("datm_cli.report"),
        autoescape=True,
        # Runs before a value is escaped.
        finalize=lambda value: value if isinstance(value, Markup) else printable(value),
        undefined=StrictUndefined,  # a value that is missing is an error and not an empty string
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shared.filters |= {"setting": setting, "pixels": pixels}
    shared.globals |= {"version": __version__}
    return shared


def source(template: str) -> str:
    """The text of a file of `templates/`."""
    return (Path(__file__).parent / "templates" / template).read_text(encoding="utf-8")


def pixels(value: float) -> str:
    """A coordinate of SVG, to a tenth."""
    return f"{round(value, 1):g}"


def check_page(argument: str, path: Path, kind: str) -> None:
    """Raises ConfigError if `path` is no page's, or if it is a file, but no page of this kind: only
    such are replaced.

    kind: "report of a run", as the template's meta tag "generator" states it.
    """
    named(argument, path, "report.html")
    if path.suffix.lower() not in SUFFIXES:
        wrong = f"--{argument} {path}: a page is written as {' or '.join(SUFFIXES)}"
        raise ConfigError(wrong, Setting(argument, path.with_suffix(SUFFIXES[0])))
    generator = f'<meta name="generator" content="datm {kind}">'
    if path.is_file() and generator not in path.read_text("utf-8", errors="replace"):
        wrong = f"{path} is there already, and no {kind}"
        raise ConfigError(wrong, Setting(argument, path.with_name(f"{path.stem}-2{path.suffix}")))
