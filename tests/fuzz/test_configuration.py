"""Any tables, assignments and TOML come to a configuration or to a ConfigError."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datm_cli.resolve import GivenSettings, read_config
from datm_engine.errors import ConfigError, DataError
from datm_engine.settings import presets
from datm_engine.settings.config import Config, build, parse_assignments, read_toml
from tests.fuzz.conftest import JUNK, TOO_DEEP, damaged

WHOLE = presets.load("digits-ipc1")
KEYS = sorted((table, key) for table in WHOLE for key in WHOLE[table])
PRESET = (presets.folder() / "digits-ipc1.toml").read_bytes()


def built(tables: Any) -> Config | None:
    """The configuration, if it is one; it holds together then."""
    try:
        config = build(tables, "a source")
    except ConfigError as problem:
        assert problem.message
        assert len(problem.message) < 20_000
        return None
    assert build(config.model_dump(), "itself") == config
    assert config.epochs_needed <= config.snapshot_epochs
    return config


@given(st.dictionaries(st.sampled_from(KEYS), JUNK, min_size=1, max_size=3))
@example({("experts", "lr"): 10**400})
@example({("experts", "count"): 10**400})
@example({("distill", "syn_lr"): float("nan")})
@example({("dataset", "name"): 16**5000})
def test_any_value_for_a_key(over: dict[tuple[str, str], Any]) -> None:
    tables = copy.deepcopy(WHOLE)
    for (table, key), value in over.items():
        tables[table][key] = value
    built(tables)


@given(st.one_of(st.dictionaries(st.text(max_size=9), JUNK), st.dictionaries(
    st.sampled_from([*WHOLE, "x"]), st.dictionaries(st.text(max_size=9), JUNK, max_size=4)
)))  # fmt: skip
def test_any_tables(tables: Any) -> None:
    built(tables)
    built({**WHOLE, **tables})


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.tuples(st.sampled_from(KEYS), st.text(max_size=20)).map(
                lambda both: f"{both[0][0]}.{both[0][1]}={both[1]}"
            ),
        ),
        max_size=3,
    )
)
@example(["distill.ipc=" + TOO_DEEP])
@example(["distill.ipc=" + "9" * 5000])
@example(["distill.ipc=1\nother = 2"])
def test_any_assignment(texts: list[str]) -> None:
    try:
        over = parse_assignments(texts)
    except ConfigError:
        return
    built({**WHOLE, **over})


def test_one_assignment_states_one_key() -> None:
    assert parse_assignments(["a.b=1\nc = 2"]) == {"a": {"b": "1\nc = 2"}}


@given(
    content=st.one_of(
        st.binary(max_size=200), damaged(PRESET), st.text(max_size=99).map(str.encode)
    )
)
@example(content=f"x = {TOO_DEEP}".encode())
@example(content=b"[distill]\nipc = " + b"9" * 5000)
@example(content=b'[dataset]\n"a\\nb" = 1')
def test_any_toml(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    try:
        tables = read_toml(path)
    except ConfigError as problem:
        assert str(path) in problem.message
        return
    built(tables)


@given(
    dataset=st.one_of(st.none(), st.sampled_from(["digits", "/", "x" * 5000]), st.text(max_size=9)),
    ipc=st.one_of(st.none(), st.integers(), st.integers(-2, 99), st.just(10**400)),
    preset=st.one_of(st.none(), st.sampled_from(presets.names()), st.text(max_size=9)),
    content=st.one_of(st.just(PRESET), damaged(PRESET)),
    suffix=st.sampled_from([".toml", ".json"]),
)
def test_any_choice_of_settings(
    dataset: str | None,
    ipc: int | None,
    preset: str | None,
    content: bytes,
    suffix: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    for file in (path, None):
        try:
            GivenSettings(dataset, ipc, preset, config_file=file, data_dir=tmp_path).resolve()
        except ConfigError:
            continue
        except DataError:  # a folder that happens to be there is no dataset
            continue


@pytest.mark.parametrize("content", [TOO_DEEP, "9" * 5000, '{"config": []}', "\udcff"])
def test_any_run_json_as_settings(content: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError):
        read_config(path)
