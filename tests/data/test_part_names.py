import pytest

from datm_engine.data.image_sets import NAMES, by_part, part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("TRAINING_SET", "train"),
        ("train-set", "train"),
        ("Training Set", "train"),
        ("val", "validation"),
        ("Valid", "validation"),
        ("validation", "validation"),
        ("dev", "validation"),
        ("test", "test"),
        ("Testing", "test"),
        ("test set", "test"),
        ("trained", None),
        ("tests", None),
        ("unlabelled", None),
        ("", None),
    ],
)
def test_parts_are_recognised_by_usual_names_in_any_letter_case(name: str, part: str | None):
    assert part_of(name) == part


def test_no_name_means_two_parts():
    names = [name for names in NAMES.values() for name in names]
    assert len(names) == len(set(names))


def test_what_is_found_is_grouped_by_part_and_other_names_are_left_out():
    found = by_part([("Train", 1), ("TRAINING", 2), ("extra", 3), ("valid", 4)])
    assert found == {"train": [1, 2], "validation": [4]}
