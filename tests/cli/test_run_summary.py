"""A run is summed up while its engine writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from datm_cli.run_summary import RunSummary
from datm_engine.runs.directory import Run
from datm_engine.settings.config import Config


def test_a_file_that_vanishes_while_the_disk_is_measured_counts_nothing(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    run = Run.create(tmp_path, "one", make_config(), {})
    summary = RunSummary.of(run)
    before = summary.disk
    (run.samples / "000008.safetensors").write_bytes(b"12345")
    (run.samples / ".000009.safetensors.part").symlink_to(run.path / "gone")  # cannot be measured
    assert summary.disk == before + 5
