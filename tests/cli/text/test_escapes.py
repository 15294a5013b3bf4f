"""Text from outside on a terminal: control characters are shown, and nothing in it is obeyed."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from datm_cli.report.page import environment
from datm_cli.text import output
from datm_cli.text.escapes import json_text, printable, typeable
from datm_cli.text.progress import Bars, Lines
from datm_cli.text.quadrant_pictures import Grid
from datm_engine.hints import command
from datm_engine.runs import events
from datm_engine.settings.presets import preset_text
from tests.cli.conftest import Answer, image_folder
from tests.conftest import tiny_config

Datm = Callable[..., Answer]
TITLE = "\x1b]0;title\x07ant"  # sets the title of the terminal's window


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, r"\x1b]0;title\x07ant"),
        ("\x00\t\n\r\x1f", r"\x00\t\n\r\x1f"),
        ("\x7f\x80\x85\x9b31m\x9f", r"\x7f\x80\x85\x9b31m\x9f"),
        ("\u202eexe.ant\u202c\u2066\u2069", r"\u202eexe.ant\u202c\u2066\u2069"),
        ("a\u200bb\ufeff\u2028\u2029\u061c", r"a\u200bb\ufeff\u2028\u2029\u061c"),
        ("caf\udce9", r"caf\udce9"),
        ("[red]cow[/red] :cow: \\x1b", "[red]cow[/red] :cow: \\x1b"),
        ("é ü 猫 ¡ÿ\xa0 κ שלום", "é ü 猫 ¡ÿ\xa0 κ שלום"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
    ],
)
def test_control_characters_are_escaped_and_every_script_is_kept(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(printable(text)) == shown


def test_only_line_breaks_of_datm_are_kept() -> None:
    assert printable("error: a\nhint: \x1b[2Jb\r\n", lines=True) == "error: a\nhint: \\x1b[2Jb\\r\n"


def test_json_says_the_same_without_a_control_character() -> None:
    value = {"猫\x9b": "".join(map(chr, range(0x180))) + "\u202e\u2066\udcff"}
    for indent in (None, 2):
        text = json_text(value, indent)
        assert json.loads(text) == value
        assert printable(text, lines=True) == text
        assert "猫" in text
    assert "\n" not in json_text(value)


@pytest.mark.parametrize(
    "word", [TITLE, "a'b\x07'c", "tab\there", "a\nb", "\\x41\x9b", "\u202e", "plain"]
)
def test_a_hint_with_control_characters_can_be_typed(word: str) -> None:
    hint = typeable(command("printf", "%s", word))
    assert printable(hint) == hint
    ran = subprocess.run(["bash", "-c", hint], capture_output=True, env={"LC_ALL": "C.UTF-8"})
    assert ran.stdout.decode() == word


def test_tables_show_names_as_they_are_and_as_wide_as_they_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    table = Table(box=None, pad_edge=False)
    table.add_column("[bold]class\x07", no_wrap=True)
    table.add_column("n")
    table.add_row(TITLE, "1")
    table.add_row("[red]cow[/red] :cow:", "2")
    output.results().print(table)
    assert capsys.readouterr().out.splitlines() == [
        r"[bold]class\x07       n",
        r"\x1b]0;title\x07ant   1",
        r"[red]cow[/red] :cow:  2",
    ]


def test_no_renderable_gets_a_control_character_past_the_console(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Raw:
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            yield Segment("\x1b]0;title\x07")
            yield Text("\x1b[2Ja\x9b")

    output.results().print(Raw())
    assert capsys.readouterr().out == "\\x1b]0;title\\x07\\x1b[2Ja\\x9b\n"


def test_captions_of_pictures_are_cut_after_they_are_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import numpy as np

    output.results().print(Grid(np.zeros((1, 8, 8, 1), np.uint8), [TITLE]))
    assert capsys.readouterr().out.splitlines()[-1] == r"\x1b]0;titl…"


@pytest.mark.parametrize("kind", [Lines, Bars])
def test_events_of_others_are_a_line_each(
    kind: type[Lines | Bars], capsys: pytest.CaptureFixture[str]
) -> None:
    with kind(output.remarks()) as screen:
        screen.read(events.Noted(text=f"[red]{TITLE}[/red]\nerror: not ours"))
        screen.read(events.DatasetProgress(what=f"[red]{TITLE}", done=1, total=1))
    text = capsys.readouterr().err
    assert r"[red]\x1b]0;title\x07ant[/red]\nerror: not ours" in text.replace("\n", "")
    assert printable(text, lines=True) == text


def test_errors_show_control_characters_in_both_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(f"{TITLE}\x85\x0b\x1cb\n  c", "datm inspect 'a\x1b b'", as_json=False)
    text = capsys.readouterr().err
    assert text == (
        "error: \\x1b]0;title\\x07ant\\x85\\x0b\\x1cb c\nhint: datm inspect $'a\\x1b b'\n"
    )
    output.print_error("\x7f\x9b", "\u202e", as_json=True)
    assert (
        capsys.readouterr().out == '{"error": {"message": "\\u007f\\u009b", "hint": "\\u202e"}}\n'
    )


def test_a_remark_is_one_line_whose_command_can_be_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.remark(f"[b]look at {TITLE}\n: {command('datm', 'inspect', TITLE)}")
    text = r"[b]look at \x1b]0;title\x07ant\n: datm inspect $'\x1b]0;title\x07ant'"
    assert capsys.readouterr().err == text + "\n"


def test_tracebacks_show_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    problem = ValueError(TITLE)
    output.print_traceback(ValueError, problem, None)
    assert capsys.readouterr().err == "ValueError: \\x1b]0;title\\x07ant\n"


def test_a_page_has_no_control_character() -> None:
    template = environment().from_string('<td title="{{ title }}">{{ text }}</td>')
    assert template.render(text=f"{TITLE}<b>\x9b\n", title="\x1b\u202e") == (
        '<td title="\\x1b\\u202e">\\x1b]0;title\\x07ant&lt;b&gt;\\x9b\\n</td>'
    )


def test_a_preset_of_a_dataset_with_such_a_name_can_be_read() -> None:
    name = "a\x1b\x7f\x9b\n[distill]"
    text = preset_text(tiny_config(dataset={"name": name}), [])
    assert tomllib.loads(text)["dataset"]["name"] == name


def test_class_names_are_shown_escaped_and_kept_in_files(
    datm: Datm, tmp_path: Path, settings: Path
) -> None:
    names = (TITLE, "\x1b[31mbee", "[red]cow[red]")
    photos = image_folder(tmp_path / "photos")
    for part in ("train", "test"):
        for number, name in enumerate(names):
            (photos / part / f"class{number}").rename(photos / part / name)
    source = ["--config", settings, "--dataset", photos, "--set", "dataset.train_images=all"]
    made = datm("distill", *source, "--ipc", 1, "--iterations", 1, "--name", "r")
    assert made.code == 0, made.err
    inspected = datm("inspect", "r", "--no-tui")
    for name in (r"\x1b]0;title\x07", r"\x1b[31mbee", "[red]cow[red]"):
        assert name in inspected.out
    assert "\x1b" not in made.out + made.err + inspected.out
    result = datm("inspect", "r", "--json")
    assert sorted(result.json["class_names"]) == sorted(names), "files and programs have the names"
    assert "\x1b" not in result.out
    assert datm("inspect", "r", "--class", TITLE, "--no-tui").code == 0
    missing = datm("inspect", "r", "--class", TITLE + "s", "--no-tui")
    assert missing.code == 2
    assert r"error: --class \x1b]0;title\x07ants: " in missing.err
    assert missing.hint.endswith(r"--class $'\x1b]0;title\x07ant'")
