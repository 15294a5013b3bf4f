"""What a long run leaves beside its checkpoint, and whether its memory grows.

    python -m benchmarks.long [--iterations 10000] [--json]

Sizes of the published settings are reckoned: every event that 10,000 iterations can log, as it is
written, and every sample that is kept. A tiny run is measured: what its folder holds in the end,
and the memory of its process along the way, after the first tenth.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from datm_cli.session.detach import LOG_BYTES
from datm_engine.compute.runtime import Runtime
from datm_engine.data.built_in import BUILT_IN
from datm_engine.distillation.samples import START_BYTES, sampled, spacing
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs import events
from datm_engine.runs.directory import Folders, Run
from datm_engine.settings import presets
from datm_engine.settings.config import Config, build, overlay

ITERATIONS = 10_000
MOST = 50_000_000  # bytes
SECONDS, LINE = 10, 100  # an iteration's; bytes of a line of engine.log, of which 30 s bring one
TINY: dict[str, Any] = {
    "dataset": {"train_images": 200},
    "network": {"width": 4},
    "experts": {"count": 2, "epochs": 4, "optimizer": "sgd"},
    "distill": {
        "syn_steps": 2,
        "expert_epochs": 1,
        "min_start_epoch": 0,
        "initial_max_start_epoch": 2,
        "max_start_epoch": 3,
        "expansion_iterations": 4,
        "batch_syn": 4,
        "threshold": 1e9,
        "max_skips_in_a_row": 10**9,
        "checkpoint_seconds": 1.0,
        "sample_interval": 1,
    },
    "evaluate": {
        "epochs": 3,
        "repeats": 2,
        "full_epochs": 1,
        "full_repeats": 1,
        "selection_interval": 500,
        "against": ["random"],
    },
}


def reckoned(name: str) -> dict[str, Any]:
    """Bytes of a preset's events and pictures after `ITERATIONS`, where every iteration lasts so
    long that it has a preview and a checkpoint of its own."""
    config = build(presets.load(name), name)
    shape = BUILT_IN[config.dataset.name].shape
    ipc, classes = config.distill.ipc, shape.classes
    pixels = int(shape.channels or 0) * int(shape.height or 0) * int(shape.width or 0)
    images = torch.zeros(1, pixels, dtype=torch.uint8).expand(ipc * classes, -1)
    sample = len(sampled(images, classes)) * pixels
    between = spacing(config.distill.sample_interval, ITERATIONS, sample)
    found = {
        "events": sum(len(events.to_json(e)) * times for e, times in _events_of(config)),
        "samples": ITERATIONS // between * sample,
        "start": len(sampled(images, classes, START_BYTES)) * pixels,
        "preview": sample,
        "log": LOG_BYTES + ITERATIONS * SECONDS // 30 * LINE,
    }
    return {"name": name, **found, "all": sum(found.values())}


def _events_of(config: Config) -> list[tuple[events.Event, int]]:
    """Every kind of event of which there are many, and how many there are."""
    settings = config.evaluate
    time, long = 1795564471.038835, 0.12345678901234567
    matched = events.Matched(
        time=time,
        iteration=ITERATIONS,
        iterations=ITERATIONS,
        loss=long,
        expert=99,
        start_epoch=40,
        target_epoch=42,
        lower=10,
        upper=60,
        final_upper=60,
        syn_lr=long,
        skip_reason=None,
        skipped=999,
        seconds=10 + long,
        memory=10**10,
    )
    preview = events.SampleSaved(time=time, iteration=ITERATIONS, path="preview.safetensors")
    saved = events.CheckpointSaved(time=time, iteration=ITERATIONS, path="checkpoint.safetensors")
    epoch = events.ExpertEpoch(time=time, expert=99, epoch=99, epochs=100, loss=long, accuracy=long)
    progress = events.EvaluationProgress(
        time=time, set="candidate", network="convnet", repeat=4, repeats=5, epoch=900, epochs=1000
    )
    candidates = ITERATIONS // settings.selection_interval * settings.selection_repeats
    rows = len(settings.networks) * (2 + len(settings.against)) * settings.repeats
    return [
        (matched, ITERATIONS),
        (preview, ITERATIONS),
        (saved, ITERATIONS),
        (epoch, config.experts.count * config.snapshot_epochs),
        (progress, 20 * (candidates + rows)),
    ]


def measured(iterations: int, report: Callable[[str], None]) -> dict[str, Any]:
    """A tiny run of that length: bytes beside its checkpoints and product, and the resident
    memory, in bytes, when a tenth of it was done, and the most of each tenth since."""
    torch.set_num_threads(1)
    tables = overlay(presets.load("digits-ipc1"), TINY)
    config = build(overlay(tables, {"distill": {"iterations": iterations}}), "the benchmark")
    most: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        run = Run.create(root / "runs", "long", config, {})
        folders = Folders(root / "data", root / "experts", root / "runs")

        def look(event: events.Event) -> None:
            if isinstance(event, events.Matched) and event.iteration % 50 == 0:
                tenth = math.ceil(10 * event.iteration / iterations)
                most[tenth] = max(most.get(tenth, 0), _resident())
                if event.iteration % 1000 == 0:
                    report(f"{event.iteration:,} iterations, {_resident() / 1e6:.1f} MB")

        with run.recording() as record, record.recorded(look) as emit:
            make_distilled_set(config, run, folders, Runtime(torch.device("cpu")), emit=emit)
        sizes = {path: path.stat().st_size for path in run.path.rglob("*") if path.is_file()}
        beside = {p: s for p, s in sizes.items() if p.stem.split("-")[0] not in _PRODUCT}
        return {
            "iterations": iterations,
            "beside": sum(beside.values()),
            "events": sizes[run.event_log],
            "samples": len(list(run.samples.iterdir())),
            "resident": [most[tenth] for tenth in sorted(most)],
        }


_PRODUCT = ("checkpoint", "distilled")


def _resident() -> int:
    """Bytes. Source: proc(5), `statm`: pages of the program, and those that are resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long", description=__doc__)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [reckoned(name) for name in presets.names() if not name.startswith("digits")]
    if not given.json:
        print(f"MB beside checkpoint and product after {ITERATIONS:,} iterations, reckoned:")
        for row in rows:
            parts = ", ".join(f"{key} {row[key] / 1e6:.1f}" for key in list(row)[1:])
            print(f"  {row['name']:<20} {parts}")
    found = measured(given.iterations, lambda words: print(words, file=sys.stderr, flush=True))
    if given.json:
        print(json.dumps({"reckoned": rows, "measured": found}))
    else:
        resident = found["resident"]
        print(f"a tiny run of {found['iterations']:,} iterations, measured:")
        print(
            f"  {found['beside'] / 1e6:.1f} MB, events {found['events'] / 1e6:.1f} MB, "
            f"{found['samples']} samples"
        )
        text = " ".join(f"{size / 1e6:.1f}" for size in resident)
        print(f"  resident memory by tenths, MB: {text}")
    grown = max(found["resident"][1:]) - found["resident"][0]
    return int(max(row["all"] for row in rows) >= MOST or found["beside"] >= MOST or grown > 20e6)


if __name__ == "__main__":
    sys.exit(main())
