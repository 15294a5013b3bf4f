"""The dashboard of a run.

The app polls the run's events, adds them to a `RunState` and lets every panel draw it. Drawing is
limited to a small share of one core, which the engine needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer

from datm_cli.dashboard.dialogs import EnlargedImages, StopDialog
from datm_cli.dashboard.panels.curve_panels import (
    AccuracyPanel,
    ExpertsPanel,
    LossPanel,
    RatePanel,
)
from datm_cli.dashboard.panels.images_panel import ImagesPanel, SampleImages
from datm_cli.dashboard.panels.panel import Panel
from datm_cli.dashboard.panels.status_panels import HeadlinePanel, LogPanel, StagesPanel
from datm_cli.dashboard.panels.window_panel import WindowPanel
from datm_cli.screen.full_screen import FullScreenApp
from datm_cli.screen.picture_grid import PictureGrid
from datm_cli.screen.picture_widgets import Picture
from datm_cli.session import detach
from datm_cli.text.escapes import printable
from datm_engine.errors import DatmError
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.event_log import EventReader
from datm_engine.runs.events import Event
from datm_engine.runs.state import RunState

POLL_SECONDS = 0.5
# The pause after a drawing is REST times as long as it took. Painting takes about as long again as
# drawing, so the screen uses a fiftieth of one core: an engine that uses all
# cores is slowed by any that the screen takes.
REST = 100
LEAST_REST, MOST_REST = 2.0, 10.0  # seconds
PROBLEMS = ("failed", "crashed", "stale")  # statuses


class DashboardApp(FullScreenApp):
    """make_picture: creates the widgets of enlarged images. clock: returns seconds since the
    epoch. follow: poll the run; without, the app is drawn by `poll` and `redraw` only."""

    # Parts of the screen that a key shows alone.
    PARTS: ClassVar[tuple[str, ...]] = ("curves", "images", "log")
    kind = "run"
    CSS_PATH = Path(__file__).with_name("dashboard.tcss")
    TITLE = "datm"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "stop", "stop"),
        Binding("1", "only('curves')", "curves"),
        Binding("2", "only('images')", "images"),
        Binding("3", "only('log')", "log"),
        Binding("e", "experts", "experts"),
        Binding("l", "log_scale", "log scale"),
        Binding("b", "starts", "starts"),
        Binding("a", "all_images", "all sampled images", show=False),
    ]

    def __init__(
        self,
        run: Run,
        *,
        make_picture: Callable[..., Picture] = Picture,
        clock: Callable[[], float] = time.time,
        follow: bool = True,
    ) -> None:
        super().__init__()
        self.clock, self.follow, self.make_picture = clock, follow, make_picture
        self.status = "new"
        self.show_experts: bool | None = None  # None: while no iteration is done
        self._next_drawing = 0.0
        self._is_stale = True
        self._read_error = ""  # why the events cannot be read
        self.open_run(run)

    # --- what is shown; a tune shows the run of one trial, and its own process ---

    def open_run(self, run: Run) -> None:
        """Show this run from now on."""
        self.shown_run, self.state, self.tail = run, RunState(), EventReader(run.event_log)

    @property
    def config(self) -> dict[str, Any]:
        return self.shown_run.manifest().config

    @property
    def process_run(self) -> Run:
        """The run directory whose process works, and is stopped."""
        return self.shown_run

    @property
    def process_state(self) -> RunState:
        """The state by the events of `process_run`."""
        return self.state

    @property
    def resume_command(self) -> str:
        return self.shown_run.resume_command

    @property
    def next_step(self) -> str:
        """What to type after the run is done."""
        return f"view it: {command('datm', 'inspect', self.shown_run.path)}"

    @property
    def full_name(self) -> str:
        return printable(f"{self.kind} {self.process_run.name}")

    @property
    def file_name_parts(self) -> list[str]:
        return [self.shown_run.name, str(self.state.iteration)]

    def exit_message(self) -> str:
        """What to type next, printed when the dashboard is closed."""
        if self.status == "running":
            watch = command("datm", "monitor", self.process_run.path)
            return f"{self.full_name} continues; watch it: {watch}"
        if self.status == "done":
            return f"{self.full_name} is done; {self.next_step}"
        return f"{self.full_name} is {self.status}; resume it: {self.resume_command}"

    # --- layout ---

    def compose(self) -> ComposeResult:
        config = self.config
        network, ipc = config["network"], config["distill"]["ipc"]
        settings = (
            f"{Path(config['dataset']['name']).stem} · {ipc} ipc · "
            f"{network['architecture']} {network['width']}×{network['depth']}"
        )
        yield HeadlinePanel(printable(self.shown_run.name), printable(settings))
        yield StagesPanel()
        yield from self.compose_trials()
        with Horizontal(id="middle"):
            with Vertical(id="curves"):
                yield ExpertsPanel()
                yield LossPanel()
                yield WindowPanel()
                with Horizontal(id="measures"):
                    yield AccuracyPanel()
                    yield RatePanel()
            yield ImagesPanel(self.shown_run.path, ipc)
        yield LogPanel()
        yield Footer(show_command_palette=False)

    def compose_trials(self) -> ComposeResult:
        """A tune has a panel of its trials."""
        yield from ()

    # --- reading and drawing ---

    def on_mount(self) -> None:
        self.poll()
        if self.follow:
            self.set_interval(POLL_SECONDS, self.poll)

    def poll(self) -> None:
        """Read new events, and draw them unless the last drawing was just now."""
        # The status comes first: a process writes its last event before it ends.
        status = self.process_run.process_status()
        new = self._read()
        if self.tail.rewound:
            self.state = RunState()
        for event in new:
            self.state.add(printable_event(event))
        status = status or self.process_state.status
        self._is_stale = self._is_stale or bool(new) or status != self.status
        if status != self.status:
            self.status = status
            self.refresh_bindings()
        if time.monotonic() >= self._next_drawing and (self._is_stale or status == "running"):
            self.draw()

    def _read(self) -> list[Event]:
        new: list[Event] = []
        problem = ""
        try:
            new = self.tail.read()
        except OSError as error:
            problem = f"{self.shown_run.event_log} cannot be read: {error.strerror}"
        self._is_stale = self._is_stale or problem != self._read_error
        self._read_error = problem
        return new

    def draw(self) -> None:
        """Draw every panel; without new events only the headline and a sample not yet shown."""
        began = time.monotonic()
        headline = self.query_one(HeadlinePanel)
        headline.status, headline.now = self.status, self.clock()
        self.query_one(StagesPanel).is_active = self.status == "running"
        problems = [printable(line) for line in self._problems()]
        self.query_one(LogPanel).problems = problems
        self.set_class(bool(problems), "-problems")
        self._choose_curves()
        for panel in self.query(Panel) if self._is_stale else [headline]:
            panel.show(self.state)
        self.query_one(ImagesPanel).show(self.state)
        self._is_stale = False
        rest = REST * (time.monotonic() - began)
        self._next_drawing = time.monotonic() + min(MOST_REST, max(LEAST_REST, rest))

    def redraw(self) -> None:
        self._is_stale = True
        self.draw()

    def _choose_curves(self) -> None:
        """Show the experts' curves until distillation begins, then those of the distillation."""
        show = self.show_experts
        if show is None:
            show = self.state.stage in ("dataset", "experts") and not self.state.matched
        self.set_class(show, "-experts")

    def _problems(self) -> list[str]:
        """Why a run failed, as far as it is known, and how to resume it."""
        if self._read_error:
            return [self._read_error]
        if self.status not in PROBLEMS:
            return []
        ended = self.process_state.ended
        if self.status == "failed" and ended is not None:
            lines = [ended.message, ended.hint]
        elif self.status == "stale":
            lines = ["the run's machine has shown no activity for a minute"]
        else:
            lines = detach.engine_log_tail(self.process_run.engine_log)
            lines = lines or ["the engine was killed without an error message"]
        return [line for line in (*lines, f"resume it: {self.resume_command}") if line]

    @property
    def is_drawn(self) -> bool:
        """Whether every visible panel is drawn at its final size."""
        has_sizes = all(panel.size.area for panel in self.query(Panel) if panel.display)
        return has_sizes and not self._is_stale

    # --- keys ---

    def action_only(self, part: str) -> None:
        """Show one part alone, or all again if it is alone already."""
        is_alone = self.has_class(f"-only-{part}")
        self.remove_class(*(f"-only-{name}" for name in self.PARTS))
        self.set_class(not is_alone, f"-only-{part}")
        self.call_after_refresh(self.redraw)

    def action_experts(self) -> None:
        self.show_experts = not self.has_class("-experts")
        self._choose_curves()
        self.call_after_refresh(self.redraw)

    def action_log_scale(self) -> None:
        loss = self.query_one(LossPanel)
        loss.log_scale = not loss.log_scale
        loss.redraw()

    def action_starts(self) -> None:
        images = self.query_one(ImagesPanel)
        images.with_starts = not images.with_starts
        images.redraw()

    def action_all_images(self) -> None:
        images = self.query_one(ImagesPanel)
        images.all_images = not images.all_images
        images.redraw()

    def on_picture_grid_opened(self, event: PictureGrid.Opened) -> None:
        images = event.grid.source
        if isinstance(images, SampleImages):
            start = images.start(event.item)
            pair = [("start", start)] if start is not None else []
            caption = f"{images.captions[event.item]}, iteration {images.sample.iteration:,}"
            pair.append(("now", images.now(event.item)))
            self.push_screen(EnlargedImages(caption, pair, self.make_picture))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.status in ("running", "stale") if action == "stop" else True

    def action_stop(self) -> None:
        def stop(confirmed: bool | None) -> None:
            if not confirmed:
                return
            try:
                detach.ask_to_stop(self.process_run)
            except DatmError as error:
                self.notify_error(error)
            else:
                self.notify("stopping after the current step, with a checkpoint")

        self.push_screen(StopDialog(self.full_name), stop)


def printable_event(event: Event) -> Event:
    """The event with control characters in its texts escaped, once for all panels.

    Its path is opened, not shown.
    """
    unsafe: dict[str, Any] = {
        name: printable(value)
        for name, value in vars(event).items()
        if isinstance(value, str) and name != "path" and not value.isprintable()
    }
    return event.model_copy(update=unsafe)
