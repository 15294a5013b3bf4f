"""A name is a folder's name on every system, and the error states the rule."""

from __future__ import annotations

import os
import shlex
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datm_engine.errors import ConfigError, Setting
from datm_engine.runs import names


@pytest.mark.parametrize(
    "name",
    [
        *("a", "1", "_x", "+1", "my run", "my run ü 猫", "a.b-c_d+e", "x" * 100, " led"),
        *(
            "हिन्दी",
            "ภาษาไทย",
            "עִבְרִית",
            "٣",
            "Ⅷ",
            "contact",
            "console",
            "com",
            "com10",
            "nulls.txt",
            "CON-1",
        ),
    ],
)
def test_names_that_can_be_used(name: str) -> None:
    assert names.valid_name(name, "my-run") == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", ".x", "-x", "--help", "x.", "x ", "x" * 101, "猫" * 86),
        *("a/b", "a\\b", "a:b", "a*b", "a?b", 'a"b', "a<b", "a|b", "a\tb", "a\nb", "\x1b[31m"),
        *("a\u202eb", "a\u200bb", "a\x00b", "\udcff", "a,b", "a'b", "$x", "a;b", "~", "🐈"),
        *("con", "PRN", "Aux", "nul", "NUL.txt", "nul .x", "com1", "LPT9.tar.gz", "COM¹", "lpt³.x"),
    ],
)
def test_names_that_cannot(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        names.valid_name(name, "my-run")
    assert f"name {name!r} cannot be a folder's name: a name has 1 to 100 letters, digits" in (
        raised.value.message
    )
    assert "begins with neither - nor ., ends with neither . nor a space" in raised.value.message
    assert "is no reserved name of Windows (CON, NUL, COM1, …)" in raised.value.message
    assert raised.value.fix == Setting("name", "my-run")


def test_a_name_of_too_many_bytes_says_so() -> None:
    with pytest.raises(ConfigError, match="in UTF-8 it has at most 255 bytes"):
        names.valid_name("猫" * 90, "my-run")


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("digits", "digits-ipc1"),
        ("my photos (2)", "my-photos-2--ipc1"),
        (".hidden", "hidden-ipc1"),
        ("--", "data-ipc1"),
        ("", "data-ipc1"),
        ("a/b", "a-b-ipc1"),
        ("nul.x", "data-nul.x-ipc1"),
        ("nul", "nul-ipc1"),
        ("हिन्दी", "हिन्दी-ipc1"),
        ("a\u0308", "ä-ipc1"),
        ("x" * 300, "x" * 95 + "-ipc1"),
        ("猫" * 300, "猫" * 83 + "-ipc1"),
    ],
)
def test_a_name_is_made_of_any_folder(stem: str, name: str) -> None:
    assert names.name_from(stem, "-ipc1") == name


@given(st.text(), st.sampled_from(["", "-ipc1", "-ipc10-mtt-early-2"]))
def test_whatever_is_made_can_be_used(stem: str, ending: str) -> None:
    name = names.name_from(stem, ending)
    assert names.valid_name(name, "x") == name
    assert name.endswith(ending)
    assert len(os.fsencode(name)) <= 255
    assert shlex.split(shlex.quote(name)) == [name]


def test_names_that_differ_in_letter_case_or_composition_only(tmp_path: Path) -> None:
    (tmp_path / "Läuft").mkdir()
    assert names.same_but_for_case(tmp_path, "Läuft") is None
    assert names.same_but_for_case(tmp_path, "läuft") == "Läuft"
    assert names.same_but_for_case(tmp_path, "la\u0308uft") == "Läuft"
    assert names.same_but_for_case(tmp_path, "other") is None
    assert names.same_but_for_case(tmp_path / "none", "x") is None
