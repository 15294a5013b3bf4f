"""What others may have written: a run, a set and a tune with control characters and markup in every
string; and what must hold for whatever is made of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import torch

from datm_engine.data.preprocessing import Normalization
from datm_engine.runs import event_log, events
from datm_engine.runs.directory import Run
from datm_engine.runs.events import KINDS, Event
from datm_engine.runs.manifest import Manifest
from datm_engine.synthetic import SyntheticSet
from datm_engine.tensors import save_tensors
from datm_engine.tuning.tune_folder import Tune
from tests.cli.dashboard.conftest import story
from tests.conftest import tiny_config

SPOOF = "SPOOFED"  # no line may begin with it
HOSTILE = f"[red]cow[/red]\x1b]0;t\x07\x9b2J:cow:\t\v\r\x7f\x85\x9c\u202e\u2066\n{SPOOF}[/]"
NAME = HOSTILE.replace("/", "|")  # of a file or a folder
FILE = f"runs/{NAME}/distilled.safetensors"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def assert_clean(text: str) -> None:
    """Nothing that a terminal obeys but a line's end, and no line that is not datm's own."""
    found = UNSAFE.search(text)
    assert found is None, repr(text[max(0, found.start() - 60) : found.end() + 20])
    assert not re.search(f"^ *{SPOOF}", text, re.MULTILINE), text


def hostile(event: Event, text: str = HOSTILE) -> Event:
    """The event with every string in it replaced."""
    kept = {"path", "draw"} | ({"run"} if isinstance(event, events.TrialBegan) else set())
    texts = {name for name, value in vars(event).items() if type(value) is str}
    return event.model_copy(update=dict.fromkeys(texts - kept, text))


def one_of_each() -> list[Event]:
    """An event of every kind."""
    values: dict[type, Any] = {str: "", int: 1, float: 1.0, bool: True, events.SkipReason: None}
    return [
        kind(**{name: values[field_type(kind, name)[0]] for name in kind.model_fields})
        for kind in KINDS.values()
    ]


def field_type(kind: type[Event], name: str) -> tuple[type, bool]:
    """The first type of a field's annotation, and whether it may be None."""
    annotation = kind.model_fields[name].annotation
    types = get_args(annotation) or (annotation,)
    return types[0], type(None) in types


def hostile_events() -> list[Event]:
    """A run's whole story, which ends in a failure."""
    failed = events.RunEnded(status="failed", iteration=120, message=HOSTILE, hint=HOSTILE)
    return [*map(hostile, story(120)), *map(hostile, one_of_each()[:-3]), failed]


def synthetic(text: str = HOSTILE) -> SyntheticSet:
    names = tuple(f"{text}{number}" for number in range(3))
    labels = torch.eye(3).roll(1, 0)  # every image is led by another class
    config = tiny_config(dataset={"name": text}).model_dump()
    plain = Normalization(torch.zeros(3), torch.ones(3))
    images = torch.rand(3, 3, 8, 8)
    return SyntheticSet(images, labels, 0.1, plain, text, names, 120, config=config)


def make_run(path: Path, log: list[Event], text: str = HOSTILE) -> Run:
    """A run directory with `text` in every place of it that takes some."""
    run = Run(path)
    run.samples.mkdir(parents=True)
    config = tiny_config(dataset={"name": text}, distill={"ipc": 1}).model_dump()
    facts = {
        "config": config,
        "created": 1.7e9,
        "source": text,
        "device": text,
        "arithmetic": {"memory": 0, "compiled": {text: True}},
        "environment": dict.fromkeys(("python", "torch", "platform", "host"), text),
        "options": {"experts_dir": f"experts{text}", "data_dir": f"data{text}"},
        "derived": {"distill.max_start_epoch": {"value": 3, "reason": text}},
    }
    Manifest(**facts).save(run.path)
    write_log(run, log)
    product = synthetic(text)
    product.save(run.distilled)
    pictures = (product.images.flip(0) * 255).to(torch.uint8)
    save_tensors(run.samples / "initial.safetensors", {"pictures": pictures}, {"iteration": "0"})
    run.engine_log.write_text(text + "\n")
    return run


def write_log(run: Run, history: list[Event]) -> None:
    run.event_log.write_text("".join(event_log.to_json(event) + "\n" for event in history))


def make_tune(folder: Path) -> Tune:
    tune = Tune(folder)
    make_run(tune.run(0).path, hostile_events())
    facts = {"config": tiny_config(dataset={"name": HOSTILE}).model_dump(), "command": HOSTILE}
    tune.request_file.write_text(json.dumps(facts))
    log = []
    for number, status in enumerate(("complete", "failed", HOSTILE)):
        began = events.TrialBegan(trial=number, run="trial-000", draw="{}", changes=HOSTILE)
        scored = events.TrialScored(trial=number, iteration=8, iterations=8, accuracy=50 - number)
        over = events.TrialEnded(trial=number, status=status, message=HOSTILE)
        log += [began, scored, over]
    write_log(tune.log, [hostile(one_of_each()[0]), *log])
    return tune
