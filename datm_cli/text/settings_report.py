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
    if as_json:
        output.print_json(
            {
                "source": settings.source,
                "settings": {
                    key: {"value": value, **_origin(settings, key)} for key, value in values.items()
                },
                "notes": [note.text for note in settings.notes],
            }
        )
        return
    table = plain_table("setting", "value", "from", unbroken=["setting"])
    for key, value in values.items():
        table.add_row(key, setting(value), str(settings.origins.get(key, "default")))
    output.results().print(table)
    for note in settings.notes:
        output.remark(note.text)


def _origin(settings: Resolved, key: str) -> dict[str, str]:
    origin = settings.origins.get(key)
    if origin is None:  # a key that no preset states
        return {"from": "default", "detail": ""}
    return {"from": origin.source.value, "detail": origin.detail}
