"""The commands in README.md and docs/ parse, their settings resolve, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException
from typer.testing import CliRunner

from datm_cli.app import app
from datm_cli.commands.export import FORMATS
from datm_cli.resolve import GivenSettings, overrides
from datm_cli.studies.study_request import StudyRequest
from datm_engine.compute import requested, threads
from datm_engine.data.datasets import NAMES
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import ConfigError
from datm_engine.interop import tracking
from datm_engine.settings.config import build, overlay, parse_assignments
from datm_engine.synthetic import SyntheticSet
from datm_engine.tuning.trial_scheduler import parse_budget
from tests.conftest import ROOT

README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
PROGRAMS = ("datm", "make", "pip", "torchrun", "python", "sbatch")
LONGEST_README = 150  # lines
SETTLED = (
    "distill",
    "experts",
    "doctor",
    "tune",
)  # they take the options of GivenSettings


@dataclass(frozen=True)
class Block:
    """Lines of code in a page: fenced, with the fence's language, or indented by four spaces."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each line that calls one of PROGRAMS, without comments and ellipses."""
        lines = self.text.replace("\\\n", " ").splitlines()
        called = [line for line in lines if line.split(" ")[0] in PROGRAMS]
        words = [shlex.split(line, comments=True) for line in called]
        return [[word for word in line if word != "…"] for line in words]


CODE = re.compile(
    r"^```(?P<language>\w*)\n(?P<fenced>(?:.*\n)*?)```$"
    r"|(?<=\n\n)(?P<indented>(?:    .*\n|\n(?=    ))+)",
    re.MULTILINE,
)


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8") + "\n"
    for found in CODE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        code = found["fenced"] or re.sub("^    ", "", found["indented"], flags=re.MULTILINE)
        yield Block(page, line, found["language"] or "", code)


def typed(*programs: str) -> list[Any]:
    """Every command of these programs in the pages, named by its page and line."""
    return [
        pytest.param(words, id=f"{block.page.name}:{block.line}:{' '.join(words)[:60]}")
        for page in (README, *PAGES)
        for block in blocks(page)
        for words in block.commands
        if words[0] in programs
    ]


def arguments(words: list[str]) -> list[str]:
    """What datm is given: `datm …`, `torchrun … -m datm_cli …` or `sbatch docs/datm.sbatch …`."""
    if words[0] == "torchrun":
        return words[words.index("datm_cli") + 1 :]
    return ["distill", *words[2:]] if words[0] == "sbatch" else words[1:]


def parsed(given: list[str]) -> tuple[str, dict[str, Any]]:
    """The command and its parameters. Raises Typer's usage errors for what does not parse."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("datm", list(given))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    if {"--help", "-h"} & set(rest):
        return name, {}
    return name, command.make_context(name, rest, parent=context).params


def settle(parameters: dict[str, Any], data_dir: Path) -> None:
    """Resolve the settings; in a dataset's stead that is not built in, those of digits."""
    dataset = parameters["dataset"]
    flags: dict[str, Any] = {}
    if parameters.get("resolution"):
        flags["dataset"] = {"resolution": parameters["resolution"]}
    GivenSettings(  # without --config, which names files of the reader's own
        dataset="digits" if dataset not in (None, *NAMES) else dataset,
        flags=flags,
        assignments=parameters["assignments"] or [],
        data_dir=data_dir,
        **{key: parameters[key] for key in ("ipc", "preset", "method", "window")},
    ).resolve()


def settle_study(parameters: dict[str, Any], data_dir: Path) -> None:
    dataset = parameters["dataset"]
    given = GivenSettings(
        dataset="digits" if dataset not in (None, *NAMES) else dataset,
        preset=parameters["preset"],
        assignments=parameters["assignments"] or [],
        data_dir=data_dir,
    )
    own = {key: parameters[key] for key in ("kind", "ipcs", "methods", "name")}
    StudyRequest(**own, given=given).plan()


def listed(text: str | None) -> list[str]:
    return [] if text in (None, "none") else str(text).split(",")


