"""The command line that the benchmarks share."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import html, lines
from datm_engine.compute.runtime import CPU_HAS_BFLOAT16, environment

Measure = Callable[[str], dict[str, Any]]


def run(measures: Mapping[str, Measure]) -> None:
    """Parse the command line, measure, print, and write the report if `--report` names one."""
    parser = argparse.ArgumentParser(description="How fast and how small, beside the plain way.")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--report", type=Path, help="where to write a page with plots")
    options = parser.parse_args()
    threads = torch.get_num_threads()
    cpu = {"threads": threads, "cpu_has_bfloat16": CPU_HAS_BFLOAT16}
    found: dict[str, Any] = {"machine": {**environment(), **cpu}, "size": options.size}
    for name, measure in measures.items():
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        found[name] = {**measure(options.size), "took_seconds": time.monotonic() - began}
        if not options.json:
            print("\n".join(lines(name, found[name])), flush=True)
    if options.json:
        print(json.dumps(found))
    if options.report:
        options.report.write_text(html(found), encoding="utf-8")
        print(f"written: {options.report}", file=sys.stderr)
