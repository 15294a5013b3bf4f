"""The published windows beside the rules', as the documentation shows them."""

from __future__ import annotations

from benchmarks.windows import table
from tests.conftest import ROOT

DOCS = ROOT / "docs" / "unpublished.md"


def test_the_documentation_has_the_table_as_the_rules_are() -> None:
    assert table() in DOCS.read_text(encoding="utf-8"), "python -m benchmarks.windows"
