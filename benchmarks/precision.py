"""Accuracy reached in bfloat16 beside float32, over seeds; and what bfloat16 snapshots lose.

    python -m benchmarks.precision --dataset FOLDER --preset cifar10-small --ipc 1 \\
        [--seeds 3] [--set distill.iterations=100 …] [--precisions float32,bfloat16]

Each run is `datm distill` as a person would type it, but for one set of experts in float32 that
all share (experts.precision=float32). Seeds change the distillation and the networks it is judged
by. Accuracy is the selected set's on the test images, in percent: mean over a run's repeats, then
mean and standard deviation (n − 1) over seeds. Runs that are there already are evaluated no more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy in bfloat16 beside float32.")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="cifar10-small")
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--experts-dir", type=Path, default=Path("experts"))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    options = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {}
    # Seeds are the outer loop, so that what there is when time runs out is comparable.
    for seed in range(options.seeds):
        for precision in options.precisions.split(","):
            runs.setdefault(precision, []).append(_distil(options, precision, seed))
            print(json.dumps(_summary(runs)), file=sys.stderr, flush=True)
    folder = next(iter(sorted(options.experts_dir.iterdir(), key=lambda f: -f.stat().st_mtime)))
    print(json.dumps({**_summary(runs), "snapshots": snapshot_loss(folder)}))


def _distil(options: argparse.Namespace, precision: str, seed: int) -> dict[str, Any]:
    """Accuracy and seconds an iteration of one run, made unless it is there."""
    name = f"precision-{precision}-{seed}"
    command = [sys.executable, "-m", "datm_cli", "distill", "--json"]
    places = ["--experts-dir", options.experts_dir, "--runs-dir", options.runs_dir]
    if (options.runs_dir / name).exists():
        command += ["--resume", name, *map(str, places)]
    else:
        command += ["--dataset", options.dataset, "--preset", options.preset, "--name", name]
        command += ["--ipc", str(options.ipc), "--seed", str(seed), "--precision", precision]
        command += [*map(str, places), "--set", "experts.precision=float32"]
        for assignment in options.assignments:
            command += ["--set", assignment]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    rows = {row["set"]: row["accuracy_mean"] for row in json.loads(done.stdout)["results"]}
    events = (options.runs_dir / name / "events.jsonl").read_text(encoding="utf-8").splitlines()
    matched = [e for e in map(json.loads, events) if e["event"] == "Matched"]
    return {
        "seed": seed,
        "accuracy": rows["distilled"],
        "last": rows.get("distilled-last", rows["distilled"]),
        "loss": matched[-1]["loss"],
        "seconds_an_iteration": statistics.median(event["seconds"] for event in matched),
    }


def _summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    result: dict[str, Any] = {"runs": runs}
    for precision, made in runs.items():
        found = [run["accuracy"] for run in made]
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        result[precision] = {"mean": statistics.fmean(found), "std": spread}
    if "float32" in result and "bfloat16" in result:
        apart = result["bfloat16"]["mean"] - result["float32"]["mean"]
        result["bfloat16_minus_float32"] = apart
        result["within_one_standard_deviation"] = abs(apart) <= result["float32"]["std"]
    return result


def snapshot_loss(folder: Path, expert_epochs: int = 2) -> dict[str, float]:
    """What rounding snapshots to bfloat16 moves them, over the way an expert goes in
    `expert_epochs` epochs: ‖θ̃_t − θ_t‖ / ‖θ_{t+M} − θ_t‖, the median and the most over experts
    and t."""
    shares = []
    for path in sorted(folder.glob("expert-*.safetensors")):
        with safe_open(path, framework="pt") as file:
            rows: torch.Tensor = file.get_tensor("snapshots").float()
        rounded = rows.bfloat16().float()
        ways = (rows[expert_epochs:] - rows[:-expert_epochs]).norm(dim=1)
        shares += ((rounded - rows)[:-expert_epochs].norm(dim=1) / ways).tolist()
    return {"median_share": statistics.median(shares), "largest_share": max(shares)}


if __name__ == "__main__":
    main()
