"""A study's result is what its run directories state, and no more."""

from __future__ import annotations

import json
from pathlib import Path

from datm_engine.studies.study_plan import StudyPlan, plan_methods
from datm_engine.studies.study_results import read_study
from tests.conftest import tiny_config
from tests.studies.conftest import recorded_run, recorded_study, row

MEANS = {("early", 1): 80.0, ("late", 1): 70.0, ("middle", 2): 90.0}


def test_accuracies_stand_where_they_belong(windows: StudyPlan, tmp_path: Path) -> None:
    recorded_study(tmp_path, windows, MEANS)
    study = read_study(windows, tmp_path)
    early = study.row("early", 1, "convnet")
    assert early is not None
    assert early.accuracy_mean == 80.0
    assert study.row("middle", 1, "convnet") is None, "not made yet"
    random, full = study.row("random", 2, "convnet"), study.row("full", 5, "convnet")
    assert random is not None
    assert random.accuracy_mean == 70.0
    assert full is not None, "the same for every ipc"
    assert study.row("random", 5, "convnet") is None
    assert study.cell("early", 1, "vgg11") is None, "a network that was not asked for"
    status = {run.run: run.status for run in study.runs}
    assert status["study-digits-ipc1-early"] == "done"
    assert status["study-digits-ipc5-late"] == "missing"
    assert study.as_json()["status"] == "incomplete"


def test_why_a_run_failed_is_reported(windows: StudyPlan, tmp_path: Path) -> None:
    recorded_run(tmp_path, windows.runs[0], [], "failed")
    first = read_study(windows, tmp_path).runs[0]
    assert (first.status, first.message) == ("failed", "why")


def test_as_json_it_has_a_cell_for_everything(windows: StudyPlan, tmp_path: Path) -> None:
    recorded_study(tmp_path, windows, MEANS)
    result = json.loads(json.dumps(read_study(windows, tmp_path).as_json()))
    assert (result["study"], result["status"], result["ipc"]) == ("window", "incomplete", [1, 2, 5])
    assert len(result["cells"]) == 3 * 3 + 3 + 1, "windows and random at each ipc, and all images"
    early = next(c for c in result["cells"] if (c["set"], c["ipc"]) == ("early", 1))
    assert early == {
        "set": "early",
        "ipc": 1,
        "network": "convnet",
        "accuracy_mean": 80.0,
        "accuracy_std": 1.0,
        "repeats": 5,
        "images": 10,
        "published": None,
    }
    unmade = next(c for c in result["cells"] if (c["set"], c["ipc"]) == ("late", 5))
    assert unmade["accuracy_mean"] is None


def test_published_figures_stand_beside_with_what_differs(tmp_path: Path) -> None:
    """The tiny settings called CIFAR-10: the figures are of others, and that is said."""
    tables = {
        "dataset": {"name": "cifar10"},
        "evaluate": {"networks": ["convnet", "mlp"], "against": ["random", "full"]},
    }
    configs = {("datm", 1): tiny_config(**tables), ("mtt", 1): tiny_config(**tables)}
    plan = plan_methods("cifar10", configs)
    recorded_run(tmp_path, plan.runs[0], [row("distilled", 40.0)])
    study = read_study(plan, tmp_path)
    cell = study.cell("datm", 1, "convnet")
    assert cell is not None
    assert cell.published is not None
    assert (cell.published.mean, cell.published.std) == (46.9, 0.5)
    full = study.cell("full", 1, "convnet")
    assert full is not None
    assert full.published is not None
    assert full.published.mean == 84.8
    other = study.cell("datm", 1, "mlp")
    assert other is not None
    assert other.published is None, "nothing is published for it"
    departures, is_more_in_some = study.departures()
    assert "network.width 4, not 128" in departures
    assert is_more_in_some, "MTT's own iterations are others than DATM's"
    assert not any(line.startswith("distill.iterations") for line in departures)
    assert "distill.iterations 8, not 10000" in study.runs[0].departures
    assert "distill.iterations 8, not 5000" in study.runs[1].departures


def test_nothing_is_published_for_digits(windows: StudyPlan, tmp_path: Path) -> None:
    study = read_study(windows, tmp_path)
    assert not study.is_published
    assert study.departures() == ([], False)
