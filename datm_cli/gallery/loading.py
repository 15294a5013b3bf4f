"""Reading what the gallery shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datm_cli.target import choose_classes, find, read

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_app import Loaded


def loader(
    targets: Sequence[str], class_names: Sequence[str] | None, runs_dir: Path, *, last: bool
) -> Callable[[], Loaded]:
    """What reads the sets when it is called, torch and all.

    Raises ConfigError or RunError at once for a run or file that is not there; what is returned
    raises what is found wrong later.
    """
    found = [find(target, runs_dir, last=last) for target in targets]

    def load() -> Loaded:
        from datm_cli.gallery.gallery_set import Collection, check_comparable

        subjects = [read(t, f, last=last) for t, f in zip(targets, found, strict=True)]
        collections = [Collection(subject) for subject in subjects]
        check_comparable(collections)
        first = collections[0]
        chosen = choose_classes(
            class_names, subjects[0].synthetic.class_names, first.dataset, targets[0]
        )
        return collections, chosen

    return load
