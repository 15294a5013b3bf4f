"""A page of HTML with its style inside. It loads nothing from a network and runs no script."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from datm_cli.report.markup import Html, html, tag
from datm_engine.errors import ConfigError, Setting

# The browser loads nothing from a network and runs no script, whatever text the page contains.
_ALLOWED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def check_place(argument: str, path: Path, kind: str) -> None:
    """Raise ConfigError if a file at `path` is not a page of this kind: only such are replaced."""
    if path.is_file() and _generator(kind) not in path.read_text("utf-8", errors="replace"):
        wrong = f"{path} is there already, and no {kind}"
        raise ConfigError(wrong, Setting(argument, path.with_name(f"{path.stem}-2{path.suffix}")))


def _generator(kind: str) -> Html:
    return tag("meta", name="generator", content=f"datm {kind}")


def page(kind: str, title: str, *content: object) -> str:
    """The whole file. `kind`: such as "report of a run", by which `check_place` recognises it."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_ALLOWED),
        _generator(kind),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    body = tag("body", tag("main", *content))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def section(title: str, *content: object) -> Html:
    """A heading with its content; nothing if there is no content."""
    if not any(content):
        return Html()
    return tag("section", tag("h2", title), *content)


def table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Collection[int] = ()
) -> Html:
    """A row's first cell is its heading. `numbers`: columns aligned to the right."""

    def look(column: int) -> str | None:
        return "number" if column in numbers else None

    head = [tag("th", text, scope="col", class_=look(n)) for n, text in enumerate(headings)]
    body = []
    for first, *others in rows:
        cells = [tag("td", cell, class_=look(n)) for n, cell in enumerate(others, start=1)]
        body.append(tag("tr", tag("th", first, scope="row", class_=look(0)), *cells))
    parts = [tag("thead", tag("tr", *head)), tag("tbody", *body)]
    return tag("div", tag("table", *parts), class_="scroll", tabindex=0)


def facts(rows: Sequence[tuple[str, object]]) -> Html:
    """A table of names and values; rows with None are left out."""
    body = [
        tag("tr", tag("th", name, scope="row"), tag("td", value))
        for name, value in rows
        if value is not None
    ]
    return tag("table", tag("tbody", *body), class_="facts")


def remark(*content: object) -> Html:
    return tag("p", html(*content), class_="remark")
