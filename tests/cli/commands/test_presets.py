"""`datm presets` and `datm distill --explain`: settings, and where they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datm_engine.settings import presets
from tests.cli.conftest import Answer, assert_two_lines

Datm = Callable[..., Answer]


def test_every_preset_is_listed_with_its_accuracy(datm: Datm) -> None:
    listed = datm("presets", "--json").json["presets"]
    assert [each["name"] for each in listed] == list(presets.names())
    first = listed[0]
    assert first["accuracy"].startswith("published: 46.9")
    assert first["about"].startswith("CIFAR-10, 1 image per class: DATM (ICLR 2024)")
    shown = datm("presets")
    assert all(name in shown.out for name in presets.names())
    assert "datm presets show" in shown.err


def test_a_preset_is_printed_whole_as_a_file_for_config(datm: Datm) -> None:
    shown = datm("presets", "show", "cifar100-mtt-ipc10")
    assert shown.out.startswith("# CIFAR-100, 10 images per class: MTT")
    path = Path("mine.toml")
    path.write_text(shown.out, encoding="utf-8")
    assert presets.read_toml(path) == presets.load("cifar100-mtt-ipc10")
    as_json = datm("presets", "show", "cifar100-mtt-ipc10", "--json").json
    assert as_json["settings"] == presets.load("cifar100-mtt-ipc10")
    assert as_json["accuracy"] == "published: 39.7 % (ConvNet; DATM's Table 1)"


def test_an_unknown_preset_leads_to_the_nearest(datm: Datm) -> None:
    wrong = datm("presets", "show", "cifar10-ipc2")
    assert_two_lines(wrong, 2, "there is no preset cifar10-ipc2", "datm presets show cifar10-ipc")
    assert_two_lines(datm("presets", "shows"), 2, "No such command", "datm presets --help")


def test_explain_prints_where_settings_come_from_and_starts_nothing(
    datm: Datm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATM_SEED", "3")
    words = ["distill", "--ipc", 3, "--iterations", 10, "--set", "network.width=16", "--explain"]
    answer = datm(*words, "--json")
    found = {key: (each["from"], each["detail"]) for key, each in answer.json["settings"].items()}
    assert found["dataset.name"] == ("preset", "digits-ipc1")
    assert found["distill.iterations"] == ("option", "--iterations")
    assert found["distill.seed"] == ("option", "DATM_SEED")
    assert found["network.width"] == ("option", "--set")
    assert found["distill.lr_images"][0] == "calibration"
    assert found["experts.imported"] == ("default", "")
    assert answer.json["settings"]["distill.seed"]["value"] == 3
    assert answer.json["source"] == "presets digits-ipc1 and digits-ipc10"
    assert answer.json["notes"]
    shown = datm(*words)
    assert "calibration after the experts; preset digits-ipc1 until then" in shown.out
    assert not Path("runs").exists()
    assert not Path("experts").exists()


def test_a_file_explains_what_it_states(datm: Datm, settings: Path) -> None:
    answer = datm("distill", "--config", settings, "--explain", "--json").json
    assert answer["settings"]["network.width"]["from"] == "file"
    assert answer["settings"]["network.width"]["detail"] == str(settings)


def test_explain_is_for_new_runs(datm: Datm) -> None:
    wrong = datm("distill", "--resume", "one", "--explain")
    assert_two_lines(wrong, 2, "--resume continues a run as it is", "datm distill --resume one")
