"""Tiny-ImageNet from its archive as unpacked, before and after its val folder was rearranged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.data.datasets import RealData, Shape
from datm_engine.errors import DataError
from datm_engine.hints import fix_text

Load = Callable[..., tuple[RealData, list[Any]]]
Picture = Callable[..., np.ndarray]


class TestTinyImageNet:
    """The archive's layout in small: three classes, 2 + 1 images each, an unlabelled test."""

    CLASSES = ("n01443537", "n02002724", "n99999999")

    @pytest.fixture
    def archive(self, tmp_path: Path, picture: Picture) -> Path:
        root = tmp_path / "data" / "tiny-imagenet-200"
        (root / "val" / "images").mkdir(parents=True)
        (root / "test" / "images").mkdir(parents=True)
        lines = []
        for label, name in enumerate(self.CLASSES):
            (root / "train" / name / "images").mkdir(parents=True)
            (root / "train" / name / f"{name}_boxes.txt").write_text("0\t0\t1\t1\n")
            for index in range(2):
                image = Image.fromarray(picture(10 * label + index))
                image.save(root / "train" / name / "images" / f"{name}_{index}.JPEG")
            # in the archive the classes of val's images come in no order
            shade = Image.new("L", (6, 6), 100 + label)
            shade.save(root / "val" / "images" / f"val_{2 - label}.JPEG")
            lines.insert(0, f"val_{2 - label}.JPEG\t{name}\t0\t32\t44\t62\n")
        Image.new("RGB", (6, 6)).save(root / "test" / "images" / "test_0.JPEG")
        (root / "val" / "val_annotations.txt").write_text("".join(lines))
        (root / "wnids.txt").write_text("\n".join(reversed(self.CLASSES)))
        (root / "words.txt").write_text(
            "n01443537\tgoldfish, Carassius auratus\nn02002724\tblack stork, Ciconia nigra\n"
        )
        return root

    def check(self, tiny: RealData) -> None:
        assert tiny.class_names == ("goldfish", "black stork", "n99999999")
        assert tiny.shape == (3, 6, 6)
        assert tiny.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert tiny.test.labels.tolist() == [0, 1, 2]
        assert tiny.test.images[:, 0, 0, 0].tolist() == [100, 101, 102]

    def test_is_read_as_unpacked(self, load: Load, archive: Path) -> None:
        tiny, _ = load("tinyimagenet")
        assert tiny.name == "tinyimagenet"
        self.check(tiny)

    def test_is_read_by_path_too(self, load: Load, archive: Path) -> None:
        tiny, _ = load(archive)
        assert tiny.name == "tiny-imagenet-200"
        self.check(tiny)
        assert datasets.peek(str(archive), data_dir=archive) == Shape(3, 3, 6, 6)

    @pytest.mark.parametrize("deeper", ["", "images"])
    @pytest.mark.parametrize("annotations_left", [True, False])
    def test_is_read_with_val_already_in_class_folders(
        self, load: Load, archive: Path, deeper: str, annotations_left: bool
    ) -> None:
        val = archive / "val"
        for line in (val / "val_annotations.txt").read_text().splitlines():
            file, name, *_ = line.split("\t")
            (val / name / deeper).mkdir(parents=True)
            (val / "images" / file).rename(val / name / deeper / file)
        if not annotations_left:
            (val / "val_annotations.txt").unlink()
        self.check(load("tinyimagenet")[0])

    def test_says_where_to_unpack_it(self, load: Load, tmp_path: Path) -> None:
        with pytest.raises(DataError) as error:
            load("tinyimagenet")
        assert error.value.message == f"tinyimagenet is not at {tmp_path}/data/tiny-imagenet-200"
        assert f"unzip -q tiny-imagenet-200.zip -d {tmp_path}/data" in fix_text(error.value.fix)

    def test_names_an_image_that_is_annotated_but_missing(self, load: Load, archive: Path) -> None:
        (archive / "val" / "images" / "val_1.JPEG").unlink()
        with pytest.raises(DataError, match=r"val_annotations\.txt line 2: val_1\.JPEG is not in"):
            load("tinyimagenet")

    def test_names_an_image_without_annotation(self, load: Load, archive: Path) -> None:
        Image.new("L", (6, 6)).save(archive / "val" / "images" / "val_9.JPEG")
        with pytest.raises(DataError, match=r"does not say which class .*val_9\.JPEG is of"):
            load("tinyimagenet")

    def test_reports_classes_not_unpacked(self, load: Load, archive: Path) -> None:
        (archive / "train" / "n02002724").rename(archive / "elsewhere")
        with pytest.raises(DataError, match=r"classes differ: n02002724 in .*val but not in"):
            load("tinyimagenet")

    def test_two_classes_of_one_word_stay_apart(self, load: Load, archive: Path) -> None:
        (archive / "words.txt").write_text("n01443537\tcrane, bird\nn02002724\tcrane, machine\n")
        names = load("tinyimagenet")[0].class_names
        assert names == ("crane (n01443537)", "crane (n02002724)", "n99999999")

    def test_corrected_annotations_are_noticed(self, load: Load, archive: Path) -> None:
        load("tinyimagenet")
        path = archive / "val" / "val_annotations.txt"
        swapped = path.read_text().replace("n01443537", "x").replace("n02002724", "n01443537")
        path.write_text(swapped.replace("x", "n02002724"))
        tiny, _ = load("tinyimagenet")
        assert tiny.test.images[:, 0, 0, 0].tolist() == [101, 100, 102]

    def test_annotations_corrected_in_place_are_noticed(self, load: Load, archive: Path) -> None:
        path = archive / "val" / "val_annotations.txt"
        Image.new("L", (6, 6)).save(archive / "val" / "images" / "val_9.JPEG")
        names = self.CLASSES
        for middle, labels in ((names[0], [0, 0, 1, 2]), (names[1], [0, 1, 1, 2])):
            files = zip((2, 9, 1, 0), (names[0], middle, names[1], names[2]), strict=True)
            path.write_text("".join(f"val_{file}.JPEG\t{name}\n" for file, name in files))
            assert load("tinyimagenet")[0].test.labels.tolist() == labels
