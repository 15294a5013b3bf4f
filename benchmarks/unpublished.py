"""How far settings that are derived from the experts get, beside those that a search finds.

    python -m benchmarks.unpublished --dataset digits --ipc 3
    python -m benchmarks.unpublished --dataset FOLDER --ipc 5 --resolution 16 \\
        --set network.width=32 … [--search 20] [--tune 10] [--seeds 2]

Nothing here chooses on test images: `datm tune` scores its trials on held-out training images. Then
three settings are distilled as a person would – the derived ones, the best that a search of
`--search` trials has found, and the best of `--tune` trials of another seed – with `--seeds` seeds
each, and tested. The gain is the accuracy above that of as many random real images, in the mean
over seeds; the result is its share of the search's gain. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

FIRST_SEED = 100  # of the runs that are tested: no trial had it


def main() -> None:
    parser = argparse.ArgumentParser(description="Derived settings beside those of a search.")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--ipc", type=int, required=True)
    parser.add_argument("--name", help="of the cell, for its folder")
    parser.add_argument("--resolution")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--search", type=int, default=20)
    parser.add_argument("--tune", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    asked = ["--dataset", options.dataset, "--ipc", str(options.ipc)]
    for flag in ("resolution", "iterations"):
        if getattr(options, flag) is not None:
            asked += [f"--{flag}", str(getattr(options, flag))]
    asked += [word for assignment in options.assignments for word in ("--set", assignment)]
    name = options.name or f"{Path(options.dataset).stem}-ipc{options.ipc}"
    _tuned(name, asked, "search", options.search, seed=1)
    _tuned(name, asked, "tune", options.tune, seed=2)
    settings = {"derived": asked}
    for way in ("search", "tune"):
        settings[way] = [*asked[:4], "--config", str(_preset(name, way))]
    rows = {
        way: [
            _distilled(f"{name}-{way}-{seed}", words, FIRST_SEED + seed)
            for seed in range(options.seeds)
        ]
        for way, words in settings.items()
    }
    print(json.dumps({"cell": name, "asked": asked, **_gain_of(rows)}, indent=2))


def _preset(name: str, way: str) -> Path:
    return Path("tunes") / f"{name}-{way}" / "preset.toml"


def _tuned(name: str, asked: list[str], way: str, trials: int, seed: int) -> None:
    words = ["tune", *asked, "--name", f"{name}-{way}", "--budget", str(trials)]
    _datm(*words, "--seed", str(seed), "--quiet")


def _distilled(name: str, words: list[str], seed: int) -> dict[str, float]:
    """Test accuracy of the distilled set and of random real images, in percent."""
    against = ["--set", "evaluate.against=['random']", "--set", "evaluate.repeats=5"]
    again = ["distill", "--resume", name]
    new = ["distill", *words, "--name", name, "--seed", str(seed), *against]
    done = _datm(*(again if (Path("runs") / name).exists() else new), "--json", "--no-tui")
    results = json.loads(done)["results"]
    return {row["set"]: row["accuracy_mean"] for row in results}


def _datm(*words: str) -> str:
    command = [sys.executable, "-m", "datm_cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _gain_of(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    random = statistics.fmean(row["random"] for of in rows.values() for row in of)
    reached = {way: statistics.fmean(row["distilled"] for row in of) for way, of in rows.items()}
    most = reached["search"] - random
    return {
        "random": random,
        "accuracy": reached,
        "gain": {way: accuracy - random for way, accuracy in reached.items()},
        "share of the search's gain": {
            way: (accuracy - random) / most for way, accuracy in reached.items()
        },
        "seeds": {way: [row["distilled"] for row in of] for way, of in rows.items()},
    }


if __name__ == "__main__":
    main()
