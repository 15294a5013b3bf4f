"""Whether experts that stop early, and labels of their best epoch, do as well, and what they save.

    python -m benchmarks.early_stop --dataset FOLDER --ipc 10 [--resolution 16] [--threads 1]
        [--set TABLE.KEY=VALUE …] [--seeds 0,1,2] [--to FOLDER]

Each way trains its experts by `datm experts` and is then an ordinary `datm distill` for each seed,
with settings derived from its own experts. Resolution, threads and settings go to both commands. A
seed is that of the run, of its images, student steps and networks; the experts are the same for all
seeds.
Printed are test accuracy and the entropy of the labels (nats, the mean over the images of the set
that was selected), mean ± standard deviation over the seeds; the window, the epoch of the labels,
the epochs of the experts and the minutes of processor time that they took. FOLDER keeps what is
done, for the next time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.ideas import mean_and_deviation
from datm_engine.synthetic import SyntheticSet

ALL, STOPPED = "experts.early_stop=false", "experts.early_stop=true"
WAYS: dict[str, tuple[str, str]] = {
    "all epochs, labels of the last": (ALL, "distill.label_epoch=last"),
    "early stop, labels of the best": (STOPPED, "distill.label_epoch=best"),
    "all epochs, labels of the best": (ALL, "distill.label_epoch=best"),
    "early stop, labels of the last": (STOPPED, "distill.label_epoch=last"),
}
SAME = ("evaluate.repeats=3", "evaluate.epochs=300", 'evaluate.against=["random"]')


def assignments(way: str) -> list[str]:
    return [f"--set={assignment}" for assignment in (*SAME, *WAYS[way])]


def train_experts(way: str, asked: list[str], kept: Path) -> float:
    """Minutes of processor time that the experts of a way took. Raises CalledProcessError."""
    path = kept / f"experts-{WAYS[way][0].partition('=')[2]}.json"
    if not path.exists():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _datm(kept, "experts", *asked, *assignments(way), "--json")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        path.write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
    return float(json.loads(path.read_text(encoding="utf-8"))["seconds"]) / 60


def distill(way: str, seed: int, asked: list[str], kept: Path) -> dict[str, Any]:
    """What a run came to. Raises CalledProcessError for one that fails, which has said why."""
    name = f"{way.replace(',', '').replace(' ', '-')}-seed{seed}"
    path = kept / f"{name}.json"
    if not path.exists():
        new = [*asked, f"--seed={seed}", f"--name={name}", *assignments(way)]
        known = (kept / "runs" / name).exists()  # it was begun, and ended before it was done
        words = [f"--resume={name}"] if known else new
        path.write_text(_datm(kept, "distill", *words, "--no-tui", "--json"), encoding="utf-8")
        print(f"{name} is done", file=sys.stderr, flush=True)
    rows = json.loads(path.read_text(encoding="utf-8"))["results"]
    found = {row["set"]: row["accuracy_mean"] for row in rows}
    made = SyntheticSet.load(kept / "runs" / name / "distilled.safetensors")
    recorded = (kept / "runs" / name / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in recorded]
    run = json.loads((kept / "runs" / name / "run.json").read_text(encoding="utf-8"))
    window = run["config"]["distill"]
    return {
        "accuracy": found["distilled"],
        "random": found["random"],
        "entropy": entropy(made.labels),
        "labels": next(e["label_source"] for e in events if e["event"] == "Initialized"),
        "epochs": [e["epochs"] for e in events if e["event"] == "ExpertsPlanned"][-1],
        "window": [window[f"{key}_start_epoch"] for key in ("min", "initial_max", "max")],
    }


def entropy(labels: torch.Tensor) -> float:
    """Nats, the mean over the images. labels: logits [n, classes]."""
    return float(torch.distributions.Categorical(logits=labels).entropy().mean())


def _datm(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "datm_cli", *words, "--quiet"]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.early_stop", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--ipc", type=int, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ways", default=";".join(list(WAYS)[:2]), help="with ; between them")
    parser.add_argument("--to", type=Path, default=Path("early-stop"))
    parser.add_argument("--resolution", default="native")
    parser.add_argument("--threads", default="auto")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    given = parser.parse_args()
    dataset = str(Path(given.dataset).resolve()) if Path(given.dataset).exists() else given.dataset
    given.to.mkdir(parents=True, exist_ok=True)
    asked = [f"--dataset={dataset}", f"--ipc={given.ipc}", f"--threads={given.threads}"]
    asked += [f"--resolution={given.resolution}", *(f"--set={one}" for one in given.assignments)]
    print("| experts | random | distilled | entropy | labels | T⁻, T, T⁺ | epochs | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for way in given.ways.split(";"):
        minutes = train_experts(way, asked, given.to)
        runs = [distill(way, int(seed), asked, given.to) for seed in given.seeds.split(",")]
        means = [mean_and_deviation([run[key] for run in runs]) for key in ("random", "accuracy")]
        entropies = [run["entropy"] for run in runs]
        nats = f"{sum(entropies) / len(entropies):.2f} ({min(entropies):.2f}–{max(entropies):.2f})"
        first = runs[0]
        cells = [way, *means, nats, first["labels"], first["window"], first["epochs"]]
        print("| " + " | ".join(map(str, cells)) + f" | {minutes:.1f} |", flush=True)


if __name__ == "__main__":
    main()
