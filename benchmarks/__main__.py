"""What is fast and what is small, each against the plain way.

    python -m benchmarks [--json] [--size small|full] [--report FILE.html]

Prints what was measured, and writes it with plots to the report.
"""

from __future__ import annotations

from benchmarks import evaluation, experts, matching, memory, scaling
from benchmarks.command_line import run

if __name__ == "__main__":
    parts = (matching, experts, evaluation, memory, scaling)
    run({part.__name__.rsplit(".", 1)[1]: part.measure for part in parts})
