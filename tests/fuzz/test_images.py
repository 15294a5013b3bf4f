"""Images of any orientation, depth and EXIF data, and folders of any layout: the right pixels, or a
DatmError."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from datm_engine.data import datasets
from datm_engine.data.decoding import decode_images
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.errors import DataError, DatmError
from datm_engine.hints import fix_text
from datm_engine.runs.events import Event, Noted, ignore
from tests.conftest import dataset_settings
from tests.fuzz.conftest import damaged, write

PLACE = Path("an image")
SIDES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tags(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def decode(*contents: bytes) -> np.ndarray:
    places = [PLACE] * len(contents)
    options = LoadOptions("images", Path(), None, skip_damaged=False)
    decoded = decode_images.decode(places, contents.__getitem__, options, emit=ignore)
    images: np.ndarray = decoded.images.numpy()
    return images


@given(
    orientation=st.integers(1, 8),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA"]),
    kind=st.sampled_from(["PNG", "TIFF", "WEBP"]),
    width=SIDES,
    height=SIDES,
    seed=SEEDS,
)
def test_any_orientation(
    orientation: int, mode: str, kind: str, width: int, height: int, seed: int
) -> None:
    """The same pixels as Pillow makes of them, and the size that the header announces."""
    drawn = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(drawn).convert(mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(image, kind, exif=tags(orientation), **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    pixels = decode(content)[0].transpose(1, 2, 0)
    assert decode_images.encoded_size(PLACE, content)[0] == upright.size
    wanted = np.asarray(upright.convert("L" if pixels.shape[2] == 1 else "RGB"))
    assert pixels.reshape(wanted.shape).tolist() == wanted.tolist()


@given(
    exif=st.binary(max_size=60) | damaged(tags(6).tobytes()),
    kind=st.sampled_from(["PNG", "JPEG", "WEBP"]),
)
@pytest.mark.filterwarnings("ignore")  # Pillow's, about the EXIF data
def test_any_exif_data(exif: bytes, kind: str) -> None:
    """An image that is read without them is read with them, turned or not."""
    content = encoded(Image.new("RGB", (3, 2), (255, 255, 255)), kind, exif=exif)
    (width, height), _ = decode_images.encoded_size(PLACE, content)
    pixels = decode(content)
    assert pixels.shape == (1, 3, height, width)
    assert {width, height} == {2, 3}
    assert pixels.min() == 255


@given(
    tops=st.lists(st.sampled_from([1, 255, 256, 1023, 4095, 16383, 65535]), min_size=1, max_size=5),
    kind=st.sampled_from(["PNG", "TIFF"]),
    wide=st.booleans(),
    seed=SEEDS,
)
def test_any_depth(tops: list[int], kind: str, wide: bool, seed: int) -> None:
    """Scaled by the fewest bits that hold the largest value of all, to within half a level."""
    draws = np.random.default_rng(seed)
    deep = [draws.integers(0, top, (2, 3), dtype=np.uint16, endpoint=True) for top in tops]
    stored = [pixels.astype(np.int32) if wide and kind == "TIFF" else pixels for pixels in deep]
    images = decode(*(encoded(Image.fromarray(pixels), kind) for pixels in stored))
    largest = max(int(pixels.max()) for pixels in deep)
    bits = next(bits for bits in (8, 10, 12, 14, 16) if largest < 2**bits)
    exact = np.stack(deep) * (255 / (2**bits - 1))
    assert abs(images[:, 0] - exact).max() <= 0.5 + 1e-9


@given(values=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=4))
def test_any_values_of_32_bits(values: list[int]) -> None:
    content = encoded(Image.fromarray(np.array([values], np.int32)), "TIFF")
    fit = all(0 <= value <= 65535 for value in values)
    try:
        decode(content)
    except DataError as problem:
        assert not fit
        assert "where greys of up to 16 bits have 0 to 65535" in problem.message
    else:
        assert fit


FOLDERS = st.sampled_from(["", "train", "Training", "test", "VAL", "valid", "@eaDir", "pets"])
CLASSES = st.sampled_from(["", "cat", "dog", "Dog", "images", "test", ".git"])


@given(
    layout=st.lists(st.tuples(FOLDERS, FOLDERS, CLASSES, st.integers(1, 3)), max_size=8),
    sound=st.booleans(),
)
def test_any_layout(layout: list[tuple[str, str, str, int]], sound: bool, tmp_path: Path) -> None:
    """What is looked at beforehand is what is loaded, and no image is used twice."""
    root, data_dir = tmp_path / "photos", tmp_path / "data"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    drawn = 0
    if sound:
        layout = [*layout, ("train", "", "cat", 3), ("train", "", "dog", 3)]
    for outer, inner, name, count in layout:
        for n in range(count):
            drawn += 1
            path = root / outer / inner / name / f"{n}.png"
            if not path.exists():
                write(path, encoded(Image.new("L", (2, 2), drawn)))
    events: list[Event] = []
    try:
        data = datasets.load(dataset_settings(root), data_dir, emit=events.append)
    except DatmError as problem:
        assert fix_text(problem.fix)
        return
    parts = (data.train, data.validation, data.test)
    used = [shade for part in parts for shade in part.images[:, 0, 0, 0].tolist()]
    assert len(set(used)) == len(used)
    assert len(data.test) > 0
    shape = datasets.peek(str(root), data_dir=data_dir)
    assert (shape.classes, shape.channels) == (len(data.class_names), 1)
    known = datasets.training_counts(str(root), data_dir=data_dir)
    assert known is not None
    held_out = 0 if "test" in known.parts else len(data.test)
    assert int(known.counts.sum()) - held_out == len(data.train)
    systems = ("@eaDir", ".git")
    here = [path for path in root.rglob("*.png") if not set(systems) & set(path.parts)]
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert len(used) == len(here) or any("not used" in note for note in notes)
