"""The options that several commands share, one by one and in groups.

A parameter of a command whose type is a group (`SettingOptions`, `ComputeOptions`) stands for the
options of that group: `expanded` gives Typer one parameter for each field.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datm_cli.text.terminal import COLOURS

if TYPE_CHECKING:
    from datm_engine.compute.ranks import Ranks
    from datm_engine.compute.runtime import Runtime
    from datm_engine.runs.directory import Folders
    from datm_engine.runs.manifest import Arithmetic


def _known_colours(wanted: str) -> str:
    if wanted not in COLOURS:
        raise typer.BadParameter(f"{wanted}: not one of {', '.join(COLOURS)}")
    return wanted


def _known_resolution(wanted: str | None) -> str | None:
    from datm_engine.settings import image_size

    try:
        return None if wanted is None else str(image_size.normalized(wanted))
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None


# What decides the settings.
Dataset = Annotated[
    str | None,
    typer.Option(
        envvar="DATM_DATASET",
        metavar="NAME|FOLDER|FILE",
        help="digits, cifar10, cifar100, svhn, mnist, fashionmnist, tinyimagenet, a folder of "
        "class folders or parquet files, a .safetensors, .npz or .mat file, a ZIP or tar of "
        "these, or hf:OWNER/NAME[:CONFIGURATION] of the Hugging Face Hub.",
        show_default="digits",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(envvar="DATM_PRESET", help="A preset or family of presets: cifar10-small, say."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="DATM_CONFIG",
        metavar="FILE",
        help="Settings that override the preset's: a .toml file, DATM's published .yaml, another "
        "run's run.json, or a distilled set.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="TABLE.KEY=VALUE",
        help="Override one setting; may be repeated. A list has commas: "
        "evaluate.networks=convnet,mlp.",
    ),
]
Iterations = Annotated[
    int | None, typer.Option(min=1, envvar="DATM_ITERATIONS", help="How many to run.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, envvar="DATM_SEED", help="Of runs. Experts and splits have seeds of their own."
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(min=1, help="Networks a row, each with weights of its own; of full, too."),
]
Resolution = Annotated[
    str | None,
    typer.Option(
        envvar="DATM_RESOLUTION",
        metavar="PIXELS|WIDTHxHEIGHT",
        help="Resize images to so many pixels a side, or to 32x24, say.",
        callback=_known_resolution,
    ),
]
SkipDamaged = Annotated[
    bool,
    typer.Option(
        "--skip-damaged",
        envvar="DATM_SKIP_DAMAGED",
        help="Skip images that cannot be read, and report them.",
    ),
]
# Where files are kept.
RunsDir = Annotated[Path, typer.Option(envvar="DATM_RUNS_DIR", help="Where runs are kept.")]
TunesDir = Annotated[Path, typer.Option(envvar="DATM_TUNES_DIR", help="Where tunes are kept.")]
# What is printed.
Target = Annotated[
    str, typer.Argument(metavar="RUN|FILE", help="A run's name, or a distilled set's file.")
]
Last = Annotated[bool, typer.Option("--last", help="The last iteration, not the selected one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]
NoTui = Annotated[
    bool, typer.Option("--no-tui", envvar="DATM_NO_TUI", help="Plain lines, no full screen.")
]
Color = Annotated[
    str,
    typer.Option(
        envvar="DATM_COLOR",
        metavar="|".join(COLOURS),
        help="Colours of the full screen; auto asks the terminal.",
        callback=_known_colours,
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Print every setting, its value and where it comes from, and start nothing.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the settings with their reasons and what the run costs, and start nothing.",
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Start a run that takes long without a question.")
]
Log = Annotated[
    str | None,
    typer.Option(
        envvar="DATM_LOG",
        metavar="tensorboard,wandb",
        help="Curves to TensorBoard (in the run's folder) or Weights & Biases, as the run goes.",
    ),
]
Pixels = Annotated[
    bool,
    typer.Option("--pixels", help="Pictures in real pixels, where the terminal shows them."),
]

RUNS_DIR = Path("runs")
TUNES_DIR = Path("tunes")


@dataclass(frozen=True)
class SettingOptions:
    """The options that decide the settings."""

    dataset: Dataset = None
    ipc: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_IPC", help="Synthetic images per class.")
    ] = None
    preset: Preset = None
    method: Annotated[
        str | None,
        typer.Option(
            envvar="DATM_METHOD",
            metavar="datm|mtt|ftd|tesla|pad|mct|fyi",
            help="Run the preset as one of DATM's relatives.",
            show_default="datm",
        ),
    ] = None
    window: Annotated[
        str | None,
        typer.Option(
            envvar="DATM_WINDOW",
            metavar="early|middle|late",
            help="Match one third of the experts' epochs, T fixed.",
            show_default="the preset's window",
        ),
    ] = None
    config_file: ConfigFile = None
    assignments: Set = None


@dataclass(frozen=True)
class ComputeOptions:
    """The options that say how to compute."""

    device: Annotated[
        str | None,
        typer.Option(
            envvar="DATM_DEVICE", help="auto, cuda, cuda:1, mps or cpu.", show_default="auto"
        ),
    ] = None
    precision: Annotated[
        str,
        typer.Option(
            envvar="DATM_PRECISION",
            metavar="auto|float32|tf32|bfloat16",
            help="How layers multiply; auto takes the fastest that is safe.",
        ),
    ] = "auto"
    compiling: Annotated[
        str,
        typer.Option(
            "--compile",
            envvar="DATM_COMPILE",
            metavar="auto|on|off",
            help="Compile the steps; auto does where the work is worth the minute it takes.",
        ),
    ] = "auto"
    memory: Annotated[
        str,
        typer.Option(
            envvar="DATM_MEMORY",
            metavar="SIZE",
            help="For graphs of student steps that are kept, not built twice: 8GB, 0, or auto for "
            "a quarter of the memory.",
        ),
    ] = "auto"
    threads: Annotated[
        str,
        typer.Option(
            envvar="DATM_THREADS",
            metavar="N",
            help="Threads of the CPU; auto follows the work of a step and the cores there are.",
        ),
    ] = "auto"

    @property
    def requested(self) -> dict[str, str]:
        """What is stated, by the names of the options; the device even where it is left open."""
        stated = {
            "precision": self.precision,
            "compile": self.compiling,
            "memory": self.memory,
            "threads": self.threads,
        }
        others = {name: value for name, value in stated.items() if value != "auto"}
        return {"device": self.device or "auto", **others}

    def or_earlier(self, earlier: Mapping[str, str]) -> ComputeOptions:
        """These options, and where they leave something open, what run.json has of it."""
        named = {"precision": "precision", "compile": "compiling", "memory": "memory"}
        named["threads"] = "threads"
        kept = {named[key]: value for key, value in earlier.items() if key in named}
        left_open = {name: value for name, value in kept.items() if getattr(self, name) == "auto"}
        return replace(self, device=self.device or earlier.get("device"), **left_open)

    def check(self, before: Arithmetic | None = None) -> None:
        """Raise ConfigError for what can be seen to be wrong without torch."""
        from datm_engine.compute.requested import check_requested

        check_requested(
            self.device or "auto",
            self.precision,
            self.compiling,
            self.memory,
            self.threads,
            before,
        )

    def start(
        self,
        before: Arithmetic | None = None,
        work: float = math.inf,
        ranks: Ranks | None = None,
    ) -> Runtime:
        """The runtime. before: the arithmetic of a run that is resumed. work: multiply-adds of the
        forward pass of a step. Raises ConfigError."""
        from datm_engine.compute import runtime
        from datm_engine.compute.ranks import ALONE

        return runtime.start(
            self.device or "auto",
            self.precision,
            self.compiling,
            self.memory,
            before,
            ranks or ALONE,
            threads=self.threads,
            work=work,
        )


@dataclass(frozen=True)
class ComputeWithoutMemory(ComputeOptions):
    """Of commands that match no student: no graphs of its steps are kept."""

    memory: str = field(default="0", init=False)


@dataclass(frozen=True)
class StorageOptions:
    """The options that say where data and experts are kept."""

    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="DATM_DATA_DIR",
            help="Where downloads and decoded images are kept.",
            show_default="~/.cache/datm",
        ),
    ] = None
    experts_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="DATM_EXPERTS_DIR", help="Where experts are kept.", show_default="experts"
        ),
    ] = None

    def folders(self, runs_dir: Path = RUNS_DIR, **earlier: str) -> Folders:
        """The folders of a command. earlier: what these options were in a run that it is about."""
        from datm_engine.runs.directory import Folders

        data = self.data_dir or earlier.get("data_dir")
        given = {"data": data, "experts": self.experts_dir or earlier.get("experts_dir")}
        return Folders(runs=runs_dir, **{name: Path(path) for name, path in given.items() if path})


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of the option groups that it takes."""
    parameters: list[Parameter] = []
    groups: dict[str, Any] = {}
    # Typed by name: `from __future__ import annotations` leaves text, which eval_str resolves.
    for parameter in signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation):
            groups[parameter.name] = parameter.annotation
        group = groups.get(parameter.name)
        parameters += _fields(group) if group else [parameter]

    @wraps(command)
    def call(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{each.name: values.pop(each.name) for each in _fields(group)})
        command(**values)

    # Typer reads the signature to make the options. They are passed by keyword, so that those
    # without a default may follow those with one.
    shown = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    vars(call)["__signature__"] = Signature(shown)
    return call


def _fields(group: Callable[..., object]) -> Iterable[Parameter]:
    return signature(group, eval_str=True).parameters.values()


def tables(**options: Any) -> dict[str, Any]:
    """The settings that options of their own state: `table__key=value`, None where none does."""
    stated: dict[str, Any] = {}
    for name, value in options.items():
        table, _, key = name.partition("__")
        if value is not None:
            stated.setdefault(table, {})[key] = value
    return stated


def named(argument: str, path: Path, example: str) -> None:
    """Raise ConfigError for a path without a name of its own, as "." and "/"."""
    from datm_engine.errors import ConfigError, Setting

    if path.name in ("", ".."):
        wrong = f"--{argument} {path}: has no name of its own"
        raise ConfigError(wrong, Setting(argument, example))


def elsewhere(runs_dir: Path) -> str:
    """The option that a command needs to find a run; empty for the default folder."""
    return "" if runs_dir == RUNS_DIR else f" --runs-dir {shlex.quote(str(runs_dir))}"
