"""The app, and the one place where errors become two lines and an exit code.

Exit codes: 0 done, 1 failed, 2 usage or configuration, or 128 plus the signal that ended it: 130
interrupted, 143 terminated, 129 hung up, 141 the reader of the output has closed it.
"""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import sys
from contextlib import suppress
from inspect import cleandoc
from pathlib import Path
from time import sleep, time
from typing import Annotated

import typer
from typer.exceptions import TyperException

from datm_cli.commands.compare import compare
from datm_cli.commands.distill import distill
from datm_cli.commands.doctor import doctor
from datm_cli.commands.evaluate import evaluate
from datm_cli.commands.experts import experts
from datm_cli.commands.export import export
from datm_cli.commands.import_ import import_
from datm_cli.commands.inspect import inspect
from datm_cli.commands.monitor import monitor
from datm_cli.commands.presets import presets
from datm_cli.commands.report import report
from datm_cli.commands.runs import runs
from datm_cli.commands.stop import stop
from datm_cli.commands.study import study
from datm_cli.commands.tune import tune
from datm_cli.options import expanded
from datm_cli.text import output
from datm_cli.text.escapes import printable
from datm_cli.text.waiting import TorchImport
from datm_engine import hints
from datm_engine.compute import ranks
from datm_engine.compute.threads import limit_spinning
from datm_engine.errors import DatmError
from datm_engine.settings.published_names import counterpart
from datm_engine.version import __version__

# Seconds that other ranks wait with a usage error, since a launcher ends all when one ends.
RANK_0_REPORTS = 2.0

app = typer.Typer(
    name="datm",
    help="Distil an image dataset into a few images a class that train as well as all of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = {
    function.__name__.rstrip("_"): function  # import is a word of Python's
    for function in (
        distill, monitor, inspect, compare, report, evaluate, experts, runs, stop, import_, export,
        doctor, study, tune,
    )
}  # fmt: skip
for name, function in COMMANDS.items():
    # A paragraph is as wide as the terminal. Typer joins the lines of the first one only.
    paragraphs = cleandoc(function.__doc__ or "").split("\n\n")
    about = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    app.command(name, help=about)(expanded(function))
app.add_typer(presets, name="presets")  # it has a command of its own: show


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"datm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="DATM_DEBUG", help="Tracebacks for errors.")
    ] = False,
) -> None:
    if debug:
        os.environ["DATM_DEBUG"] = "1"


def run() -> None:
    """Run the app and exit. Errors go to stderr, or to stdout as one object with --json."""
    limit_spinning(os.environ)  # before any command imports torch
    # Importing torch makes a million objects that stay: searching them for garbage less often saves
    # a fifth of the start-up time.
    gc.set_threshold(10_000)
    output.have_streams()
    sys.excepthook = output.print_traceback
    if "WORLD_SIZE" in os.environ:  # a lost rank: two lines, no C++ frames
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    as_json = "--json" in sys.argv
    if not {"--quiet", "-q"} & set(sys.argv):
        sys.meta_path.insert(0, TorchImport())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may have no × and ±
    try:
        # Without standalone mode Typer raises its errors, instead of printing them and exiting.
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        ranks.leave()
        sys.exit(code)
    except DatmError as error:
        if os.environ.get("DATM_DEBUG"):
            raise
        hint = hints.hint_of(error, sys.argv[1:])
        _report_error(error.message, hint, as_json)
        output.flush_or_discard()
        sys.exit(error.exit_code)
    except TyperException as error:
        message = _usage(error)  # empty where the help has been printed instead
        if message and os.environ.get("RANK", "0") == "0":  # all ranks have the same words
            known = [word for word in sys.argv[1:] if word in (*COMMANDS, "presets")]
            output.print_error(message, " ".join(["datm", *known[:1], "--help"]), as_json)
        elif message:
            sleep(RANK_0_REPORTS)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except SystemExit as left:  # Rich and Typer exit with 1 where a pipe is closed
        _exit_if_unread(left.__context__)
        raise
    except output.Unwritable as error:
        output.discard_stdout()
        _report_error(str(error), hints.command("datm", *sys.argv[1:]), as_json=False)
        sys.exit(1)
    except Exception as error:  # an error that datm does not expect
        _exit_if_unread(error)
        if os.environ.get("DATM_DEBUG"):
            raise
        kind = type(error).__name__
        again = hints.command("datm", "--debug", *sys.argv[1:])
        _report_error(f"a fault in datm: {kind}: {error}", again, as_json)
        sys.exit(1)


def _exit_if_unread(error: BaseException | None) -> None:
    """Exit with 141 if the reader of a pipe (head) or the terminal has closed."""
    is_gone = isinstance(error, OSError) and error.errno == errno.EIO and error.filename is None
    if isinstance(error, BrokenPipeError) or is_gone:
        output.discard_stdout()
        sys.exit(141)


def _usage(error: TyperException) -> str:
    """The message. For an option of the published code that datm lacks: with its counterpart."""
    option = getattr(error, "option_name", "") if hasattr(error, "possibilities") else ""
    known = counterpart(option.lstrip("-"))
    return f"No such option: {option} ({known})" if known else error.format_message()


def _report_error(message: str, hint: str, as_json: bool) -> None:
    """Print the first failure of several ranks once; torchrun prints it again when it ends."""
    if ranks.current().reports_failure(message, hint):
        output.print_error(message, hint, as_json)
    if report := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        words = printable(f"{message}\n  {hint}", lines=True)  # torchrun prints them
        failure = {"message": words, "extraInfo": {"timestamp": str(int(time()))}}
        with suppress(OSError):  # it has been reported
            Path(report).write_text(json.dumps({"message": failure}), encoding="utf-8")
