"""Damaged images: all of them are named at once, or skipped, counted and reported."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.data.datasets import RealData, Shape
from datm_engine.errors import DataError, Setting
from datm_engine.hints import fix_text
from datm_engine.runs.events import Noted

from .conftest import encoded

Load = Callable[..., tuple[RealData, list[Any]]]
Picture = Callable[..., np.ndarray]


def notes(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


@pytest.fixture
def damaged(folder: Path) -> list[Path]:
    """Of `folder`: a truncated image, an empty file and a page of text."""
    truncated = folder / "train" / "cat" / "0.png"
    truncated.write_bytes(truncated.read_bytes()[:60])
    empty = folder / "train" / "dog" / "1.png"
    empty.write_bytes(b"")
    text = folder / "test" / "dog" / "it's a page.png"
    text.write_text("<html>not found</html>")
    return [truncated, empty, text]


def test_all_are_named_with_one_command_for_all(
    load: Load, folder: Path, damaged: list[Path]
) -> None:
    with pytest.raises(DataError) as error:
        load(folder)
    message, hint = error.value.message, fix_text(error.value.fix)
    assert message.startswith("3 images are not readable: ")
    assert all(str(path) in message for path in damaged)
    assert "1.png (the file is empty)" in message
    assert "page.png (no image format known here)" in message
    remove, _, other = hint.partition("   # ")
    assert shlex.split(remove) == ["rm", *map(str, damaged)]
    assert other == "or restore them, or add --set dataset.skip_damaged=true"
    for path in shlex.split(remove)[1:]:
        Path(path).unlink()
    assert len(load(folder)[0].train) == 6


def test_the_first_ten_are_named_and_the_others_counted(load: Load, folder: Path) -> None:
    for n in range(12):
        (folder / "train" / "cat" / f"bad{n:02}.png").write_bytes(b"bad")
    with pytest.raises(DataError) as error:
        load(folder)
    assert error.value.message.startswith("12 images are not readable: ")
    assert error.value.message.endswith("bad09.png (no image format known here) and 2 more")
    assert fix_text(error.value.fix).count("bad") == 12


def test_very_many_are_answered_with_the_setting(load: Load, folder: Path) -> None:
    for n in range(101):
        (folder / "train" / "cat" / f"bad{n}.png").write_bytes(b"bad")
        Image.new("RGB", (6, 6)).save(folder / "train" / "cat" / f"good{n}.png")
    with pytest.raises(DataError, match="101 images are not readable") as error:
        load(folder)
    assert error.value.fix == Setting("dataset.skip_damaged", True)


def test_where_most_are_unreadable_the_hint_removes_none(load: Load, folder: Path) -> None:
    for n in range(13):
        (folder / "train" / "cat" / f"bad{n:02}.png").write_bytes(b"bad")
    with pytest.raises(DataError, match="13 images are not readable") as error:
        load(folder)
    assert fix_text(error.value.fix) == f"ls -l {folder}/train/cat/bad00.png"


@pytest.mark.parametrize("skip_damaged", [False, True])
@pytest.mark.parametrize("resolution", ["native", 6])
@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", -3)])
def test_intact_images_of_an_unsupported_kind_are_not_called_damaged(
    load: Load, folder: Path, mode: str, value: float, resolution: str | int, skip_damaged: bool
) -> None:
    for path in sorted((folder / "train").rglob("*.png")):
        Image.new(mode, (6, 6), value).save(path.with_suffix(".tif"))
        path.unlink()
    with pytest.raises(DataError) as error:
        load(folder, resolution=resolution, skip_damaged=skip_damaged)
    first = folder / "train" / "cat" / "0.tif"
    reason = {
        "F": "floating point pixels have no known range",
        "I": "a value of -3, where greys of up to 16 bits have 0 to 65535",
    }[mode]
    assert error.value.message.startswith(
        f"8 images of a kind that is not supported, though intact: {first} ({reason}), "
    )
    assert fix_text(error.value.fix) == f"ls -l {first}   # then convert all of them"


def test_they_are_skipped_on_request_and_reported(
    load: Load, folder: Path, damaged: list[Path], picture: Picture
) -> None:
    pets, events = load(folder, skip_damaged=True)
    assert pets.train.labels.tolist() == [0] * 3 + [1] * 3
    assert pets.test.labels.tolist() == [0] * 2 + [1] * 2
    # the fixture drew dogs first: seeds 0-3 dog, 4-7 cat
    drawn = np.stack([picture(seed) for seed in (5, 6, 7, 0, 2, 3)]).transpose(0, 3, 1, 2)
    assert pets.train.images.tolist() == drawn.tolist()
    said = [f"3 damaged images skipped: {', '.join(str(path) for path in sorted(damaged[:2]))}, "]
    assert [text.startswith(said[0]) for text in notes(events)] == [True]
    again, events_again = load(folder, skip_damaged=True)  # from the kept copy
    assert again.fingerprint == pets.fingerprint
    assert notes(events_again) == notes(events)
    with pytest.raises(DataError, match="3 images are not readable"):
        load(folder)  # a kept copy without them is not used for a run that wants all


def test_the_fingerprint_is_of_the_images_that_are_used(
    load: Load, folder: Path, damaged: list[Path]
) -> None:
    skipped = load(folder, skip_damaged=True)[0].fingerprint
    for path in damaged:
        path.unlink()
    assert load(folder)[0].fingerprint == skipped
    assert load(folder, skip_damaged=True)[0].fingerprint == skipped


def test_without_damaged_images_the_setting_changes_nothing(load: Load, folder: Path) -> None:
    plain, events = load(folder, skip_damaged=True)
    assert notes(events) == []
    assert plain.fingerprint == load(folder)[0].fingerprint


def test_a_class_that_loses_all_its_images_is_named(load: Load, folder: Path) -> None:
    for path in (folder / "train" / "cat").iterdir():
        path.write_bytes(b"bad")
    with pytest.raises(DataError, match="class cat has no intact image in the train part"):
        load(folder, skip_damaged=True)


def test_a_damaged_first_image_does_not_set_the_size(load: Load, folder: Path) -> None:
    first = folder / "train" / "cat" / "0.png"
    Image.new("RGB", (50, 50)).save(first)
    first.write_bytes(first.read_bytes()[:60])
    with pytest.raises(DataError, match=r"0\.png is not a readable image"):
        load(folder)
    assert load(folder, skip_damaged=True)[0].shape == (3, 6, 6)


def test_peeking_looks_at_the_first_readable_image(
    load: Load, folder: Path, damaged: list[Path], tmp_path: Path
) -> None:
    assert datasets.peek(str(folder), data_dir=tmp_path) == Shape(2, 3, 6, 6)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"bad")
    assert datasets.peek(str(folder), data_dir=tmp_path) == Shape(2, None, None, None)
    with pytest.raises(DataError, match="13 images are not readable"):
        load(folder)


class TestParquet:
    @pytest.fixture
    def rows(self, tmp_path: Path, picture: Picture) -> Path:
        """Eight training rows, of which 2 and 5 are damaged, and two test rows."""
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        for part, count in (("train", 8), ("test", 2)):
            cells = [{"bytes": encoded(picture(n)), "path": None} for n in range(count)]
            if part == "train":
                cells[2]["bytes"], cells[5]["bytes"] = b"", cells[5]["bytes"][:60]
            table = arrow.table({"image": cells, "label": [n % 2 for n in range(count)]})
            (tmp_path / "pets").mkdir(exist_ok=True)
            parquet.write_table(table, tmp_path / "pets" / f"{part}.parquet")
        return tmp_path / "pets"

    def test_rows_are_named(self, load: Load, rows: Path) -> None:
        with pytest.raises(DataError) as error:
            load(rows)
        assert error.value.message.startswith(
            f"2 images are not readable: {rows}/train.parquet row 2 (the file is empty), "
            f"{rows}/train.parquet row 5 ("
        )
        assert error.value.fix == Setting("dataset.skip_damaged", True)

    def test_rows_of_an_unsupported_kind_are_named(self, load: Load, tmp_path: Path) -> None:
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        file = io.BytesIO()
        Image.new("F", (6, 6), 0.5).save(file, "TIFF")
        cells = [{"bytes": file.getvalue(), "path": None}] * 4
        parquet.write_table(
            arrow.table({"image": cells, "label": [0, 1] * 2}), tmp_path / "train.parquet"
        )
        with pytest.raises(DataError, match=r"4 images of a kind .* row 0 ") as error:
            load(tmp_path / "train.parquet")
        assert fix_text(error.value.fix) == f"ls -l {tmp_path}   # then convert all of them"

    def test_peeking_looks_at_the_first_readable_row(self, rows: Path, tmp_path: Path) -> None:
        assert datasets.peek(str(rows), data_dir=tmp_path) == Shape(2, 3, 6, 6)

    def test_rows_are_skipped_on_request(self, load: Load, rows: Path, picture: Picture) -> None:
        pets, events = load(rows, skip_damaged=True)
        assert pets.train.labels.tolist() == [0, 1, 1, 0, 0, 1]
        drawn = np.stack([picture(n) for n in (0, 1, 3, 4, 6, 7)]).transpose(0, 3, 1, 2)
        assert pets.train.images.tolist() == drawn.tolist()
        assert pets.test.labels.tolist() == [0, 1]
        train = rows / "train.parquet"
        assert notes(events) == [f"2 damaged images skipped: {train} row 2, {train} row 5"]
