"""torch.save's files from anywhere, damaged or made up: they never run code, never claim memory,
and come to tensors or to a DatmError."""

from __future__ import annotations

import io
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datm_engine.errors import DatmError, FileError
from datm_engine.interop import pickles, tensor_files
from tests.fuzz.conftest import Answer, assert_fine_or_two_lines, damaged, write

N, CLASSES = 4, 2


def saved(value: object, *, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


IMAGES, LABELS = torch.rand(N, 3, 4, 4), torch.tensor([0, 0, 1, 1])
RES = {"data": [[IMAGES, LABELS]], "accs_all_exps": {"ConvNet": [0.5]}}
BUFFER = [[[torch.rand(2, 3), torch.rand(2)] for _ in range(3)] for _ in range(2)]
SOUND = [saved(value, zipped=new) for new in (True, False) for value in (IMAGES, RES, BUFFER)]


def read(content: bytes, path: Path) -> None:
    for mapped in (False, True):
        try:
            pickles.read_pickle(write(path, content), mapped=mapped)
        except DatmError as problem:
            assert str(path) in problem.message


@given(content=st.sampled_from(SOUND).flatmap(damaged))
def test_damaged(content: bytes, tmp_path: Path) -> None:
    read(content, tmp_path / "images_best.pt")


@given(content=st.binary(max_size=99))
def test_any_bytes(content: bytes, tmp_path: Path) -> None:
    read(content, tmp_path / "images_best.pt")
    read(b"\x80\x02" + content, tmp_path / "images_best.pt")


@given(
    content=st.sampled_from(SOUND).flatmap(damaged),
    part=st.sampled_from(["images", "labels", "lr", "res"]),
)
def test_damaged_sets_are_imported_or_refused(content: bytes, part: str, tmp_path: Path) -> None:
    contents = {"images": saved(IMAGES), "labels": saved(LABELS), "lr": saved(torch.tensor(0.1))}
    contents[part] = content
    names = ["res"] if part == "res" else ["images", "labels", "lr"]
    paths = [write(tmp_path / f"{name}_best.pt", contents[name]) for name in names]
    try:
        foreign = tensor_files.read_set(paths)
    except DatmError:
        return
    assert foreign.images.ndim == 4
    assert bool(torch.isfinite(foreign.images).all())


SHAPES = st.lists(st.integers(0, 4), max_size=4)
KINDS = st.sampled_from(
    [torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16]
)
ANY_TENSOR = st.builds(lambda shape, dtype: torch.ones(shape, dtype=dtype), SHAPES, KINDS)
ANYTHING = st.recursive(
    ANY_TENSOR | st.none() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(images=ANYTHING, labels=ANYTHING, rate=ANYTHING)
def test_sets_of_anything(images: Any, labels: Any, rate: Any, tmp_path: Path) -> None:
    parts = {"images": images, "labels": labels, "lr": rate}
    paths = [write(tmp_path / f"{name}_best.pt", saved(v)) for name, v in parts.items()]
    res = write(tmp_path / "res_best.pt", saved({"data": [[images, labels]]}))
    for chosen in (paths, paths[:2], [res]):
        try:
            tensor_files.read_set(chosen)
        except DatmError:
            continue


class Code:
    """Unpickling it calls `function(*words)`."""

    def __init__(self, function: Callable[..., object], *words: object) -> None:
        self.call = function, words

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def codes(canary: Path) -> list[Code]:
    text = f"open({str(canary)!r}, 'w')"
    return [
        Code(os.system, f"touch {canary}"),
        Code(os.mkdir, str(canary)),
        Code(eval, text),
        Code(exec, text),
        Code(getattr, "x", "upper"),
        Code(torch.load, str(canary)),
        Code(torch.hub.load, str(canary.parent), "x", "github", True),
        Code(__import__, "antigravity"),
        Code(pickle.loads, pickle.dumps(Code(os.mkdir, str(canary)))),
        Code(os.popen, f"touch {canary}"),
    ]


@pytest.mark.parametrize("where", ["alone", "beside", "bare", "old"])
@pytest.mark.parametrize("number", range(10))
def test_code_never_runs(
    where: str, number: int, tmp_path: Path, type_: Callable[..., Answer]
) -> None:
    canary = tmp_path / "ran"
    code = codes(canary)[number]
    content = {
        "alone": lambda: saved(code),
        "beside": lambda: saved([IMAGES, {"x": code}]),
        "bare": lambda: pickle.dumps(code),
        "old": lambda: saved([IMAGES, code], zipped=False),
    }[where]()
    path = write(tmp_path / "images_best.pt", content)
    for mapped in (False, True):
        with pytest.raises(FileError):
            pickles.read_pickle(path, mapped=mapped)
    labels = write(tmp_path / "labels_best.pt", saved(LABELS))
    answer = type_("import", path, labels, "--to", tmp_path / "theirs")
    assert_fine_or_two_lines(answer)
    assert answer[0] == 1
    buffer = write(tmp_path / "replay_buffer_0.pt", content)
    assert_fine_or_two_lines(type_("import", buffer, "--to", "x", "--dataset", "cifar10"))
    assert not canary.exists()


def compressed() -> bytes:
    """A hundred times what it takes, by being packed."""
    whole, packed = zipfile.ZipFile(io.BytesIO(saved(torch.zeros(10_000_000)))), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in whole.infolist():
            archive.writestr(part.filename, whole.read(part))
    return packed.getvalue()


def cyclic() -> list[Any]:
    itself: list[Any] = [IMAGES]
    itself.append(itself)
    return itself


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: saved(torch.zeros(1).expand(2**40)), "does not hold as many"),
        (lambda: saved(torch.zeros(1, device="meta").expand(2**40)), "no plain one"),
        (lambda: saved(torch.zeros(4, 4).to_sparse()), "no plain one"),
        (compressed, "compressed"),
    ],
    ids=["expanded", "without values", "sparse", "compressed"],
)
def test_more_than_the_file_holds(make: Callable[[], bytes], wrong: str, tmp_path: Path) -> None:
    path = write(tmp_path / "images_best.pt", make())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileError, match=wrong):
        pickles.read_pickle(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_list_within_itself_comes_to_an_end(tmp_path: Path) -> None:
    path = write(tmp_path / "replay_buffer_0.pt", saved(cyclic()))
    assert pickles.read_pickle(path)[1][0].shape == IMAGES.shape
