"""DATM's published YAML as --config, and published names wherever a person types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datm_engine.runs.directory import Run
from tests.cli.conftest import Answer, assert_two_lines

Datm = Callable[..., Answer]
TINY_YAML = """\
ipc: 1
syn_steps: 2
expert_epochs: 1
Iteration: 2
batch_syn: 5
lr_img: 10
lr_y: 1.0
Momentum_y: 0.9
threshold: 100.
min_start_epoch: 0
current_max_start_epoch: 1
max_start_epoch: 2
expansion_end_epoch: 2
num_eval: 1
eval_it: 2
zca: True
project: tiny
"""


def test_a_published_file_makes_a_run_and_says_what_became_of_it(
    datm: Datm, settings: Path
) -> None:
    Path("tiny.yaml").write_text(TINY_YAML)
    experts = "--set experts.count=1 --set experts.epochs=window --set network.width=4"
    small = "--set dataset.train_images=60 --set evaluate.epochs=2 --set evaluate.full_epochs=1"
    words = f"{experts} {small} --set evaluate.against=none --name r --device cpu --no-tui"
    answer = datm("distill", "--config", "tiny.yaml", *words.split())
    assert answer.code == 0, answer.err
    text = " ".join(answer.err.split())
    assert "tiny.yaml: published names: ipc is distill.ipc = 1; " in text
    assert "lr_y is distill.lr_labels = 1.0" in text
    assert "tiny.yaml: published names without a counterpart: project (the argument log" in text
    made = Run.open(Path("runs"), "r").config()
    assert (made.distill.momentum_labels, made.distill.expansion_iterations) == (0.9, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- ipc\n", "no settings"),
        ("ipc: !!python/name:os.system\n", "not YAML"),
        ("ipc: [\n", "not YAML"),
        ("ipcs: 3\n", "'ipcs': no name of DATM's published files"),
    ],
)
def test_a_damaged_published_file_is_two_lines(text: str, message: str, datm: Datm) -> None:
    Path("x.yaml").write_text(text)
    assert_two_lines(datm("distill", "--config", "x.yaml"), 2, message, "ls -l x.yaml")
    assert not Path("runs").exists()


def test_published_names_as_keys_and_outside_of_tables(datm: Datm) -> None:
    wrong = datm("distill", "--set", "distill.lr_y=5")
    assert_two_lines(wrong, 2, "the published lr_y is distill.lr_labels here", "distill --help")
    Path("x.toml").write_text("Momentum_y = 0.5\n")
    loose = datm("distill", "--config", "x.toml")
    assert_two_lines(loose, 2, "the published Momentum_y is distill.momentum_labels", "ls -l")


@pytest.mark.parametrize("command", ["distill", "experts", "evaluate", "study", "tune"])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--lr_y", "No such option: --lr_y (the published lr_y is distill.lr_labels here"),
        ("--lr_teacher", "the published lr_teacher is distill.syn_lr and experts.lr here"),
        ("--num_eval", "the published num_eval is evaluate.repeats and"),
        ("--buffer_path", "no counterpart: experts_dir is where experts are"),
    ],
)
def test_published_options_lead_to_their_counterparts(
    option: str, message: str, command: str, datm: Datm
) -> None:
    for words in ([option, 5], [f"{option}=5"]):
        answer = datm(command, *words)
        assert_two_lines(answer, 2, message, f"datm {command} --help")
        assert "Possible options" not in answer.err
