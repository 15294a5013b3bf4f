"""Pages as a browser reads them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"br", "col", "img", "meta"}
ASKS = ("src", "href", "srcset", "action", "data", "poster", "xlink:href")


class Reader(HTMLParser):
    """The text of a page, its elements with their attributes, and whether every one is closed."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_stands_alone(page: str) -> None:
    """Nothing is asked of a network and nothing is run."""
    read = Reader(page)
    names = {name for name, _ in read.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base"}
    for name, attributes in read.elements:
        for key, value in attributes.items():
            assert not key.startswith("on"), (name, key)
            if key in ASKS:
                assert value.startswith("data:"), (name, key, value[:80])
            assert "url(" not in value
    style = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page.replace("&#x27;", "'")
