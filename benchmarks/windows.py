"""Windows by the rules beside the published ones, as the table in docs/unpublished.md.

    python -m benchmarks.windows

The rules are asked for experts that learn as `PROGRESS` says, 100 epochs of them: so this shows how
well they fit the number of images, and not what experts of these datasets would show themselves.
"""

from __future__ import annotations

from datm_engine.settings import presets
from datm_engine.settings.derived.expert_training import PUBLISHED_LR, PUBLISHED_STEPS
from datm_engine.settings.derived.window_rules import Experts, reached, window_settings

CELLS = {
    "CIFAR-10": ("cifar10", 10, (1, 10, 50, 500, 1000)),
    "CIFAR-100": ("cifar100", 100, (1, 10, 50, 100)),
    "Tiny-ImageNet": ("tinyimagenet", 200, (1, 10, 50)),
}
EPOCHS = 100


def main() -> None:
    print(table())


def table() -> str:
    """Markdown: a row a cell."""
    rows = [
        "| dataset | ipc | T⁻ : T → T⁺ | by the rules | M | by the rules | N | by the rules |",
        "|---|---|---|---|---|---|---|---|",
    ]
    learned = [reached(epoch) for epoch in range(EPOCHS + 1)]
    loss = [1 - share for share in learned]
    experts = Experts(loss, learned, None, PUBLISHED_STEPS, PUBLISHED_LR)
    for dataset, (family, classes, ipcs) in CELLS.items():
        for ipc in ipcs:
            stated = presets.load(f"{family}-ipc{ipc}")["distill"]
            settings = window_settings(ipc, classes, stated["iterations"], experts, None, {})
            derived = {one.key: one.value for one in settings}
            cells = [dataset, ipc, _window(stated), _window(derived)]
            for key in ("expert_epochs", "syn_steps"):
                cells += [stated[key], derived[key]]
            rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def _window(of: dict[str, int | float]) -> str:
    lower, initial, final = (of[f"{key}_start_epoch"] for key in ("min", "initial_max", "max"))
    return f"{lower} : {final}" if initial == final else f"{lower} : {initial} → {final}"


if __name__ == "__main__":
    main()
