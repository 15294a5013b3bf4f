"""Make the runs of a study, one after the other, each as `datm distill` makes it.

Finished runs are skipped and stopped ones resume, so that the same command, typed again, completes
a study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from datm_cli.options import ComputeOptions
from datm_cli.session import prepare_run
from datm_cli.text import output
from datm_cli.text.progress import reader
from datm_engine import api
from datm_engine.errors import ConfigError, MatchingError, Setting
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.names import free_name
from datm_engine.settings.config import changes_text, differences
from datm_engine.settings.resolved import Resolved
from datm_engine.studies.study_plan import PlannedRun, StudyPlan
from datm_engine.studies.study_results import shared_rows


@dataclass(frozen=True)
class StudyRunner:
    """Makes the runs of a plan. origins: the settings of each run, by its name. stop: returns
    whether to end the study after the current step."""

    plan: StudyPlan
    origins: Mapping[str, Resolved]
    folders: Folders
    compute: ComputeOptions
    stop: Callable[[], bool]
    silent: bool

    def check(self) -> None:
        """Raises ConfigError if a run of the study exists with other settings, DataError if a
        class has fewer images than the largest ipc."""
        largest = max((run.config for run in self.plan.runs), key=lambda c: c.distill.ipc)
        api.check_class_sizes(largest, self.folders.data)
        for planned in self.plan.runs:
            run = self._run(planned)
            if not prepare_run.is_started(run):
                continue
            changed = differences(run.config(), planned.config)
            fixed = {k: v for k, v in changed.items() if k not in prepare_run.EVALUATION_KEYS}
            if fixed:
                wrong = f"run {run.name} has other settings: {changes_text(fixed)}"
                raise ConfigError(wrong, Setting("name", free_name(self.plan.name, self._has_runs)))

    def run(self) -> list[MatchingError]:
        """Make the missing runs, until all are done or `stop()`. A run in which matching fails does
        not end the study. Returns the errors of such runs."""
        failures = []
        for number, planned in enumerate(self.plan.runs, start=1):
            title = f"run {number} of {len(self.plan.runs)}, {planned.name}"
            run = self._run(planned)
            is_finished = prepare_run.is_started(run) and run.status() == "done"
            if is_finished and run.config() == planned.config:
                self._remark(f"{title}: done")
                continue
            self._remark(f"{title}: start epochs {planned.window}")
            try:
                is_finished = self._make(planned)
            except MatchingError as problem:
                # That matching fails with these settings is a result too.
                failures.append(problem)
                self._remark(problem.message)
                continue
            if not is_finished:
                break
        return failures

    def _make(self, planned: PlannedRun) -> bool:
        """Start or resume a run. Returns whether it was finished, and not stopped."""
        is_new = not prepare_run.is_started(self._run(planned))
        others = map(self._run, (other for other in self.plan.runs if other != planned))
        started = [other for other in others if prepare_run.is_started(other)]
        # A run that resumes takes over this study's evaluation. Other settings do not differ.
        flags = planned.config.model_dump()
        origin = self.origins[planned.name]
        run, runtime = prepare_run.open_run(self.folders, planned.name, origin, self.compute, flags)

        def stop() -> bool:
            return self.stop() or run.stop_file.exists()

        with (
            api.deleted_if_refused(run, is_new=is_new),
            reader(output.remarks(), silent=self.silent) as screen,
            run.recording() as record,
        ):
            for event in run.events() if is_new else []:
                screen.read(event)
            # Baselines that another run has measured are recorded as this run's own.
            for row in shared_rows(run, started):
                screen.read(record.write(row))
            runtime = replace(runtime, stop=stop)
            with record.recorded(screen.read) as emit:
                outcome = make_distilled_set(run.config(), run, self.folders, runtime, emit=emit)
        return outcome.status == "done"

    def _has_runs(self, study: str) -> bool:
        return any(self.folders.runs.glob(f"study-{study}-ipc*"))

    def _run(self, planned: PlannedRun) -> Run:
        return Run(self.folders.runs / planned.name)

    def _remark(self, text: str) -> None:
        if not self.silent:
            output.remark(text)
