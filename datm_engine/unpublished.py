"""Settings where there is no preset: what is known before the experts are there to tell more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from datm_engine.config import overlay
from datm_engine.derivation import DERIVABLE, WINDOW, Derived, experts_settings
from datm_engine.presets import Chosen, Tables

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
        epochs = max(tables["evaluate"]["full_epochs"], *_bounds(tables))
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
    if not derive:
        return replace(chosen, derive=())
    told = ALL if derive == DERIVABLE else ", ".join(f"distill.{key}" for key in derive)
    return replace(chosen, derive=derive, notes=(*chosen.notes, NOTE.format(told)))


def within_epochs(tables: Tables, derive: Sequence[str]) -> Tables:
    """The tables with the keys that hold only until they are derived kept within the experts'
    epochs."""
    epochs, distill = tables["experts"].get("epochs"), tables["distill"]
    if not derive or not isinstance(epochs, int):
        return tables
    latest = max(1, epochs - int(distill["expert_epochs"]) + 1)
    bounds: dict[str, Any] = {
        key: min(int(distill[key]), most)
        for key, most in zip(WINDOW[:3], (latest - 1, latest, latest), strict=True)
        if key in derive
    }
    return overlay(tables, {"distill": bounds})


def _bounds(tables: Tables) -> tuple[int, ...]:
    """The last epoch that the window needs until it is derived."""
    distill = tables["distill"]
    return (distill["max_start_epoch"] - 1 + distill["expert_epochs"],)
