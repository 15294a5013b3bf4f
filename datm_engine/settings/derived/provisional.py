"""Settings where there is no preset: what is known before the experts are there to tell more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from datm_engine.settings.config import overlay
from datm_engine.settings.derived import DERIVABLE, WINDOW, Derived, experts_settings
from datm_engine.settings.presets import Chosen, Tables

NOTE = (
    "that holds until the experts are there: then {} are derived from what they learn and when "
    "(what --set, an option or a file states is kept)"
)
ALL = "the window, M, N, batch_syn, η, the learning rates and the threshold"


def with_experts(chosen: Chosen, images: int | None, iterations: int) -> Chosen:
    """The same with experts for `images` training images, or of a dataset's own kind where its
    family states them; for a run of so many iterations."""
    tables, experts = chosen.tables, chosen.tables["experts"]
    derived: list[Derived] = []
    if experts["epochs"] == "window":
        epochs = max(tables["evaluate"]["full_epochs"], _last_epoch(tables["distill"]))
        reason = "as long as training on all images takes (evaluate.full_epochs), to derive by"
        derived.append(Derived("epochs", epochs, reason))
    elif images is not None:
        derived += experts_settings(images, iterations)
    changed = [one for one in derived if experts[one.key] != one.value]
    told = (f"experts.{one.key} = {one.value:g}: {one.reason}" for one in changed)
    return replace(
        chosen,
        tables=overlay(tables, {"experts": {one.key: one.value for one in derived}}),
        notes=(*chosen.notes, *told),
    )


def still_to_derive(chosen: Chosen, stated: Sequence[str], *, is_window_stated: bool) -> Chosen:
    """The same without the keys of [distill] that somebody has stated."""
    held = {*stated, *(WINDOW if is_window_stated else ())}
    derive = tuple(key for key in chosen.derive if key not in held)
    notes = (*chosen.notes, waiting(derive)) if derive else chosen.notes
    return replace(chosen, derive=derive, notes=notes)


def waiting(derive: Sequence[str]) -> str:
    """What is said of keys that are to be derived."""
    every = tuple(derive) == DERIVABLE
    return NOTE.format(ALL if every else ", ".join(f"distill.{key}" for key in derive))


def within_epochs(tables: Tables, derive: Sequence[str]) -> Tables:
    """The tables with the keys that hold only until they are derived kept within the experts'
    epochs."""
    epochs, distill = tables["experts"].get("epochs"), tables["distill"]
    apart = distill["expert_epochs"]
    if not (derive and isinstance(epochs, int) and isinstance(apart, int)):
        return tables  # of another type than they are: that is refused in a moment
    latest = max(1, epochs - apart + 1)
    bounds: dict[str, Any] = {
        key: min(distill[key], most)
        for key, most in zip(WINDOW[:3], (latest - 1, latest, latest), strict=True)
        if key in derive
    }
    return overlay(tables, {"distill": bounds})


def _last_epoch(distill: Mapping[str, Any]) -> int:
    """The last one that is matched, until the window is derived: T⁺ − 1 + M."""
    return int(distill["max_start_epoch"] - 1 + distill["expert_epochs"])
