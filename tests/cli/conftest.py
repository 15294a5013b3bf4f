"""Commands as a person or a program types them, and what every error must look like."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from datm_cli.app import app
from datm_cli.main import main
from datm_engine.runs import event_log, events
from datm_engine.runs.directory import Run
from datm_engine.settings import presets
from datm_engine.settings.config import build, overlay
from tests.conftest import TINY

SHELL = {"cp", "mkdir", "rm", "mv", "df", "chmod", "pip", "ls", "tar", "wget", "unzip"}
FOLDER = ["--preset", "digits", "--set", "dataset.train_images=all"]


class Answer:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert len(self.out.strip().splitlines()) == 1, self.out
        return json.loads(self.out)

    @property
    def hint(self) -> str:
        return self.err.strip().splitlines()[-1].removeprefix("hint: ")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A --config file that makes a run tiny."""
    lines = []
    for table, keys in TINY.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    path = tmp_path / "tiny.toml"
    path.write_text("\n".join(lines))
    assert tomllib.loads(path.read_text()) == TINY
    return path


@pytest.fixture
def datm(
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Answer]:
    """Type a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATM_DATA_DIR", str(data_dir))
    monkeypatch.setenv("DATM_COMPILE", "off")  # to count the work of a tiny run takes longest
    monkeypatch.setenv("COLUMNS", "120")

    def type_(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["datm", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return Answer(int(left.value.code or 0), printed.out, printed.err)

    return type_


def recorded(runs_dir: Path, name: str, history: list[events.Event], **over: dict[str, Any]) -> Run:
    """A run that never was: what an engine would have written, by these events."""
    config = build(overlay(presets.load("digits-ipc1"), over), "the tests' settings")
    facts = {
        "source": "preset digits-ipc1",
        "presets": ["digits-ipc1"],
        "device": "cpu (2 threads)",
        "arithmetic": {"precision": "float32", "memory": 0, "compile": "off", "compiled": {}},
        "environment": {
            "python": "3.11.9",
            "torch": "2.15.0",
            "platform": "Linux-6",
            "host": "den",
        },
    }
    run = Run.create(runs_dir, name, config, facts)
    run.event_log.write_text("".join(event_log.to_json(event) + "\n" for event in history))
    return run


def assert_two_lines(answer: Answer, code: int, error: str, hint: str) -> None:
    """An error is two lines, whatever came before it: what is wrong, and a command to type."""
    lines = answer.err.strip().splitlines()
    text = lines[next(i for i, line in enumerate(lines) if line.startswith("error: ")) :]
    assert answer.code == code, answer.err
    assert len(text) == 2, answer.err
    assert error in text[0]
    assert text[1].startswith("hint: ")
    assert hint, "a test names a part of the hint"
    assert hint in text[1]
    assert "Traceback" not in answer.err
    assert_can_be_typed(answer.hint)


def assert_can_be_typed(hint: str) -> None:
    """Every part is a command, and datm's own have only options and values that it takes."""
    for part in hint.split(" && "):
        name, *words = shlex.split(part, comments=True)
        placeholders = [word for word in words if re.fullmatch("<?[A-Z]{3,}>?", word)]
        assert not placeholders, hint
        if name != "datm":
            assert name in SHELL, hint
        elif words[-1] == "--help":
            assert words[0] in (*get_command(app).commands, "--help"), hint
        else:
            get_command(app).commands[words[0]].make_context(words[0], words[1:])


def image_folder(root: Path, *, classes: int = 3, train: int = 12, test: int = 4) -> Path:
    """Noise in class folders, each class of its own brightness."""
    draws = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for c in range(classes):
            folder = root / part / f"class{c}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(60 * c, 60 * c + 80, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return root
