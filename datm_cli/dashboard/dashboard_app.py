"""The dashboard of a run.

The app polls the run's events, adds them to a `RunState` and lets every panel draw it. Drawing is
limited to a small share of one core, which the engine needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import work
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


class FollowedRun:
    """A run, and its state by the events that were read so far.

    error: why the events cannot be read, "" if they can.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.state, self.error = run, RunState(), ""
        self._reader = EventReader(run.event_log)

    def read(self) -> bool:
        """Add new events. Returns whether there are any, or `error` has changed."""
        events, previous_error, self.error = [], self.error, ""
        try:
            events = self._reader.read()
        except OSError as error:
            self.error = f"{self.run.event_log} cannot be read: {error.strerror}"
        if self._reader.rewound:
            self.state = RunState()
        for event in events:
            self.state.add(printable_event(event))
        return bool(events) or self.error != previous_error


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


class DashboardApp(FullScreenApp):
    """make_picture: creates the widgets of enlarged images. clock: returns seconds since the
    epoch. follow: poll the run; without, the app is drawn by `poll` and `redraw` only.

    shown: the run that panels show. process: the one whose process works, and is stopped. Only
    for a tune they differ.
    """

    # Parts of the screen that a key shows alone.
    PARTS: ClassVar[tuple[str, ...]] = ("curves", "images", "log")
    CSS_PATH = Path(__file__).with_name("dashboard.tcss")
    TITLE = "datm"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "stop", "stop"),
        Binding("1", "only('curves')", "curves"),
        Binding("2", "only('images')", "images"),
        Binding("3", "only('log')", "log"),
        Binding("e", "experts", "experts"),
        Binding("l", "log_scale", "log scale"),
        Binding("b", "toggle_images('with_starts')", "starts"),
        Binding("a", "toggle_images('all_images')", "all sampled images", show=False),
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
        self.shown = self.process = FollowedRun(run)
        self.full_name = printable(f"run {run.name}")
        self.resume_command = run.resume_command
        self.next_step = f"view it: {command('datm', 'inspect', run.path)}"  # when it is done
        self.status = "new"
        self.show_experts: bool | None = None  # None: while no iteration is done
        self._next_drawing = 0.0
        self._is_stale = True

    @property
    def config(self) -> dict[str, Any]:
        return self.shown.run.manifest().config

    @property
    def file_name_parts(self) -> list[str]:
        return [self.shown.run.name, str(self.shown.state.iteration)]

    def exit_message(self) -> str:
        """What to type next, printed when the dashboard is closed."""
        name = self.full_name
        if self.status == "running":
            return (
                f"{name} continues; watch it: {command('datm', 'monitor', self.process.run.path)}"
            )
        if self.status == "done":
            return f"{name} is done; {self.next_step}"
        return f"{name} is {self.status}; resume it: {self.resume_command}"

    def compose(self) -> ComposeResult:
        config, run = self.config, self.shown.run
        network, ipc = config["network"], config["distill"]["ipc"]
        settings = (
            f"{Path(config['dataset']['name']).stem} · {ipc} ipc · "
            f"{network['architecture']} {network['width']}×{network['depth']}"
        )
        yield HeadlinePanel(printable(run.name), printable(settings))
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
            yield ImagesPanel(run.path, ipc)
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

    def read(self) -> bool:
        """Read new events. Returns whether something is new."""
        return self.shown.read()

    def poll(self) -> None:
        """Read new events, and draw them unless the last drawing was just now."""
        # The status comes first: a process writes its last event before it ends.
        status = self.process.run.process_status()
        is_new = self.read()
        status = status or self.process.state.status
        self._is_stale = self._is_stale or is_new or status != self.status
        if status != self.status:
            self.status = status
            self.refresh_bindings()
        if time.monotonic() >= self._next_drawing and (self._is_stale or status == "running"):
            self.draw()

    def draw(self) -> None:
        """Draw every panel; without new events only the headline and a sample not yet shown."""
        began = time.monotonic()
        state = self.shown.state
        headline = self.query_one(HeadlinePanel)
        headline.status, headline.now = self.status, self.clock()
        self.query_one(StagesPanel).is_active = self.status == "running"
        problems = [printable(line) for line in self._problems()]
        self.query_one(LogPanel).problems = problems
        self.set_class(bool(problems), "-problems")
        show_experts = self.show_experts
        if show_experts is None:  # until distillation begins
            show_experts = state.stage in ("dataset", "experts") and not state.matched
        self.set_class(show_experts, "-experts")
        for panel in self.query(Panel) if self._is_stale else [headline]:
            panel.show(state)
        self.query_one(ImagesPanel).show(state)
        self._is_stale = False
        rest = REST * (time.monotonic() - began)
        self._next_drawing = time.monotonic() + min(MOST_REST, max(LEAST_REST, rest))

    def redraw(self) -> None:
        self._is_stale = True
        self.draw()

    def _problems(self) -> list[str]:
        """Why a run failed, as far as it is known, and how to resume it."""
        if error := self.process.error or self.shown.error:
            return [error]
        if self.status not in PROBLEMS:
            return []
        ended = self.process.state.ended
        if self.status == "failed" and ended is not None:
            lines = [ended.message, ended.hint]
        elif self.status == "stale":
            lines = ["the run's machine has shown no activity for a minute"]
        else:
            lines = detach.engine_log_tail(self.process.run.engine_log)
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

    def action_experts(self) -> None:
        self.show_experts = not self.has_class("-experts")
        self.redraw()

    def action_log_scale(self) -> None:
        loss = self.query_one(LossPanel)
        loss.log_scale = not loss.log_scale
        loss.redraw()

    def action_toggle_images(self, option: str) -> None:
        images = self.query_one(ImagesPanel)
        setattr(images, option, not getattr(images, option))
        images.redraw()

    def on_picture_grid_opened(self, event: PictureGrid.Opened) -> None:
        images, item = event.grid.source, event.item
        assert isinstance(images, SampleImages)
        caption = f"{images.captions[item].text}, iteration {images.sample.iteration:,}"
        start = images.start(item)
        pair = [("start", start)] if start is not None else []
        pair.append(("now", images.now(item)))
        self.push_screen(EnlargedImages(caption, pair, self.make_picture))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.status in ("running", "stale") if action == "stop" else True

    @work
    async def action_stop(self) -> None:
        if await self.push_screen_wait(StopDialog(self.full_name)):
            try:
                detach.ask_to_stop(self.process.run)
            except DatmError as error:
                self.notify_error(error)
            else:
                self.notify("stopping after the current step, with a checkpoint")
