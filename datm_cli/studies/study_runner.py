"""A study's runs, made one after the other by the road of `datm distill`.

What is done is not done again and what was stopped goes on, so that the same command, typed again,
ends a study that was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from datm_cli.options import ComputeOptions
from datm_cli.resolve import GivenSettings
from datm_cli.session import prepare_run
from datm_cli.text import output
from datm_cli.text.progress import reader
from datm_engine.compute.threads import run_work
from datm_engine.errors import ConfigError, MatchingError
from datm_engine.hints import command
from datm_engine.pipeline import Folders, make_distilled_set
from datm_engine.runs.directory import Run
from datm_engine.settings.config import differences
from datm_engine.settings.resolved import Resolved
from datm_engine.studies.shared_rows import shared_rows
from datm_engine.studies.study_plan import Plan, PlannedRun


@dataclass(frozen=True)
class Making:
    """`origins`: where each run's settings came from, by its name. `stop()` ends the study after
    the step that is under way."""

    plan: Plan
    origins: Mapping[str, Resolved]
    folders: Folders
    computing: ComputeOptions
    stop: Callable[[], bool]
    silent: bool

    def check(self) -> None:
        """Raises ConfigError where a run of a planned name was made with other settings; one that
        failed before it had made anything gives its place. Raises DataError for an impossible
        ipc."""
        largest = max((run.config for run in self.plan.runs), key=lambda c: c.distill.ipc)
        prepare_run.check_ipc(largest, self.folders.data)
        for planned in self.plan.runs:
            run = self._run(planned)
            if self._is_new(run):
                continue
            changed = differences(run.config(), planned.config).items()
            fixed = [(key, both) for key, both in changed if key not in prepare_run.COMPARED]
            if fixed:
                told = ", ".join(f"{key} was {was!r}, not {now!r}" for key, (was, now) in fixed)
                raise ConfigError(
                    f"run {run.name} has other settings: {told}",
                    command("--name", self._free_name()),
                )

    def make(self) -> list[MatchingError]:
        """Make what is missing, until done or stopped. A run in which matching cannot go on is a
        finding: it is told, and the others are made all the same. Their problems come back."""
        failed = []
        for number, planned in enumerate(self.plan.runs, start=1):
            place = f"run {number} of {len(self.plan.runs)}, {planned.name}"
            if self._is_done(planned):
                self._tell(f"{place}: done")
                continue
            self._tell(f"{place}: start epochs {planned.window}")
            try:
                goes_on = self._make(planned)
            except MatchingError as problem:
                failed.append(problem)
                self._tell(problem.message)
                continue
            if not goes_on:
                break
        return failed

    def _make(self, planned: PlannedRun) -> bool:
        """Whether it was made to its end, and was not stopped."""
        run, asked = self._run(planned), self.computing
        device = asked.device or "auto"
        others = [self._run(other) for other in self.plan.runs if other != planned]
        new = self._is_new(run)
        before = None if new else prepare_run.arithmetic(self.folders, run.name)
        origin = replace(self.origins[planned.name], config=planned.config)
        on = asked.start(before, run_work(origin.config, origin.shape))
        if new:
            run = prepare_run.new_run(self.folders, planned.name, origin, device, on)
        else:
            given = GivenSettings(self.folders.data, flags=planned.config.model_dump())
            run = prepare_run.resumed_run(self.folders, run.name, given, device)

        def stop() -> bool:
            return self.stop() or run.stop_file.exists()

        with (
            prepare_run.discarded_if_refused(run, is_new=new),
            reader(output.remarks(), silent=self.silent) as screen,
            run.recording() as record,
        ):
            for event in run.events() if new else []:
                screen.read(event)
            known = shared_rows(run, (other for other in others if not self._is_new(other)))
            for row in known:
                screen.read(record.write(row))
            on = replace(on, stop=stop)
            with record.recorded(screen.read) as emit:
                outcome = make_distilled_set(run.config(), run, self.folders, on, emit=emit)
        return outcome.status == "done"

    def _run(self, planned: PlannedRun) -> Run:
        return Run(self.folders.runs / planned.name)

    def _is_new(self, run: Run) -> bool:
        return not (run.path / "run.json").is_file() or run.was_in_vain

    def _is_done(self, planned: PlannedRun) -> bool:
        run = self._run(planned)
        if self._is_new(run) or run.status() != "done":
            return False
        return run.config() == planned.config

    def _free_name(self) -> str:
        """The study's name with the first number that no run of it has."""
        number = 2
        while any(self.folders.runs.glob(f"study-{self.plan.name}-{number}-ipc*")):
            number += 1
        return f"{self.plan.name}-{number}"

    def _tell(self, text: str) -> None:
        if not self.silent:
            output.remark(text)
