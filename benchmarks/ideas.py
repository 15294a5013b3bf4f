"""Whether ideas published after DATM pay: the same runs with and without each, over several seeds.

    python -m benchmarks.ideas [--ipc 1,10] [--seeds 0,1,2] [--at-once 1] [--to FOLDER] [-- OPTIONS]

Every cell is an ordinary `datm distill` with the preset's settings, three networks a set, and
random real images beside it; what stands after `--` is given to all of them. A seed is that of the
run, of its images, student steps and networks; the experts are the same for all seeds, another set
only where their order is another. Printed are mean ± standard deviation over the seeds of the runs'
mean test accuracies, in percent: of the sets that were selected on held-out images, how far these
are from the first idea's on the same seed, and of the sets at the last iteration, whatever was
selected. Random real images are those beside the first idea. FOLDER keeps what is done, for the
next time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

IDEAS: dict[str, tuple[str, ...]] = {
    "the preset": (),
    "matched_share 0.75": ("distill.matched_share=0.75",),
    "matched_share 0.5": ("distill.matched_share=0.5",),
    "order easy-first": ("experts.order=easy-first",),
    "both as pad": ("distill.matched_share=0.5", "experts.order=easy-first"),
    "trajectories convex": ("distill.trajectories=convex",),
    "fyi": ("distill.mirrored=true", "evaluate.mirrored=true"),
}
SAME = ("evaluate.repeats=3", 'evaluate.against=["random"]')
RANDOM = "random real images"


def run_name(idea: str, ipc: int, seed: int) -> str:
    return f"{idea.replace(' ', '-')}-ipc{ipc}-seed{seed}"


def measure(idea: str, ipc: int, seed: int, folder: Path, options: list[str]) -> dict[str, float]:
    """Accuracy of the set that was selected, of the last one and of random real images. Raises
    CalledProcessError for a run that fails, which has said why."""
    name = run_name(idea, ipc, seed)
    kept = folder / f"{name}.json"
    if not kept.exists():
        changed = [f"--set={assignment}" for assignment in (*SAME, *IDEAS[idea])]
        asked = [f"--ipc={ipc}", f"--seed={seed}", f"--name={name}", *changed, *options]
        if (folder / "runs" / name).exists():  # it was begun, and ended before it was done
            asked = [f"--resume={name}"]
        command = [sys.executable, "-m", "datm_cli", "distill", "--no-tui", "--json", "--quiet"]
        done = subprocess.run(
            [*command, *asked], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
        )
        kept.write_text(done.stdout, encoding="utf-8")
        print(f"{name} is done", file=sys.stderr, flush=True)
    rows = json.loads(kept.read_text(encoding="utf-8"))["results"]
    found = {row["set"]: row["accuracy_mean"] for row in rows}
    return {"distilled-last": found["distilled"], **found}  # where that one was selected


def mean_and_deviation(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1f} ± {deviation:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ideas", description=__doc__)
    parser.add_argument("--ipc", default="1,10")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ideas", default=",".join(IDEAS))
    parser.add_argument("--at-once", type=int, default=1, help="seeds that are measured at once")
    parser.add_argument("--to", type=Path, default=Path("ideas"))
    parser.add_argument("options", nargs="*", help="after --: for every `datm distill`")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    ipcs, seeds = ([int(n) for n in text.split(",")] for text in (given.ipc, given.seeds))
    ideas = given.ideas.split(",")
    found: dict[tuple[str, int, int], dict[str, float]] = {}

    def of_seed(seed: int) -> None:
        for ipc in ipcs:
            for idea in ideas:
                found[idea, ipc, seed] = measure(idea, ipc, seed, given.to, given.options)

    with ThreadPoolExecutor(given.at_once) as pool:
        list(pool.map(of_seed, seeds))
    first = ideas[0]
    heads = [f"ipc {ipc}, selected | beside {first} | at the last iteration" for ipc in ipcs]
    print("| | " + " | ".join(heads) + " |")
    print("|---|" + "---|---|---|" * len(ipcs))
    for idea in (RANDOM, *ideas):
        cells = []
        for ipc in ipcs:
            source, row = (first, "random") if idea == RANDOM else (idea, "distilled")
            values = [found[source, ipc, seed][row] for seed in seeds]
            firsts = [found[first, ipc, seed]["distilled"] for seed in seeds]
            beside = [ours - theirs for ours, theirs in zip(values, firsts, strict=True)]
            cells += [
                mean_and_deviation(values),
                "" if idea in (RANDOM, first) else mean_and_deviation(beside),
            ]
            lasts = [found[source, ipc, seed]["distilled-last"] for seed in seeds]
            cells += ["" if idea == RANDOM else mean_and_deviation(lasts)]
        print(f"| {idea} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
