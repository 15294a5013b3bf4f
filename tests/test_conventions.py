"""The source keeps its conventions: sizes, names, comments and plain words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("datm_engine", "datm_cli")
MAX_LINES = 60  # of a function, its docstring included
MAX_PARAMETERS = 8
MIN_COMMENTS = 0.03  # of all lines
SHARED_NAMES = {"__init__", "__main__"}  # of modules

# Words that plain technical English has no use for. They are searched for in everything that is
# written: names (is_told, toldBy), docstrings, comments, messages and pages.
WORDS = (
    r"tells?|telling|told",
    r"hears?|heard|hearing",
    r"in vain",
    r"at hand",
    r"makes? way",
    r"gives? (?:its|their|the) place",
    r"goes on|go on|going on|went on|gone on",
    r"without a word|word for word(?! in)",
    r"thereof|whereof|hence",
)
# But `.tell(` calls a method of files and of Optuna's studies.
AVOIDED = re.compile(
    rf"(?!(?<=\.)tell\()(?<![a-zA-Z])(?:{'|'.join(WORDS)})(?![a-zA-Z])", re.IGNORECASE
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def sources() -> dict[Path, ast.Module]:
    """Every module of the source, relative to the root."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in paths}


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, Function]]:
    """Every function below a node with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef):
            name = f"{owner}{node.name}"
            if not isinstance(node, ast.ClassDef):
                yield name, node
            yield from functions(node, f"{name}.")
        else:
            yield from functions(node, owner)


def parameters(function: Function) -> list[str]:
    """The names of what a caller hands in."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    every += [extra for extra in (given.vararg, given.kwarg) if extra]
    return [each.arg for each in every if each.arg not in ("self", "cls")]


def is_command(path: Path, function: Function) -> bool:
    """Whether it is a subcommand, whose signature typer reads as its options."""
    return path.parent == Path("datm_cli/commands") and function.name == path.stem


def lines(path: Path, function: Function) -> int:
    first = function.body[0] if is_command(path, function) else function
    assert function.end_lineno is not None
    return function.end_lineno - first.lineno + 1


def test_a_function_fits_on_a_screen() -> None:
    assert [
        f"{path}: {name}"
        for path, tree in sources().items()
        for name, function in functions(tree)
        if lines(path, function) > MAX_LINES
    ] == []


def test_a_function_takes_few_parameters() -> None:
    assert [
        f"{path}: {name}"
        for path, tree in sources().items()
        for name, function in functions(tree)
        if len(parameters(function)) > MAX_PARAMETERS and not is_command(path, function)
    ] == []


def test_no_two_classes_share_a_name() -> None:
    counts = Counter(
        node.name
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_two_modules_share_a_name() -> None:
    """A subcommand may have the name of the module that it calls."""
    counts = Counter(
        path.stem
        for path in sources()
        if path.stem not in SHARED_NAMES and path.parent != Path("datm_cli/commands")
    )
    assert [name for name, count in counts.items() if count > 1] == []


def imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports anywhere, also within functions and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
            yield node.module


def test_imports_form_no_ring() -> None:
    paths = [*sources(), *(p.relative_to(ROOT) for p in (ROOT / "benchmarks").rglob("*.py"))]
    names = (".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths)
    modules = dict(zip(names, paths, strict=True))
    graph = {
        name: {*imports(ast.parse((ROOT / path).read_text("utf-8")))} & modules.keys() - {name}
        for name, path in modules.items()
    }
    for name, imported in graph.items():  # `from package import module` needs the module alone
        graph[name] = {
            each
            for each in imported
            if modules[each].name != "__init__.py"
            or not any(other.startswith(f"{each}.") for other in imported)
        }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names a ring


def test_comments_help_a_reader() -> None:
    comments = total = 0
    for path in sources():
        text = (ROOT / path).read_text("utf-8")
        total += text.count("\n")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments += sum(token.type == tokenize.COMMENT for token in tokens)
    assert comments >= MIN_COMMENTS * total


def written() -> Iterator[Path]:
    """Everything that is written for people: code, templates, presets and pages."""
    for pattern in ("*.md", "docs/**/*.md", "presets/**/*.toml"):
        yield from ROOT.glob(pattern)
    for package in (*PACKAGES, "tests", "benchmarks"):
        for suffix in ("py", "html", "jinja", "css", "tcss"):
            yield from (ROOT / package).rglob(f"*.{suffix}")


def test_words_are_plain() -> None:
    found = defaultdict(list)
    for path in written():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for match in AVOIDED.finditer(line):
                found[str(path.relative_to(ROOT))].append(f"{number}: {match[0]}")
    assert found == {}


def test_the_words_are_found_in_names_and_sentences() -> None:
    """What is searched for is found, and nothing that only contains it."""
    for text in ("was_told", "TOLD = 1", "it goes on with", "He tells.", "in vain"):
        assert AVOIDED.search(text), text
    for text in ("hearth", "stellar", "cargo on board", "sheared", "at handles", "file.tell()"):
        assert not AVOIDED.search(text), text
