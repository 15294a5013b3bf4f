"""safetensors files of every kind, damaged or made up: read, or refused by a DatmError, without
more memory than the file takes."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from datm_cli.screen.sample_files import RunSamples, read_class_names, read_sample, read_start
from datm_engine.data.image_sets import FullSet, ImageSet
from datm_engine.data.preprocessing import Normalization
from datm_engine.data.readers import safetensors_file
from datm_engine.data.readers.safetensors_file import SafetensorsReader
from datm_engine.errors import DatmError
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import fix_text
from datm_engine.networks.weights import Layout
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.runs.directory import Run
from datm_engine.summary import read_pictures, summarize
from datm_engine.synthetic import SyntheticSet
from datm_engine.tensors import save_tensors
from tests.fuzz.conftest import JUNK, TOO_DEEP, damaged, write

LAYOUT = Layout(("weight",), ((5,),))
DTYPES = "F64 F32 F16 BF16 F8_E5M2 F8_E4M3 F8_E8M0 F4 C64 I64 I32 I16 I8 U64 U32 U16 U8 BOOL X 3"


def look_at_set(path: Path) -> None:
    synthetic = SyntheticSet.load(path)
    summarize(synthetic).as_json()
    synthetic.pictures()


def look_at_samples(path: Path) -> None:
    run = Run(path.parent.parent)
    samples = RunSamples(run)
    for moment in samples.images_of(0):
        moment.read()
    read_sample(path)
    read_start(run.path, 1)


def look_at_expert(path: Path) -> None:
    experts = ExpertSet(path.parent, LAYOUT, 2)
    experts.ready(1)
    experts.segment(0, 0, 2)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "distilled": ("r/distilled.safetensors", look_at_set),
    "names": ("r/distilled.safetensors", read_class_names),
    "checkpoint": ("r/checkpoint.safetensors", Checkpoint.load),
    "expert": ("set/expert-0000.safetensors", look_at_expert),
    "pictures": ("r/samples/initial.safetensors", read_pictures),
    "samples": ("r/samples/initial.safetensors", look_at_samples),
    "dataset": ("data.safetensors", safetensors_file.read),
    "shape": ("data.safetensors", lambda path: SafetensorsReader(path).shape()),
}


def made(kind: str, path: Path) -> None:
    """A sound file of that kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ("distilled", "names"):
        space = Normalization(torch.zeros(1), torch.ones(1))
        images, labels = torch.rand(4, 1, 4, 4), torch.zeros(4, 2)
        SyntheticSet(images, labels, 0.1, space, "digits", ("a", "b"), 3, ("flip",)).save(path)
    elif kind == "checkpoint":
        learned = {"images": torch.rand(4, 1, 4, 4), "labels": torch.rand(4, 2)}
        learned["syn_lr"] = torch.tensor(0.1)
        Checkpoint(Progress(3, 1, 0, 0.5, 2, 40.0), learned, {}, "set").save(path)
    elif kind == "expert":
        ExpertSet(path.parent, LAYOUT, 2).save(0, torch.rand(3, 5), {"expert": "0"})
    elif kind in ("pictures", "samples"):
        pictures = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
        save_tensors(path, {"pictures": pictures, "indices": torch.arange(4)}, {"iteration": "0"})
    else:
        part, other = (
            ImageSet(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
            for _ in range(2)
        )
        safetensors_file.save(path, FullSet(("a", "b"), {"train": part, "test": other}))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sound")
    contents = {}
    for kind, (name, read) in READERS.items():
        made(kind, folder / kind / name)
        read(folder / kind / name)
        contents[kind] = (folder / kind / name).read_bytes()
    return contents


def try_(kind: str, content: bytes, folder: Path) -> bool:
    """Whether it was read."""
    name, read = READERS[kind]
    path = write(folder / kind / name, content)
    try:
        read(path)
    except DatmError as problem:
        assert problem.message
        assert fix_text(problem.fix)
        return False
    return True


KINDS = st.sampled_from(sorted(READERS))


@given(kind=KINDS, data=st.data())
def test_damaged(kind: str, data: st.DataObject, sound: dict[str, bytes], tmp_path: Path) -> None:
    try_(kind, data.draw(damaged(sound[kind])), tmp_path)


@given(kind=KINDS, content=st.binary(max_size=200))
@example(kind="distilled", content=b"")
@example(kind="expert", content=(2**63).to_bytes(8, "little") + b"{}")
@example(kind="dataset", content=(2**40).to_bytes(8, "little") + b"{}")
@example(kind="checkpoint", content=(2).to_bytes(8, "little") + b"[]")
@example(kind="samples", content=(100_000).to_bytes(8, "little") + TOO_DEEP.encode())
def test_any_bytes(kind: str, content: bytes, tmp_path: Path) -> None:
    try_(kind, content, tmp_path)


def forged(header: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


SIZES = st.integers(0, 4) | st.sampled_from([2**20, 2**40, 2**62, -1])
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(DTYPES.split()),
        "shape": st.lists(SIZES, max_size=5) | JUNK,
        "data_offsets": st.lists(SIZES | st.sampled_from([64, 128]), min_size=2, max_size=2) | JUNK,
    }
)


