"""The dashboard: a run's directory as a screen that follows it.

It polls the events, folds them into a `RunState` and lets every region draw it. Drawing is rationed
to a small share of one core, so that the engine, which needs them all, is not held up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer

from datm_cli.dashboard.dialogs import Question
from datm_cli.dashboard.enlarged import Enlarged
from datm_cli.dashboard.panels.accuracy import Accuracy
from datm_cli.dashboard.panels.curve_panels import Loss
from datm_cli.dashboard.panels.headline import Headline
from datm_cli.dashboard.panels.images_panel import Pictures, SampleWall
from datm_cli.dashboard.panels.learning import Learning
from datm_cli.dashboard.panels.log import Log
from datm_cli.dashboard.panels.panel import Region
from datm_cli.dashboard.panels.rate import Rate
from datm_cli.dashboard.panels.status_panels import Stages
from datm_cli.dashboard.panels.window_panel import Window
from datm_cli.screen.full_screen import FullScreen
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
# How long until it is drawn again: as painting what was drawn takes about as long once more, this
# keeps to a fiftieth of one core. An engine that computes on all cores waits for that one.
REST = 100  # times as long as drawing took,
LEAST_REST, MOST_REST = 2.0, 10.0  # seconds
TROUBLE = ("failed", "crashed", "stale")


class Dashboard(FullScreen):
    """`make_picture` makes the widgets of enlarged images; `clock` gives the time in seconds since
    the epoch; without `follow` nothing is polled."""

    PARTS: ClassVar[tuple[str, ...]] = ("curves", "images", "log")  # seen alone by a key
    kind = "run"
    CSS_PATH = Path(__file__).with_name("dashboard.tcss")
    TITLE = "datm"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "ask_to_stop", "stop"),
        Binding("1", "only('curves')", "curves"),
        Binding("2", "only('images')", "images"),
        Binding("3", "only('log')", "log"),
        Binding("e", "experts", "experts"),
        Binding("l", "log_scale", "log scale"),
        Binding("b", "beside_start", "starts"),
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
        self.of, self.clock, self.follow, self.make_picture = run, clock, follow, make_picture
        self.state, self.tail = RunState(), EventReader(run.event_log)
        self.status = "new"
        self.experts_wanted: bool | None = None  # None: as the stage has it
        self._next_drawing = 0.0
        self._stale = True
        self._unreadable = ""  # why the events cannot be read, if so

    @property
    def settings(self) -> dict[str, Any]:
        """The tables of what is watched."""
        return self.of.manifest().config

    @property
    def watched(self) -> Run:
        """What has the process that works, and is asked to stop."""
        return self.of

    @property
    def resuming(self) -> str:
        """The command that goes on with it."""
        return self.of.resuming

    def compose(self) -> ComposeResult:
        config = self.settings
        yield Headline(self.of.name, _about(config))
        yield Stages()
        yield from self.compose_more()
        with Horizontal(id="middle"):
            with Vertical(id="curves"):
                yield Learning()
                yield Loss()
                yield Window()
                with Horizontal(id="measures"):
                    yield Accuracy()
                    yield Rate()
            yield Pictures(self.of.path, config["distill"]["ipc"])
        yield Log()
        yield Footer(show_command_palette=False)

    def compose_more(self) -> ComposeResult:
        """Regions between the stages and the curves."""
        yield from ()

    def on_mount(self) -> None:
        super().on_mount()
        self.poll()
        if self.follow:
            self.set_interval(POLL_SECONDS, self.poll)

    def poll(self) -> None:
        """Read what is new, and draw it if it is time to."""
        # The process first: it tells its end before it is gone.
        status = self.watched.process_status()
        told = self._read()
        if self.tail.rewound:
            self.state = RunState()
        for event in told:
            self.state.add(event)
        status = status or self.watched_state.status
        self._stale = self._stale or bool(told) or status != self.status
        if status != self.status:
            self.status = status
            self.refresh_bindings()
        if time.monotonic() >= self._next_drawing and (self._stale or status == "running"):
            self.draw()

    @property
    def watched_state(self) -> RunState:
        """The state by the events of `watched`."""
        return self.state

    def _read(self) -> list[Event]:
        try:
            told = self.tail.read()
        except OSError as problem:
            wrong = f"{self.of.event_log} cannot be read: {problem.strerror}"
            self._stale = self._stale or wrong != self._unreadable
            self._unreadable = wrong
            return []
        self._stale = self._stale or bool(self._unreadable)
        self._unreadable = ""
        return told

    def draw(self) -> None:
        """Every region anew; the engine's last words, if it broke."""
        began = time.monotonic()
        headline = self.query_one(Headline)
        headline.status, headline.now = self.status, self.clock()
        self.query_one(Stages).run_is_alive = self.status == "running"
        self.query_one(Log).trouble = trouble = self._trouble()
        self.set_class(bool(trouble), "-trouble")
        regions = list(self.query(Region)) if self._stale else [headline]
        self._choose_curves()
        for region in regions:
            region.show(self.state)
        self.query_one(Pictures).show(self.state)
        self._stale = False
        taken = time.monotonic() - began
        rest = min(MOST_REST, max(LEAST_REST, REST * taken))
        self._next_drawing = time.monotonic() + rest

    def redraw(self) -> None:
        self._stale = True
        self.draw()

    def _choose_curves(self) -> None:
        """The experts' curves while they train, then those of the distillation."""
        wanted = self.experts_wanted
        if wanted is None:
            wanted = self.state.stage in ("dataset", "experts") and not self.state.matched
        self.set_class(wanted, "-experts")

    def _trouble(self) -> list[str]:
        """Why a run is over that did not end well, as far as anything says so."""
        if self._unreadable:
            return [self._unreadable]
        if self.status not in TROUBLE:
            return []
        ended = self.watched_state.ended
        if self.status == "failed" and ended is not None:
            lines = [ended.message, ended.hint]
        elif self.status == "stale":
            lines = ["its machine has shown no sign of life for a minute"]
        else:
            lines = detach.engine_log_tail(self.watched.engine_log) or [
                "the engine was killed: it left no word"
            ]
        return [line for line in (*lines, f"go on with: {self.resuming}") if line]

    @property
    def is_drawn(self) -> bool:
        """Whether every region has been drawn since it was given its place."""
        sized = all(region.size.area for region in self.query(Region) if region.display)
        return sized and not self._stale

    @property
    def called(self) -> list[str]:
        return [self.of.name, f"{self.state.matched[-1].iteration}" if self.state.matched else "0"]

    def farewell(self) -> str:
        """What to type to come back, for the terminal that is left."""
        name, path = f"{self.kind} {self.watched.name}", self.watched.path
        if self.status == "running":
            return f"{name} goes on; back to it: {command('datm', 'monitor', path)}"
        if self.status == "done":
            return f"{name} is done; {self.looking}"
        return f"{name} is {self.status}; go on with: {self.resuming}"

    @property
    def looking(self) -> str:
        """What to do with a result."""
        return f"look at it: {command('datm', 'inspect', self.of.path)}"

    def action_only(self, region: str) -> None:
        """One part of the screen alone; the same key again, all that fits."""
        chosen = f"-only-{region}"
        alone = self.has_class(chosen)
        for name in self.PARTS:
            self.remove_class(f"-only-{name}")
        if not alone:
            self.add_class(chosen)
        self.call_after_refresh(self.redraw)

    def action_experts(self) -> None:
        self.experts_wanted = not self.has_class("-experts")
        self._choose_curves()
        self.call_after_refresh(self.redraw)

    def action_log_scale(self) -> None:
        loss = self.query_one(Loss)
        loss.log_scale = not loss.log_scale
        loss.redraw()

    def action_beside_start(self) -> None:
        pictures = self.query_one(Pictures)
        pictures.beside_start = not pictures.beside_start
        pictures.hang()

    def action_all_images(self) -> None:
        pictures = self.query_one(Pictures)
        pictures.all_images = not pictures.all_images
        pictures.hang()

    def on_picture_grid_opened(self, event: PictureGrid.Opened) -> None:
        wall = event.grid.wall
        if isinstance(wall, SampleWall):
            pair = zip(("start", "now"), replace(wall, starts=True).of(event.place), strict=True)
            pictures = [(title, pixels) for title, pixels in pair if pixels is not None]
            caption = f"{wall.caption(event.place).text}, iteration {wall.sample.iteration:,}"
            self.push_screen(Enlarged(caption, pictures, self.make_picture))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.status in ("running", "stale") if action == "ask_to_stop" else True

    def action_ask_to_stop(self) -> None:
        def answered(yes: bool | None) -> None:
            if not yes:
                return
            try:
                detach.ask_to_stop(self.watched)
            except DatmError as problem:
                self.notify(printable(problem.message), severity="error", markup=False)
            else:
                self.notify("asked to stop: it ends after its step, with a checkpoint")

        question = printable(f"Stop {self.kind} {self.watched.name}?")
        self.push_screen(Question(question), answered)


def _about(config: dict[str, Any]) -> str:
    network, dataset = config["network"], Path(config["dataset"]["name"]).stem
    return (
        f"{dataset} · {config['distill']['ipc']} ipc · "
        f"{network['architecture']} {network['width']}×{network['depth']}"
    )
