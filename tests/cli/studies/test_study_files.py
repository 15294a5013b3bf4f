"""What a study writes: a table, a plot, and a page that holds all of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from datm_cli.studies import study_files, study_tables
from datm_cli.studies.accuracy_chart import accuracy_chart, standalone_svg
from datm_engine.errors import ConfigError, FileError, Setting
from datm_engine.hints import fix_text
from datm_engine.runs.events import Evaluated
from datm_engine.studies.study_plan import StudyPlan, plan_methods, plan_windows
from datm_engine.studies.study_results import StudyResult, read_study
from tests.conftest import tiny_config
from tests.studies.conftest import recorded_run, recorded_study, row

MEANS = {
    **{("early", 1): 80.0, ("middle", 1): 76.0, ("late", 1): 70.0},
    **{("early", 2): 85.0, ("middle", 2): 86.0, ("late", 2): 90.0},
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def plan() -> StudyPlan:
    against = {"against": ["random", "full"]}
    configs = {ipc: tiny_config(distill={"ipc": ipc}, evaluate=against) for ipc in (1, 2)}
    return plan_windows("digits", configs)


@pytest.fixture
def study(plan: StudyPlan, tmp_path: Path) -> StudyResult:
    recorded_study(tmp_path / "runs", plan, MEANS)
    return read_study(plan, tmp_path / "runs")


def test_the_table_has_a_line_for_every_set(study: StudyResult) -> None:
    assert study_tables.markdown(study).splitlines() == [
        "| window | ipc 1 | ipc 2 |",
        "| --- | --- | --- |",
        "| early (0–0) | **80.0 ± 1.0** | 85.0 ± 1.0 |",
        "| middle (1–1) | 76.0 ± 1.0 | 86.0 ± 1.0 |",
        "| late (2–3) | 70.0 ± 1.0 | **90.0 ± 1.0** |",
        "| random images | 70.0 ± 1.0 | 70.0 ± 1.0 |",
        "| all images | 99.0 ± 0.5 | 99.0 ± 0.5 |",
    ]


def published_study(tmp_path: Path, rows: list[Evaluated], dataset: str = "cifar10") -> StudyResult:
    tables = {
        "dataset": {"name": dataset},
        "evaluate": {"networks": ["convnet", "resnet18"], "against": ["random"]},
    }
    configs = {
        (method, ipc): tiny_config(distill={"ipc": ipc}, **tables)
        for method in ("datm", "mtt")
        for ipc in (1, 10)
    }
    plan = plan_methods("cifar10", configs)
    recorded_run(tmp_path, plan.runs[0], rows)
    recorded_run(tmp_path, plan.runs[1], [], "failed")
    return read_study(plan, tmp_path)


def test_published_figures_stand_in_brackets(tmp_path: Path) -> None:
    rows = [row("distilled", 40.0, 0.0, repeats=1), row("distilled", 50.0, network="resnet18")]
    study = published_study(tmp_path, rows)
    lines = study_tables.markdown(study).splitlines()
    assert lines[0] == "| network | method | ipc 1 | ipc 10 |"
    assert lines[2] == "| convnet | datm | **40.0 (1)** [46.9 ± 0.5] | – [66.8 ± 0.2] |"
    assert lines[3] == "| convnet | mtt | failed [46.2] | – [65.4] |"
    assert lines[4] == "| convnet | random images | – [15.4] | – [31.0] |"
    assert lines[5] == "| resnet18 | datm | **50.0 ± 1.0** | – |"
    remarks = study_tables.remarks(study)
    assert "(1): of one network." in remarks
    assert "failed: matching could not continue." in remarks
    assert "ICLR 2024" in remarks[-1]
    assert "network.width 4, not 128" in remarks[-1]
    assert "by its name" not in remarks[-1]


def test_a_folder_s_published_figures_say_that_its_name_is_all_they_go_by(tmp_path: Path) -> None:
    study = published_study(tmp_path, [row("distilled", 40.0)], "/data/CIFAR-10")
    assert "40.0 ± 1.0** [46.9 ± 0.5]" in study_tables.markdown(study)
    remarks = study_tables.remarks(study)[-1]
    assert remarks.endswith("; /data/CIFAR-10 is taken for cifar10 by its name.")


def test_a_plot_is_an_svg_with_everything_named(study: StudyResult) -> None:
    drawing = standalone_svg(accuracy_chart(study, "convnet"))
    root = ET.fromstring(drawing)
    assert root.tag == f"{SVG}svg"
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"early (0–0)", "middle (1–1)", "late (2–3)", "random images"} <= set(texts)
    assert {"lossless 99.0", "images per class", "1", "2"} <= set(texts)
    assert "digits: test accuracy, convnet" in texts
    whiskers = [e for e in root.iter(f"{SVG}path") if e.get("class") == "whiskers"]
    assert len(whiskers) == 4, "a deviation for each"
    assert "var(" not in drawing, "colours that any program knows"
    assert "<script" not in drawing


def test_the_axis_of_images_is_logarithmic(tmp_path: Path) -> None:
    configs = {ipc: tiny_config(distill={"ipc": ipc}) for ipc in (1, 10, 100)}
    plan = plan_windows("digits", configs)
    recorded_study(tmp_path, plan, {("early", ipc): 50.0 + ipc / 10 for ipc in (1, 10, 100)})
    chart = accuracy_chart(read_study(plan, tmp_path), "convnet")
    texts = list(ET.fromstring(standalone_svg(chart)).iter(f"{SVG}text"))
    places = {t.text: float(t.get("x", "nan")) for t in texts if t.text in ("1", "10", "100")}
    assert places["10"] - places["1"] == pytest.approx(places["100"] - places["10"], abs=0.2)


def test_all_files_are_written(study: StudyResult, plan: StudyPlan, tmp_path: Path) -> None:
    """These runs have no pictures, so there are no strips."""
    written = study_files.write(study, tmp_path / "runs", tmp_path / "out")
    names = ["study.json", "study.md", "accuracy.svg", "report.html"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    text = (tmp_path / "out/study.md").read_text()
    assert "- At 1 per class early is best, with 80.0 ± 1.0%." in text
    assert "every set was distilled once" in text
    assert "![accuracy](accuracy.svg)" in text
    assert "| study-digits-ipc1-early | 0–0 | 0 | 0 | done |  |" in text
    page = (tmp_path / "out/report.html").read_text()
    for part in ("late (2–3)", "90.0 ± 1.0", "lossless 99.0", "study-digits-ipc2-late"):
        assert part in page
    assert "http" not in page.replace("http-equiv", ""), "it asks no network for anything"


def test_an_approximate_gradient_is_named(tmp_path: Path) -> None:
    exact, tesla = tiny_config(), tiny_config(distill={"gradient": "tesla"})
    plan = plan_methods("digits", {("datm", 1): exact, ("tesla", 1): tesla})
    recorded_study(tmp_path, plan, {("datm", 1): 80.0, ("tesla", 1): 70.0})
    remarks = [
        one for one in study_tables.remarks(read_study(plan, tmp_path)) if "approximation" in one
    ]
    assert len(remarks) == 1
    assert remarks[0].startswith("tesla: the gradient is TESLA's approximation")


def test_an_earlier_result_is_not_replaced_by_less(
    study: StudyResult, plan: StudyPlan, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    study_files.check(folder, plan)
    study_files.write(study, tmp_path / "runs", folder)
    study_files.check(folder, plan)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    less = plan_windows("digits", {1: tiny_config()})
    methods = plan_methods("digits", {("datm", 1): tiny_config()})
    elsewhere = plan_windows("digits", {1: tiny_config(dataset={"name": "cifar10"})})
    for other, wrong in (
        (less, "has 2, full too, which would be left out"),
        (methods, "is the study window digits of digits"),
        (elsewhere, "is the study window digits of digits"),
        (replace(plan, name="mine"), "is the study window digits of digits"),
        (plan_windows("digits", {n: tiny_config(distill={"ipc": n}) for n in (1, 2)}), "has full"),
    ):
        with pytest.raises(ConfigError, match=wrong) as raised:
            study_files.check(folder, other)
        assert raised.value.fix == Setting("to", folder.with_name(f"{folder.name}-2"))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "study.json").write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        study_files.check(folder, plan)


def test_what_is_no_study_is_left_alone(plan: StudyPlan, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "study.md").write_text("mine")
    (tmp_path / "thesis-2").write_text("")
    with pytest.raises(ConfigError, match="other files than a study's") as raised:
        study_files.check(tmp_path / "thesis", plan)
    assert fix_text(raised.value.fix) == f"--to {tmp_path / 'thesis-3'}"
    with pytest.raises(FileError, match="cannot be created"):
        study_files.check(tmp_path / "thesis-2", plan)


def test_a_name_cannot_become_markup(tmp_path: Path) -> None:
    plan = plan_windows("a<b>|c", {1: tiny_config()})
    study = read_study(plan, tmp_path)
    study_files.write(study, tmp_path, tmp_path / "out")
    assert "<b>" not in (tmp_path / "out/report.html").read_text()
    assert "a&lt;b&gt;" in (tmp_path / "out/report.html").read_text()
