"""Each preset has the recorded values, in its own file and the one it extends together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datm_engine.errors import ConfigError
from datm_engine.settings import presets

RECORDED = json.loads((Path(__file__).parent / "preset_values.json").read_text(encoding="utf-8"))


def test_every_preset_is_recorded() -> None:
    assert list(RECORDED) == list(presets.names())


@pytest.mark.parametrize("name", RECORDED)
def test_a_presets_values_are_the_recorded_ones(name: str) -> None:
    # JSON text, so that 1 and 1.0 differ
    assert json.dumps(presets.load(name), sort_keys=True) == json.dumps(
        RECORDED[name], sort_keys=True
    )


def test_a_preset_states_no_key_again_that_the_file_it_extends_has_with_the_same_value() -> None:
    for name in presets.names():
        path = presets.folder() / f"{name}.toml"
        own = presets.read_toml(path)
        base = presets.read_toml(presets.folder() / f"{own.pop('extends')}.toml")
        again = [f"{t}.{k}" for t in own for k, v in own[t].items() if base.get(t, {}).get(k) == v]
        assert not again, name


def test_a_file_may_extend_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "digits-ipc1"\n[distill]\niterations = 7\n', encoding="utf-8")
    tables = presets.read_preset(path)
    assert tables["distill"] == presets.load("digits-ipc1")["distill"] | {"iterations": 7}


@pytest.mark.parametrize("extended", ['"nothing"', "1", '"../pyproject"', '["digits-ipc1"]'])
def test_extending_what_is_no_preset_is_an_error_that_names_the_file(
    extended: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"extends = {extended}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        presets.read_preset(path)