@given(kind=KINDS, data=st.data())
def test_a_forged_header(
    kind: str, data: st.DataObject, sound: dict[str, bytes], tmp_path: Path
) -> None:
    """Of the right names, with types, shapes and places of anything."""
    size = int.from_bytes(sound[kind][:8], "little")
    header = json.loads(sound[kind][8 : 8 + size])
    names = st.sampled_from(sorted(header))
    for name in data.draw(st.lists(names, min_size=1, max_size=2, unique=True)):
        if name == "__metadata__":
            keys = st.sampled_from(sorted(header[name]))
            texts = JUNK.map(json.dumps) | st.text() | st.just(TOO_DEEP) | st.just('["a", "b"]')
            header[name] |= data.draw(st.dictionaries(keys, texts, max_size=3))
            header[name].pop("digest", None)
        else:
            header[name] = data.draw(ENTRY | st.just({**header[name], "dtype": "F64"}) | JUNK)
    try_(kind, forged(header, sound[kind][8 + size :]), tmp_path)


@given(kind=KINDS, data=st.data())
def test_other_metadata_that_is_sound(
    kind: str, data: st.DataObject, sound: dict[str, bytes], tmp_path: Path
) -> None:
    """Without a digest, so that nothing but what it says is wrong."""
    size = int.from_bytes(sound[kind][:8], "little")
    header = json.loads(sound[kind][8 : 8 + size])
    metadata = header["__metadata__"]
    metadata.pop("digest", None)
    stated = {
        "class_names": st.sampled_from(['["a"]', "[]", "[1, 2]", '"ab"', "{}", "[[], []]"]),
        "config": st.sampled_from(['{"distill": 3}', '{"distill": {"ipc": []}}', "[]", "3"]),
        "augmentation": st.sampled_from(["[3]", "3", '"flip"']),
        "preprocessing": st.sampled_from(['{"kind": "zca", "regularization": "nan"}', "[]", "3"]),
        "iteration": st.sampled_from(["-1", "x", "9" * 5000]),
        "progress": st.sampled_from(["{}", "[]", '{"iteration": "x"}']),
    }
    for key in data.draw(st.lists(st.sampled_from(sorted(stated)), max_size=3)):
        metadata[key] = data.draw(stated[key])
    if metadata and data.draw(st.booleans()):
        del metadata[data.draw(st.sampled_from(sorted(metadata)))]
    try_(kind, forged(header, sound[kind][8 + size :]), tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(value: float, tmp_path: Path) -> None:
    path = tmp_path / "set" / "expert-0000.safetensors"
    path.parent.mkdir()
    ExpertSet(path.parent, LAYOUT, 2).save(0, torch.full((3, 5), value), {})
    with pytest.raises(DatmError, match="not finite"):
        look_at_expert(path)


def test_what_a_header_claims_takes_no_memory(sound: dict[str, bytes], tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, content in sound.items():
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        for name in [name for name in header if name != "__metadata__"]:
            claimed = {**header[name], "shape": [2**34], "data_offsets": [0, 2**36]}
            assert not try_(kind, forged({**header, name: claimed}, b"\0" * 64), tmp_path) or (
                kind == "names"
            )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
