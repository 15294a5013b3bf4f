"""Record what the code computes and prints, and compare a later state of the code with it.

    python -m tests.baseline record --cifar FOLDER     writes tests/baseline/*.json
    python -m tests.baseline compare --cifar FOLDER    exits with 1 where something differs

`digests.json`: sha256 of the tensors of `distilled.safetensors`, without its metadata, of runs on
one thread of a CPU: digits at 1 and 10 images a class, digits at 3 with derived settings, and
`cifar10-small` at 20 iterations (`--cifar`: class folders of CIFAR-10; left out without it). They
hold for one kind of CPU and one version of torch, which are recorded with them.
`outputs.json`: the exit code and the `--json` output of every command on a small run, with numbers
that the clock gives, paths and versions left out. `coverage.json`: the share of statements that
the default and the slow tests run, by package, recorded by hand with coverage.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNS = {
    "digits-ipc1": "--dataset digits --ipc 1",
    "digits-ipc10": "--dataset digits --ipc 10",
    "digits-ipc3-derived": "--dataset digits --ipc 3",
    "cifar10-small-ipc1": "--dataset {cifar} --preset cifar10-small --ipc 1 --iterations 20 "
    "--resolution 16 --set experts.count=2 --set evaluate.repeats=1 --set evaluate.epochs=20 "
    """--set 'evaluate.against=["random"]'""",
}
TINY = (
    "--iterations 4 --set experts.count=2 --set evaluate.repeats=1 --set evaluate.epochs=5 "
    "--set evaluate.full_epochs=1 --set evaluate.full_repeats=1 --set experts.epochs=10"
)
EXPERTS = "--set experts.count=2 --set experts.epochs=10"
COMMANDS = {
    "version": "--version",
    "distill": f"distill --dataset digits --ipc 1 --name one --json {TINY}",
    "distill of a name that exists": f"distill --dataset digits --ipc 1 --name one --json {TINY}",
    "distill of an unknown dataset": "distill --dataset nowhere --json",
    "distill of an unknown key": "distill --dataset digits --set distill.nothing=1 --json",
    "distill of another method": "distill --dataset digits --ipc 1 --name mtt --method mtt --json "
    + TINY,
    "resume": "distill --resume one --json",
    "experts": f"experts --dataset digits --ipc 1 --json {EXPERTS}",
    "experts, inspected": f"experts --dataset digits --ipc 1 --inspect --json {EXPERTS}",
    "evaluate": "evaluate one --networks convnet,mlp --against random --repeats 1 --json",
    "inspect": "inspect one --json",
    "compare": "compare one mtt --json",
    "report": "report one --json",
    "export": "export one --format official --to official --json",
    "export of a grid": "export one --format grid --to grid.png --json",
    "import": "import official/images_best.pt official/labels_best.pt official/lr_best.pt "
    "--to theirs --dataset digits --json",
    "runs": "runs --json",
    "stop of a run that has ended": "stop one --json",
    "study": f"study window --dataset digits --ipc 1 --to study --json {TINY}",
    "tune": "tune --dataset digits --ipc 1 --budget 2 --iterations 9 --name tune --json "
    "--set experts.count=2 --set experts.epochs=10 --set evaluate.repeats=1 "
    "--set evaluate.epochs=5",
    "inspect of no run": "inspect nothing --json",
    "a command that does not exist": "nothing",
}
# What differs from one run of the same command to the next, or from one machine to another.
VOLATILE = {
    *(
        "seconds",
        "time",
        "age",
        "created",
        "duration",
        "memory",
        "bytes",
        "size",
        "host",
        "process",
    ),
    *("disk", "elapsed", "version", "torch", "compiler", "platform", "estimate", "cost"),
}


def machine() -> dict[str, str]:
    """What digests depend on besides the code."""
    import torch

    lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "?")
    return {"cpu": model, "torch": torch.__version__, "python": platform.python_version()}


def datm(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    """`datm WORDS` on one thread, in `folder`, with its own data folder."""
    environment = {name: value for name, value in os.environ.items() if "DATM" not in name}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100", "CI": "1"}
    environment |= {"DATM_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "datm_cli", *shlex.split(words)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def digests(cifar: Path | None) -> dict[str, str]:
    """Name → sha256 over the names, shapes and bytes of a distilled set's tensors."""
    from safetensors.torch import load_file

    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run, words in RUNS.items():
            if "{cifar}" in words and cifar is None:
                continue
            typed = words.format(cifar=None if cifar is None else shlex.quote(str(cifar.resolve())))
            ended = datm(folder, f"distill {typed} --name {run} --quiet --no-tui --seed 0")
            if ended.returncode:
                raise SystemExit(f"{run}: {ended.stderr}")
            content = hashlib.sha256()
            tensors = load_file(folder / "runs" / run / "distilled.safetensors")
            for key in ("images", "labels", "syn_lr"):
                content.update(f"{key} {tuple(tensors[key].shape)}".encode())
                content.update(tensors[key].contiguous().numpy().tobytes())
            found[run] = content.hexdigest()
            print(f"{run}: {found[run][:16]}", file=sys.stderr, flush=True)
    return found


def outputs() -> dict[str, Any]:
    """Command → exit code and what it prints, as one object where it is JSON."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, words in COMMANDS.items():
            ended = datm(folder, words)
            text = ended.stdout.strip()
            stated = json.loads(text) if text.startswith("{") else _plain(text, folder)
            error = [line for line in ended.stderr.splitlines() if line[:6] in ("error:", "hint: ")]
            found[what] = {
                "exit": ended.returncode,
                "stdout": _steady(stated, folder),
                "error": [_plain(line, folder) for line in error],
            }
            print(f"{what}: exit {ended.returncode}", file=sys.stderr, flush=True)
    return found


def _steady(stated: Any, folder: Path) -> Any:
    """Without what differs from one run of the same command to the next."""
    if isinstance(stated, Mapping):
        return {
            key: "…" if VOLATILE & set(key.split("_")) else _steady(value, folder)
            for key, value in stated.items()
        }
    if isinstance(stated, list):
        return [_steady(value, folder) for value in stated]
    return _plain(stated, folder) if isinstance(stated, str) else stated


def _plain(text: str, folder: Path) -> str:
    return text.replace(str(folder.resolve()), "FOLDER").replace(str(folder), "FOLDER")


def differences(before: Any, after: Any, at: str = "") -> list[str]:
    """Where two objects differ, a line each."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            line
            for key in sorted(before.keys() | after.keys())
            for line in differences(before.get(key), after.get(key), f"{at}/{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for n, (b, a) in pairs for line in differences(b, a, f"{at}/{n}")]
    return [] if before == after else [f"{at}: {before!r} is now {after!r}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("--cifar", type=Path, help="class folders of CIFAR-10: train/ and test/")
    parser.add_argument("--only", choices=("digests", "outputs"))
    given = parser.parse_args()
    changed = []
    for name, measured in (("digests", lambda: digests(given.cifar)), ("outputs", outputs)):
        if given.only not in (None, name):
            continue
        path, found = HERE / f"{name}.json", measured()
        if name == "digests":
            found = {"machine": machine(), "tensors": found}
        if given.what == "record":
            text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
            path.write_text(text + "\n", encoding="utf-8")
        else:
            before = json.loads(path.read_text(encoding="utf-8"))
            if name == "digests":  # those that were computed now
                before["tensors"] = {
                    k: v for k, v in before["tensors"].items() if k in found["tensors"]
                }
            changed += [f"{name}{line}" for line in differences(before, found)]
    print("\n".join(changed) or "nothing differs")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
