"""HTML and SVG as text. Whatever is not `Html` is escaped, so that no name, path or message can
become markup."""

from __future__ import annotations

from html import escape

from datm_cli.text.escapes import printable

_VOID = frozenset({"br", "col", "img", "meta"})


class Html(str):
    """Markup that needs no escaping."""


def html(*content: object) -> Html:
    """Join the parts, each escaped unless it is Html; None is left out."""
    return Html(
        "".join(
            part if isinstance(part, Html) else _escaped(part)
            for part in content
            if part is not None
        )
    )


def tag(name: str, /, *content: object, **attributes: object) -> Html:
    """`tag("td", "a < b", class_="number")`. In an attribute's name _ stands for -, at its end for
    nothing; one that is None or False is left out."""
    stated = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{stated}>")
    return Html(f"<{name}{stated}>{html(*content)}</{name}>")


def _escaped(content: object) -> str:
    return escape(printable(content))
