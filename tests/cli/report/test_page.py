"""What a page replaces: an earlier one of its kind, and no other file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datm_cli.report.page import check_page, render
from datm_engine.errors import ConfigError
from datm_engine.hints import fix_text
from tests.cli.conftest import Answer, assert_two_lines, recorded
from tests.cli.dashboard.conftest import story


def page(kind: str) -> str:
    return render("page.html.jinja", kind=kind, title="title")


def test_only_a_page_of_its_kind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    check_page("to", path, "report of a run")
    path.write_text(page("report of a run"))
    check_page("to", path, "report of a run")
    for other in (page("report of a study"), "<p>mine</p>", ""):
        path.write_text(other)
        with pytest.raises(ConfigError, match="is there already, and no report of a run") as result:
            check_page("to", path, "report of a run")
        assert fix_text(result.value.fix) == f"--to {tmp_path / 'page-2.html'}"


def test_pages_of_others_are_left_alone(datm: Callable[..., Answer], tmp_path: Path) -> None:
    recorded(tmp_path / "runs", "demo", story(3))
    mine = Path("thesis.html")
    mine.write_text("<!DOCTYPE html><p>mine</p>")
    for words in (["report", "demo", "--to"], ["experts", "--inspect", "--save"]):
        assert_two_lines(datm(*words, mine), 2, "is there already", f"{words[-1]} thesis-2.html")
    assert "mine" in mine.read_text()
