"""A line with a moving clock on the terminal, while a command waits for something."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show `what` and a clock on stderr until the block ends, then remove the line. Shows nothing
    where stderr is no terminal, or a full screen may be drawn on it."""
    if not sys.stderr.isatty() or "textual.app" in sys.modules:
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from datm_cli.text import output

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=output.remarks(), transient=True) as progress:
        progress.add_task(what, total=None)
        yield


class TorchImport(MetaPathFinder):
    """Finds torch as it is found otherwise, and shows a clock while it is imported: it takes
    seconds, and any command may be the first to need it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with waiting("loading torch"):
                    execute(module)

            vars(spec.loader)["exec_module"] = exec_module
        return spec
