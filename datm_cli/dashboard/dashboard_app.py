"""The dashboard of a run.

The app polls the run's events, adds them to a `RunState` and lets every panel draw it. Drawing is
limited to a small share of one core, which the engine needs.

To add a panel, write its class with a `TITLE` in `panels/`, yield it in `DashboardApp.compose`, and
give it a size in `dashboard.tcss`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Footer, RichLog

from datm_cli.dashboard.dialogs import GLOSSARY, EnlargedImages, StopDialog
from datm_cli.dashboard.followed_run import FollowedRun
from datm_cli.dashboard.panels.accuracy_panel import AccuracyPanel
from datm_cli.dashboard.panels.curve_panels import (
    CandidatesPanel,
    ExpertsPanel,
    LossPanel,
    RatePanel,
)
from datm_cli.dashboard.panels.images_panel import ImagesPanel, SampleImages
from datm_cli.dashboard.panels.log_panel import LogPanel
from datm_cli.dashboard.panels.panel import Panel
from datm_cli.dashboard.panels.status_panels import (
    ALIVE,
    HeadlinePanel,
    StagesPanel,
    clock,
    elapsed_seconds,
)
from datm_cli.dashboard.panels.window_panel import WindowPanel
from datm_cli.dashboard.verdict import next_commands, verdict
from datm_cli.screen.full_screen import FullScreenApp
from datm_cli.screen.picture_grid import PictureGrid
from datm_cli.screen.picture_widgets import Picture
from datm_cli.session import detach
from datm_cli.text.escapes import printable
from datm_engine.errors import DatmError
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.events import WaitBegan
from datm_engine.runs.manifest import Manifest

POLL_SECONDS = 0.5
# After a drawing of d seconds the app pauses for REST · d. Painting takes another d, so the screen
# uses about 2/100 of a core. It must be this little, as the engine may use all cores.
REST = 100
LEAST_REST, MOST_REST = 2.0, 10.0  # seconds
CLOCK_SECONDS = 1.0  # between drawings of the headline, which has a clock
PROBLEMS = ("failed", "crashed", "stale")  # statuses


class DashboardApp(FullScreenApp):
    """make_picture: creates the widgets of enlarged images. clock: returns seconds since the
    epoch. follow: poll the run; without, the app is drawn by `poll` and `redraw` only.

    shown: the run that panels show. controlled: the one whose process is watched, and which the
    stop key stops. It differs only in a tune, which shows the run of a trial.
    """

    # Parts of the screen that a key shows alone.
    PARTS: ClassVar[tuple[str, ...]] = ("curves", "images", "log")
    # Where the screen is narrow, one of these is shown.
    VIEWS: ClassVar[tuple[str, ...]] = ("loss", "window", "scores", "rate")
    GLOSSARY: ClassVar[dict[str, str]] = GLOSSARY
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (20, "-short"), (34, "-tall")]  # noqa: RUF012
    CSS_PATH = Path(__file__).with_name("dashboard.tcss")
    TITLE = "datm"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "stop", "stop"),
        Binding("escape", "close_view", "back", key_display="esc"),
        Binding("1", "only('curves')", "curves"),
        Binding("2", "only('images')", "images"),
        Binding("3", "only('log')", "log"),
        Binding("tab", "next_view", "view", priority=True),
        Binding("slash", "search", "search the log", key_display="/", show=False),
        Binding("e", "experts", "experts", show=False),
        Binding("l", "log_scale", "log scale", show=False),
        Binding("b", "toggle_images('with_starts')", "starts", show=False),
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
        self.shown = self.controlled = FollowedRun(run)
        self.full_name = printable(f"run {run.name}")
        self.resume_command = run.resume_command
        self.status = "new"
        self.view = self.VIEWS[0]
        # None: not chosen by key; then they are shown up to the first iteration.
        self.show_experts: bool | None = None
        self._next_drawing = self._next_tick = 0.0
        self._needs_drawing = True
        self._focused_before: Widget | None = None  # before a part was shown alone

    @property
    def manifest(self) -> Manifest:
        """Of the run that is shown. A trial that has not begun has none yet."""
        run = self.shown.run
        return run.manifest() if run.manifest_file.exists() else Manifest(config={})

    @property
    def config(self) -> dict[str, Any]:
        return self.shown.run.manifest().config

    @property
    def file_name_parts(self) -> list[str]:
        return [self.shown.run.name, str(self.shown.state.iteration)]

    def exit_message(self) -> str:
        """What to type next, printed when the dashboard is closed."""
        name = self.full_name
        if self.status in ALIVE:
            again = command("datm", "monitor", self.controlled.run.path)
            continues = "continues" if self.status == "running" else "is stopping"
            return f"{name} {continues}; watch it: {again}"
        if self.status == "done":
            return "\n".join(self.done_message())
        if problems := self._problems():
            return "\n".join([f"{name} {self.status}: {problems[0]}", *problems[1:]])
        return f"{name} is {self.status}; resume it: {self.resume_command}"

    def done_message(self) -> list[str]:
        """The verdict, and what to type next, a line each."""
        state, run = self.shown.state, self.shown.run
        message = f"{self.full_name} is done in {self.elapsed}"
        words = verdict(state).sentence()
        networks = [row.network for row in state.results]
        first, *others = next_commands(run, networks)
        return [
            f"{message}: {words}" if words else message,
            f"view it: {first}",
            *(f"or: {each}" for each in others),
        ]

    @property
    def elapsed(self) -> str:
        """The time that the run took, from the command on."""
        return clock(elapsed_seconds(self.shown.state, self.manifest.created) or 0.0)

    def ending(self) -> list[Text]:
        """Two lines that replace the stages when the run is over: how it ended, what to type."""
        if self.status in (*ALIVE, "new"):
            return []
        state = self.shown.state
        if self.status == "done":
            words = verdict(state).sentence("gap")
            first = Text.assemble((f"done in {self.elapsed}", "bold"), f"   {words}")
            second = Text("next:  ", "dim").append("  ·  ".join(next_commands(self.shown.run)))
        else:
            problems = self._problems()
            first = Text(self.status, "bold")
            first.append(
                f": {printable(problems[0])}" if problems else f" at iteration {state.iteration:,}"
            )
            second = Text("resume it:  ", "dim").append(self.resume_command)
        return [first, second]

    def compose(self) -> ComposeResult:
        config, run = self.config, self.shown.run
        network, ipc = config["network"], config["distill"]["ipc"]
        settings = (
            f"{Path(config['dataset']['name']).stem} · {ipc} ipc · "
            f"{network['architecture']} {network['width']}×{network['depth']}"
        )
        yield HeadlinePanel(printable(run.name), printable(settings), self.manifest.created)
        yield StagesPanel()
        yield from self.compose_trials()
        with Container(id="middle"):
            yield AccuracyPanel(config.get("evaluate", {}).get("against", ()))
            yield ImagesPanel(run.path, ipc)
            with Vertical(id="curves"):
                yield ExpertsPanel()
                with Horizontal(id="plots"):
                    yield LossPanel()
                    yield CandidatesPanel()
                yield WindowPanel()
                yield RatePanel()
        yield LogPanel()
        yield Footer(show_command_palette=False)

    def compose_trials(self) -> ComposeResult:
        """A tune has a panel of its trials."""
        yield from ()

    # --- reading and drawing ---

    def on_mount(self) -> None:
        self.add_class(f"-view-{self.view}")
        calibrates = bool(self.manifest.derive)
        self.query_one(StagesPanel).calibrates = calibrates
        self.query_one(AccuracyPanel).calibrates = calibrates
        self.poll()
        if self.follow:
            self.set_interval(POLL_SECONDS, self.poll)

    def read(self) -> bool:
        """Read new events. Returns whether something is new."""
        return self.shown.read()

    def poll(self) -> None:
        """Read new events, and draw them unless the last drawing was just now."""
        # The status comes first: a process writes its last event before it ends.
        status = self.controlled.run.process_status()
        if status == "running" and self.controlled.run.stop_file.exists():
            status = "stopping"
        is_new = self.read()
        status = status or self.controlled.state.status
        self._needs_drawing = self._needs_drawing or is_new or status != self.status
        if status != self.status:
            self.status = status
            self.refresh_bindings()
        now = time.monotonic()
        if now >= self._next_drawing and (self._needs_drawing or status in ALIVE):
            self.draw()
        elif now >= self._next_tick and status in ALIVE:
            self._draw_headline()

    def draw(self) -> None:
        """Draw every panel; without new events only the headline and a sample not yet shown."""
        began = time.monotonic()
        state, is_active = self.shown.state, self.status in ALIVE
        stages = self.query_one(StagesPanel)
        stages.is_active = self.query_one(AccuracyPanel).is_active = is_active
        stages.ending = self.ending()
        self.set_class(bool(stages.ending), "-over")
        problems = [printable(line) for line in self._problems()]
        log = self.query_one(LogPanel)
        log.problems = problems
        self.set_class(bool(problems), "-problems")
        show_experts = self.show_experts
        if show_experts is None:
            show_experts = state.stage in ("dataset", "experts") and not state.matched
        self.set_class(show_experts, "-experts")
        self._draw_headline()
        if self._needs_drawing:
            for panel in self.query(Panel):
                panel.show(state)
            log.show(state)
        self.query_one(ImagesPanel).show(state)
        self._needs_drawing = False
        rest = REST * (time.monotonic() - began)
        self._next_drawing = time.monotonic() + min(MOST_REST, max(LEAST_REST, rest))

    def _draw_headline(self) -> None:
        headline = self.query_one(HeadlinePanel)
        headline.status, headline.now = self.status, self.clock()
        headline.show(self.shown.state)
        stages = self.query_one(StagesPanel)
        stages.now = headline.now
        if isinstance(self.shown.state.current, WaitBegan):  # it has a clock of its own
            stages.redraw()
        self._next_tick = time.monotonic() + CLOCK_SECONDS

    def redraw(self) -> None:
        self._needs_drawing = True
        self.draw()

    def _problems(self) -> list[str]:
        """Why a run failed, as far as it is known, and how to resume it."""
        if error := self.controlled.error or self.shown.error:
            return [error]
        if self.status not in PROBLEMS:
            return []
        ended = self.controlled.state.ended
        if self.status == "failed" and ended is not None:
            lines = [ended.message, ended.hint]
        elif self.status == "stale":
            lines = ["the run's machine has shown no activity for a minute"]
        else:
            lines = detach.engine_log_tail(self.controlled.run.engine_log)
            lines = lines or ["the engine was killed without an error message"]
        return [line for line in (*lines, f"resume it: {self.resume_command}") if line]

    @property
    def is_drawn(self) -> bool:
        """Whether every visible panel is drawn at its final size."""
        has_sizes = all(panel.size.area for panel in self.query(Panel) if panel.display)
        return has_sizes and not self._needs_drawing

    # --- keys ---

    def action_only(self, part: str) -> None:
        """Show one part alone, or all again if it is alone already."""
        is_alone = self.has_class(f"-only-{part}")
        if self.part_alone is None:
            self._focused_before = self.focused
        self.remove_class(*(f"-only-{name}" for name in self.PARTS))
        self.set_class(not is_alone, f"-only-{part}")
        if is_alone:
            self.screen.set_focus(self._focused_before)
        elif part in ("images", "log"):
            self.query_one(PictureGrid if part == "images" else RichLog).focus()
        self.refresh_bindings()

    @property
    def part_alone(self) -> str | None:
        return next((part for part in self.PARTS if self.has_class(f"-only-{part}")), None)

    def go_back(self) -> bool:
        log = self.query_one(LogPanel)
        if log.is_reduced:
            log.show_all()
        elif part := self.part_alone:
            self.action_only(part)
        else:
            return False
        self.refresh_bindings()
        return True

    def action_close_view(self) -> None:
        self.go_back()

    def action_next_view(self) -> None:
        """Show the next of VIEWS, where the screen has room for one."""
        self.remove_class(f"-view-{self.view}")
        self.view = self.VIEWS[(self.VIEWS.index(self.view) + 1) % len(self.VIEWS)]
        self.add_class(f"-view-{self.view}")

    def action_search(self) -> None:
        """Search the log, which is shown alone where the screen is narrow."""
        if self.screen.has_class("-narrow") and self.part_alone != "log":
            self.action_only("log")
        self.query_one(LogPanel).search()
        self.refresh_bindings()

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
        match action:
            case "stop":
                return self.status in ("running", "stale")
            case "close_view":
                log = self.query(LogPanel)
                return self.part_alone is not None or any(panel.is_reduced for panel in log)
            case "next_view":
                is_alone = len(self.screen_stack) == 1 and self.part_alone is None
                return is_alone and self.screen.has_class("-narrow")
        return True

    @work
    async def action_stop(self) -> None:
        if await self.push_screen_wait(StopDialog(self.full_name)):
            try:
                detach.ask_to_stop(self.controlled.run)
            except DatmError as error:
                self.notify_error(error)
            else:
                self.notify("stopping after the current step, with a checkpoint")
                self.poll()
