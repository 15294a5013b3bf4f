"""A folder that looks like a run, with anything in its files: it is listed, and looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from datm_engine.data.preprocessing import Normalization
from datm_engine.errors import DatmError
from datm_engine.runs.directory import Run
from datm_engine.synthetic import SyntheticSet
from tests.conftest import tiny_config
from tests.fuzz.conftest import JUNK, TOO_DEEP, Answer, assert_fine_or_two_lines, write

Type = Callable[..., Answer]
CONFIG = tiny_config().model_dump()
ANY_JSON = JUNK.map(json.dumps).map(str.encode)
ANY_FACTS = st.fixed_dictionaries(
    {"config": st.just(CONFIG) | JUNK},
    optional={
        **dict.fromkeys(("options", "created", "source", "log", "digest"), JUNK),
        "arithmetic": JUNK | st.fixed_dictionaries(
            {"precision": JUNK, "memory": JUNK, "compile": JUNK, "compiled": JUNK}
        ),
    },
).map(lambda facts: json.dumps(facts).encode())  # fmt: skip
NAMES = (
    "run.json", "events.jsonl", "process.json", "preview.safetensors", "checkpoint.safetensors",
    "distilled.safetensors", "samples/initial.safetensors", "samples/000003.safetensors", "lock",
    "engine.log",
)  # fmt: skip


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A distilled set's file."""
    path = tmp_path_factory.mktemp("product") / "distilled.safetensors"
    preprocessing = Normalization(torch.zeros(1), torch.ones(1))
    names = tuple("0123456789")
    images, labels = torch.rand(10, 1, 8, 8), torch.zeros(10, 10)
    SyntheticSet(images, labels, 0.1, preprocessing, "digits", names, 0).save(path)
    return path.read_bytes()


@given(
    files=st.dictionaries(st.sampled_from(NAMES), ANY_JSON | st.binary(max_size=99)),
    facts=ANY_FACTS,
)
@example(files={}, facts=TOO_DEEP.encode())
@example(files={"process.json": TOO_DEEP.encode()}, facts=json.dumps({"config": CONFIG}).encode())
@example(files={}, facts=json.dumps({"config": CONFIG, "arithmetic": {}}).encode())
@example(files={"events.jsonl": b"\n{}\n[]"}, facts=b'{"config": {}, "created": NaN}')
def test_any_run(
    files: dict[str, bytes], facts: bytes, type_: Type, product: bytes, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    for name, content in {"run.json": facts, "distilled.safetensors": product, **files}.items():
        write(runs / "r" / name, content)
    for words in (
        ["runs"],
        ["runs", "--json"],
        ["inspect", "r", "--no-tui"],
        ["evaluate", "r", "--dataset", "/nowhere"],  # one that is possible would take minutes
        ["compare", "r", "r"],
        ["report", "r", "--to", tmp_path / "r.html"],
        ["export", "r", "--format", "images", "--to", tmp_path / "files"],
    ):
        assert_fine_or_two_lines(type_(*words, "--runs-dir", runs))
    run = Run(runs / "r")
    try:
        run.state()
        run.config()
        run.status()
    except DatmError:
        return


@given(facts=ANY_FACTS)
def test_a_run_of_anything_is_not_gone_on_with(facts: bytes, type_: Type, tmp_path: Path) -> None:
    write(tmp_path / "runs/r/run.json", facts)
    words = ["--runs-dir", tmp_path / "runs", "--data-dir", "/nowhere", "--dataset", "/nowhere"]
    answer = type_("distill", "--resume", "r", *words)
    assert_fine_or_two_lines(answer)
    assert answer[0] != 0
