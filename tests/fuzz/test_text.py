"""Control characters and markup in every name, path, message and fact that others wrote: no
command lets one of them through."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datm_cli.studies import study_files, study_tables
from datm_cli.text import output
from datm_cli.text.progress import Bars, Lines
from datm_cli.tuning import tune_output
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.studies.study_plan import plan_windows
from datm_engine.studies.study_results import read_study
from tests.cli.dashboard.conftest import story
from tests.conftest import tiny_config
from tests.fuzz.conftest import Answer, assert_fine_or_two_lines
from tests.fuzz.hostile import (
    FILE,
    HOSTILE,
    NAME,
    SPOOF,
    assert_clean,
    hostile,
    hostile_events,
    make_run,
    make_tune,
    write_log,
)  # fmt: skip
from tests.studies.conftest import recorded_run, row

Type = Callable[..., Answer]
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\0\a\b\t\n\v\f\r\x1b\x7f\x85\x90\x9b\x9c\u2028\u202e\u2066[]/\\'\"a猫 "),
        st.characters(exclude_characters="\ud800", exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=12,
)
WORDS = TEXTS.filter(lambda text: not text.startswith("-"))  # as the value of an option
PATHS = WORDS.filter(lambda text: not {"/", "\0"} & set(text) and text.strip(". "))


COMMANDS: list[list[object]] = [
    ["runs"],
    ["runs", "--json"],
    ["runs", "--runs-dir", HOSTILE],
    ["inspect", NAME, "--no-tui"],
    ["inspect", NAME, "--no-tui", "--all", "--start", "--large"],
    ["inspect", NAME, "--json"],
    ["inspect", NAME, "--no-tui", "--save", f"{NAME}.png", "--captions"],
    ["inspect", NAME, "--class", HOSTILE],
    ["inspect", NAME, NAME],
    ["inspect", FILE, "--no-tui"],
    ["inspect", FILE, "--last"],
    ["inspect", f"{HOSTILE}.safetensors"],
    ["inspect", HOSTILE],
    ["compare", NAME, "other"],
    ["compare", NAME, "other", "--json"],
    ["compare", NAME, FILE],
    ["report", NAME, "--to", f"{NAME}.html"],
    ["report", NAME, "--to", f"{NAME}.html", "--json"],
    ["report", NAME],
    ["report", "other"],
    ["report", NAME, "--to", NAME],
    ["monitor", NAME],
    ["monitor", HOSTILE],
    ["stop", NAME],
    ["stop", HOSTILE, "--json"],
    *(["export", NAME, "--format", form, "--to", f"{NAME}-{form}"] for form in (
        "official", "mtt", "ddranking", "images", "parquet", "tensorboard",
    )),
    ["export", NAME, "--format", "grid", "--to", f"{NAME}-grid.png"],
    ["export", NAME, "--format", "grid", "--to", NAME],
    ["export", NAME, "--format", HOSTILE, "--to", NAME],
    ["export", NAME, "--format", "official", "--to", f"{NAME}-json", "--json"],
    ["import", f"{HOSTILE}.pt", "--to", HOSTILE],
    ["import", f"{HOSTILE}.pt", "--to", HOSTILE, "--json"],
    ["import", FILE, "--to", NAME],
    ["evaluate", NAME],
    ["evaluate", NAME, "--dataset", f"/{HOSTILE}"],
    ["evaluate", NAME, "--networks", HOSTILE],
    ["evaluate", FILE, "--against", HOSTILE],
    ["evaluate", HOSTILE, "--json"],
    ["distill", "--dataset", HOSTILE],
    ["distill", "--preset", HOSTILE],
    ["distill", "--method", HOSTILE],
    ["distill", "--config", HOSTILE],
    ["distill", "--config", "damaged.toml"],
    ["distill", "--set", HOSTILE],
    ["distill", "--set", f"distill.{HOSTILE}=1"],
    ["distill", "--set", f"dataset.name='{HOSTILE}'"],
    ["distill", "--resume", NAME],
    ["distill", "--resume", HOSTILE],
    ["distill", "--name", HOSTILE, "--preset", "digits", "--ipc", 1],
    ["distill", "--ipc", HOSTILE],
    ["distill", f"--{HOSTILE}"],
    ["distill", "--device", HOSTILE],
    ["distill", "--log", HOSTILE],
    ["experts", "--config", f"runs/{NAME}/run.json"],
    ["experts", "--config", f"runs/{NAME}/run.json", "--inspect", "--save", HOSTILE],
    ["doctor"],
    ["doctor", "--dataset", HOSTILE],
    ["doctor", "--device", HOSTILE],
    ["study", HOSTILE],
    ["study", "window", "--dataset", HOSTILE],
    ["study", "methods", "--methods", HOSTILE],
    ["study", "window", "--to", FILE, "--preset", "digits", "--ipc", 1],
    ["tune", "--dataset", HOSTILE],
    ["tune", "--budget", HOSTILE],
    [HOSTILE],
]  # fmt: skip


@pytest.fixture
def furnished(place: Path) -> Path:
    """Two runs and a file of settings."""
    make_run(Path("runs") / NAME, hostile_events())
    ended = events.RunEnded(status=HOSTILE, iteration=20)
    make_run(Path("runs/other"), [*story(20), ended], "other")
    Path("damaged.toml").write_text(f'[dataset]\n"{SPOOF}\x1b[2J" = \x9b')
    Path(NAME).mkdir()
    (Path(NAME) / "kept").touch()
    return place


def test_no_command_prints_a_control_character(
    furnished: Path, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATM_DATA_DIR", str(furnished / "data"))
    monkeypatch.setattr("datm_engine.calibration.step_timing.compiler_fault", lambda on: HOSTILE)
    codes = []
    for words in COMMANDS:
        code, out, err = type_(*words)
        if "--json" not in words:
            assert_fine_or_two_lines((code, out, err))
        assert_clean(out)
        assert_clean(err)
        codes.append(code)
        if "--json" in words:
            assert json.loads(out)
    assert codes.count(0) >= 18, "the files are read, and shown"
    for path in (*furnished.glob("*.html"), *furnished.glob("*.svg"), *furnished.glob("*.md")):
        assert_clean(path.read_text(encoding="utf-8"))
    assert list(furnished.glob("*.html"))


def test_names_stand_in_what_is_printed_and_are_kept_in_what_is_read(
    furnished: Path, type_: Type
) -> None:
    _, out, _ = type_("inspect", NAME, "--no-tui")
    assert r"[red]cow[/red]\x1b]0;t\x07\x9b2J:cow:\t\x0b" in out
    code, out, err = type_("inspect", NAME, "--json")
    assert code == 0, err
    assert json.loads(out)["class_names"] == [f"{HOSTILE}{number}" for number in range(3)]


@pytest.mark.parametrize("kind", [Lines, Bars])
def test_no_event_prints_a_control_character(
    kind: type[Lines | Bars], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with kind(output.remarks()) as screen:
        for event in hostile_events():
            screen.read(event)
    printed = capsys.readouterr().err
    assert r"\x1b]0;t\x07" in printed
    assert_clean(printed)


def test_no_study_has_a_control_character(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config(dataset={"name": HOSTILE}, distill={"ipc": 1})
    named = plan_windows(HOSTILE, {1: config})
    runs = tuple(replace(run, name=run.name.replace("/", "|")) for run in named.runs)
    plan = replace(named, runs=runs)
    for planned in plan.runs:  # a name that runs may not be given; those of others may have it
        run = recorded_run(place, replace(planned, name="r"), [row("distilled", 50.0)])
        run.path.rename(place / planned.name)
    failed = events.RunEnded(status="failed", iteration=1, message=HOSTILE, hint=HOSTILE)
    write_log(Run(place / plan.runs[-1].name), [failed])
    study = read_study(plan, place)
    assert study.runs[-1].message == HOSTILE
    output.results().print(study_tables.terminal_table(study))
    assert_clean(capsys.readouterr().out)
    for path in study_files.write(study, place, place / "result"):
        assert_clean(path.read_text(encoding="utf-8"))


def test_no_tune_prints_a_control_character(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tune = make_tune(place / "tune")
    state = tune.state()
    trials = state.trials
    output.results().print(tune_output.trials_table(trials))
    with Lines(output.remarks()) as screen:
        for trial in trials.all.values():
            screen.read(events.Noted(text=tune_output.trial_line(trial)))
    output.print_json(tune_output.facts(tune, state))
    printed = capsys.readouterr()
    assert_clean(printed.out + printed.err)
    tune_output.write_preset(tune, state, HOSTILE, None)
    text = tune.preset.read_text(encoding="utf-8")
    assert tomllib.loads(text)["dataset"]["name"] == HOSTILE
    assert_clean(text.partition("\n\n[")[0])


@settings(max_examples=8)
@given(text=WORDS)
@example(text=HOSTILE)
def test_no_error_prints_a_control_character(text: str, type_: Type, tmp_path: Path) -> None:
    for words in (
        ["inspect", text],
        ["distill", "--dataset", text, "--ipc", text],
        ["distill", "--set", text],
        ["compare", text, text, "--json"],
    ):
        code, out, err = type_(*words, "--runs-dir", tmp_path)
        assert code
        assert_clean(out)
        assert_clean(err)


@pytest.mark.slow
@settings(max_examples=100)
@given(text=PATHS)
def test_no_command_prints_anything_that_a_terminal_obeys(
    text: str, type_: Type, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runs = tmp_path_factory.mktemp("runs")
    make_run(runs / text, [hostile(event, text) for event in story(20)], text)
    for words in (
        ["runs"],
        ["inspect", text, "--no-tui"],
        ["inspect", text, "--json"],
        ["compare", text, text],
        ["report", text, "--to", runs / "page.html"],
        ["export", text, "--format", "images", "--to", runs / "images"],
    ):
        answer = type_(*words, "--runs-dir", runs)
        assert_fine_or_two_lines(answer)
        assert_clean(answer[1])
        assert_clean(answer[2])
    if (runs / "page.html").exists():
        assert_clean((runs / "page.html").read_text(encoding="utf-8"))
