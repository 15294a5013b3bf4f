"""The settings of a run that is not started: each with its value and where it comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from datm_cli.text import output
from datm_cli.text.cost_report import cost_table, savings_table
from datm_cli.text.escapes import printable
from datm_cli.text.tables import plain_table
from datm_engine.formatting import setting
from datm_engine.settings.config import flattened

if TYPE_CHECKING:
    from datm_cli.session.run_cost import RunEstimate
    from datm_engine.settings.resolved import Resolved


def print_explanation(
    settings: Resolved, estimated: RunEstimate | None = None, *, as_json: bool
) -> None:
    """Print every setting, its value and its origin, then the notes, and what the run costs."""
    values = flattened(settings.config.model_dump())
    table = plain_table("setting", "value", "from", prose=["from"], cut=["value"])
    origins = {}
    for key, value in values.items():
        origin = settings.origins.get(key)  # None for a key that no preset states
        table.add_row(key, setting(value), str(origin or "default"))
        source, detail = (origin.source.value, origin.detail) if origin else ("default", "")
        origins[key] = {"value": value, "from": source, "detail": detail}
    notes = [note.text for note in settings.notes]
    if as_json:
        facts: dict[str, Any] = {"source": settings.source, "settings": origins, "notes": notes}
        if estimated:
            stages = [asdict(stage) for stage in estimated.cost.stages]
            facts["cost"] = {"seconds": estimated.cost.seconds, "stages": stages}
        output.print_json(facts)
        return
    output.results().print(table)
    for text in notes:
        output.remark(text)
    if estimated:
        output.results().print()
        output.results().print(cost_table(estimated.cost, printable(estimated.title)))
        if saved := estimated.savings():
            output.results().print(savings_table(saved))