def check_values(parameters: dict[str, Any], data_dir: Path) -> None:
    """The values that Typer leaves to the commands."""
    assert parameters.get("precision", "auto") in requested.PRECISIONS
    assert parameters.get("compiling", "auto") in requested.COMPILING
    requested.parse_memory(parameters.get("memory", "auto"))
    threads.parse_threads(parameters.get("threads", "auto"))
    parse_budget(parameters.get("budget", "20"))
    assert parameters.get("form", "grid") in FORMATS
    assert {*listed(parameters.get("log"))} <= {*tracking.TRACKERS}
    own = {
        "networks": listed(parameters.get("networks")) or ["convnet"],
        "against": listed(parameters.get("against")),
    }
    base = GivenSettings(data_dir=data_dir, dataset="digits", ipc=1).resolve().config
    stated = overrides({"evaluate": own}, parse_assignments(parameters.get("assignments") or []))
    names = overlay(base.model_dump()["evaluate"], stated["evaluate"])
    build(overlay(base.model_dump(), {"evaluate": names}), "the page")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No option is given by a variable."""
    for name in ("DATASET", "IPC", "PRESET", "METHOD", "WINDOW", "CONFIG", "RESOLUTION"):
        monkeypatch.delenv(f"DATM_{name}", raising=False)


@pytest.mark.parametrize("words", typed("datm", "torchrun", "sbatch"))
def test_a_command_of_datm_parses_and_its_settings_resolve(
    words: list[str], tmp_path: Path
) -> None:
    name, parameters = parsed(arguments(words))
    if not parameters:
        return
    if name in SETTLED and not parameters.get("resume"):
        settle(parameters, tmp_path)
    if name == "study":
        settle_study(parameters, tmp_path)
    if not {"evaluate.networks", "evaluate.against"} & _assigned(parameters):
        check_values(parameters, tmp_path)


def _assigned(parameters: dict[str, Any]) -> set[str]:
    return {text.partition("=")[0] for text in parameters.get("assignments") or []}


@pytest.mark.parametrize("words", typed("make"))
def test_a_target_of_make_exists(words: list[str]) -> None:
    assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", typed("pip"))
def test_an_extra_exists(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for what in words[2:]:
        found = re.fullmatch(r"datm\[(\w+)\]", what)
        assert found, what
        assert found[1] in project["optional-dependencies"]


@pytest.mark.parametrize("words", typed("python"))
def test_a_module_exists_and_takes_the_options(words: list[str]) -> None:
    assert words[1] == "-m"
    place = ROOT / words[2].replace(".", "/")
    main = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    source = main.read_text(encoding="utf-8")
    if "benchmarks.command_line" in source:  # several benchmarks share their options
        source += (ROOT / "benchmarks/command_line.py").read_text(encoding="utf-8")
    for option in (word for word in words[3:] if word.startswith("--")):
        assert f'"{option}"' in source, option


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_relative_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_begins_with_a_command(page: Path) -> None:
    first = next(blocks(page))
    assert first.commands
    assert first.text.split(" ")[0] in PROGRAMS


def test_every_page_is_linked_from_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"(docs/{page.name})" not in text] == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_a_wrong_command_is_found(tmp_path: Path) -> None:
    """These tests would see a command, an option, a preset or a key that does not exist."""
    for wrong in ("distil", "distill --ipcs 1", "distill --ipc none", "inspect"):
        with pytest.raises(TyperException):
            parsed(wrong.split())
    for wrong in ("--set distill.step=1", "--preset cifar11", "--method mt", "--window noon"):
        with pytest.raises(ConfigError):
            settle(parsed(["distill", *wrong.split()])[1], tmp_path)


def test_options_in_text_and_tables_exist() -> None:
    """Every `--option` in the pages is one of a command of datm, or of a program in a block."""
    group: Any = typer.main.get_command(app)
    known = {"--help", "--nproc-per-node", "--gpus-per-task", "--kills", "--report", "--size"}
    for command in (group, *group.commands.values()):
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    for page in (README, *PAGES):
        prose = CODE.sub("", page.read_text(encoding="utf-8"))
        stated = set(re.findall(r"(?<![\w#-])--[a-z][a-z-]+", prose))
        assert stated <= known, page.name


def test_variables_in_the_pages_exist() -> None:
    group: Any = typer.main.get_command(app)
    commands = (group, *group.commands.values())
    known = {str(p.envvar) for c in commands for p in c.params if p.envvar}
    stated = set(re.findall(r"DATM_[A-Z_]+", (ROOT / "docs/settings.md").read_text("utf-8")))
    assert stated == known


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["runs", "--json"],
        ["doctor", "--help"],
        ["inspect", "runs/digits-ipc1/distilled.safetensors", "--save", "grid.png"],
        [
            "export",
            "runs/digits-ipc1/distilled.safetensors",
            "--format",
            "images",
            "--to",
            "digits",
        ],
    ],
    ids=" ".join,
)
def test_quick_commands_run(words: list[str], distilled: SyntheticSet) -> None:
    assert CliRunner().invoke(app, words).exit_code == 0


@pytest.mark.parametrize(
    "block",
    [block for block in blocks(ROOT / "docs/python.md") if block.language == "python"],
    ids=lambda block: str(block.line),
)
def test_python_examples_run(block: Block, distilled: SyntheticSet) -> None:
    exec(compile(block.text, str(block.page), "exec"), {})


@pytest.fixture
def distilled(
    digits: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SyntheticSet:
    """A set at the path that the pages name, below the folder in which the test runs."""
    own = [int((digits.train.labels == number).nonzero()[0]) for number in range(10)]
    made = SyntheticSet(
        digits.train.images[own],
        digits.train.labels[own].float().new_ones(10, 10),
        0.05,
        digits.preprocessing,
        "digits",
        digits.class_names,
        iteration=1,
    )
    (tmp_path / "runs/digits-ipc1").mkdir(parents=True)
    made.save(tmp_path / "runs/digits-ipc1/distilled.safetensors")
    monkeypatch.chdir(tmp_path)
    return made
