"""The settings of a run that is not started: each with its value and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datm_cli.text import output
from datm_cli.text.tables import plain_table
from datm_engine.formatting import setting
from datm_engine.settings.config import flattened

if TYPE_CHECKING:
    from datm_engine.settings.resolved import Resolved


def print_explanation(settings: Resolved, *, as_json: bool) -> None:
    """Print every setting, its value and its origin, then the notes."""
    values = flattened(settings.config.model_dump())
    table = plain_table("setting", "value", "from", unbroken=["setting"])
    origins = {}
    for key, value in values.items():
        origin = settings.origins.get(key)  # None for a key that no preset states
        table.add_row(key, setting(value), str(origin or "default"))
        source, detail = (origin.source.value, origin.detail) if origin else ("default", "")
        origins[key] = {"value": value, "from": source, "detail": detail}
    notes = [note.text for note in settings.notes]
    if as_json:
        output.print_json({"source": settings.source, "settings": origins, "notes": notes})
        return
    output.results().print(table)
    for text in notes:
        output.remark(text)
