"""What a run costs, as a table, and cheaper settings beside it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from datm_cli.text.tables import plain_table
from datm_engine.errors import Setting
from datm_engine.estimation.savings import Saving
from datm_engine.estimation.stage_costs import RunCost
from datm_engine.formatting import byte_size, duration
from datm_engine.hints import fix_text


def cost_table(cost: RunCost, title: str) -> Table:
    figures = ("time", "memory", "disk")
    table = plain_table("stage", *figures, right=figures, optional=("disk", "memory"), title=title)
    for stage in cost.stages:
        table.add_row(
            stage.stage,
            duration(stage.seconds),
            byte_size(stage.memory),
            byte_size(stage.disk) if stage.disk else "",
        )
    table.add_row(
        "in all", duration(cost.seconds), byte_size(cost.memory), byte_size(cost.disk), style="bold"
    )
    if cost.compiling:
        table.caption = f"{duration(cost.compiling)} of it for compiling, once"
    return table


def savings_table(savings: Sequence[Saving]) -> Table:
    table = plain_table("quicker", "saves", "and costs", right=["saves"], prose=["and costs"])
    for saving in savings:
        option = fix_text(Setting(saving.key, saving.value))
        table.add_row(option, duration(saving.seconds), saving.price)
    return table
