"""A set whose images are recognized by their colour, alone and in a run."""

from __future__ import annotations

import json

import pytest
import torch
import typer
from safetensors.torch import save_file
from typer.testing import CliRunner

from datm_cli.commands.inspect import inspect
from datm_engine.data.preprocessing import Normalization
from datm_engine.runs.event_log import to_json
from datm_engine.runs.events import CandidateScored, Evaluated, Matched
from datm_engine.synthetic import SyntheticSet

NAMES = ("red", "green", "blue")
IPC = 4
SHADE = 40  # between a class's images, so that each is recognized by its colour


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")  # a dumb one is always 80 columns wide


@pytest.fixture
def distilled():
    """Flat pictures of a class's colour, ever darker; red's second is labelled blue."""
    images = torch.zeros(len(NAMES) * IPC, 3, 8, 8)
    for index in range(len(images)):
        images[index, index // IPC] = (255 - SHADE * (index % IPC)) / 255
    labels = torch.eye(len(NAMES)).repeat_interleave(IPC, dim=0) * 4
    labels[1] = torch.tensor([0.0, 0.0, 4.0])
    identity = Normalization(torch.zeros(3), torch.ones(3))
    return SyntheticSet(images, labels, 0.125, identity, "colours", NAMES, 20)


@pytest.fixture
def file(tmp_path, distilled):
    distilled.save(tmp_path / "set.safetensors")
    return tmp_path / "set.safetensors"


@pytest.fixture
def run(tmp_path, distilled):
    folder = tmp_path / "runs" / "demo"
    (folder / "samples").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"config": {}, "created": 0}))
    distilled.save(folder / "distilled.safetensors")
    start = distilled.pictures()
    start[0] = 0
    save_file({"pictures": start}, folder / "samples" / "initial.safetensors")
    facts = {"expert": 0, "start_epoch": 0, "target_epoch": 2, "lower": 0, "upper": 3}
    facts |= {"final_upper": 3, "skip_reason": None, "skipped": 2, "seconds": 0.1, "iterations": 20}
    history = [Matched(iteration=i, loss=1 / i, syn_lr=0.1, **facts) for i in range(1, 21)]
    history += [
        CandidateScored(iteration=i, part="validation", accuracy=a, images=9, best=False)
        for i, a in [(10, 40.0), (20, 50.0)]
    ]
    history.append(
        Evaluated(
            set="distilled",
            network="convnet",
            accuracy_mean=61.25,
            accuracy_std=0.5,
            repeats=3,
            images=12,
            iteration=20,
        )
    )
    (folder / "events.jsonl").write_text("".join(to_json(event) + "\n" for event in history))
    return folder


@pytest.fixture
def datm(monkeypatch):
    """The command as typed: its result, errors raised."""
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("DATM_RUNS_DIR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    app = typer.Typer()
    app.command()(inspect)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])
