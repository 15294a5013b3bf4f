"""What to set where nothing is published: each rule, what it is fitted to, and its reason in words.

The paper's argument is that the difficulty of what is matched must fit the size of the synthetic
set. Two readings of it are taken together, the later of both:

- Its published windows follow the number of synthetic images in all, whatever the dataset
  (`published_window`). Their epochs are told in those of other experts by how much has been
  learned: `PROGRESS` is the clock.
- A window should begin where experts know what as many random real images teach, and end where
  they know what the distilled ones are to teach (`AT_ONE`, `PER_TENFOLD`); before, the set could
  as well be made of real images, and beyond, of none so small.

Nothing here reads a file or trains; `datm_engine.alignment` measures what the rules ask for.
"""

from datm_engine.settings.derived.clock import PROGRESS, progress, reached
from datm_engine.settings.derived.expert_training import (
    PUBLISHED_LR,
    PUBLISHED_STEPS,
    experts_settings,
)
from datm_engine.settings.derived.rates import (
    FITTING,
    HALVINGS,
    STEP_OF_IMAGES,
    STEP_OF_LABELS,
    STEP_OF_RATE,
    STEPPED,
    for_length,
    rates_for,
    student_rate,
)
from datm_engine.settings.derived.values import (
    ALIGNED,
    DERIVABLE,
    RATES,
    WINDOW,
    Derived,
    Value,
    reasons,
    rounded,
)
from datm_engine.settings.derived.window_rules import Experts, aligned, published_window

__all__ = [
    "ALIGNED",
    "DERIVABLE",
    "FITTING",
    "HALVINGS",
    "PROGRESS",
    "PUBLISHED_LR",
    "PUBLISHED_STEPS",
    "RATES",
    "STEPPED",
    "STEP_OF_IMAGES",
    "STEP_OF_LABELS",
    "STEP_OF_RATE",
    "WINDOW",
    "Derived",
    "Experts",
    "Value",
    "aligned",
    "experts_settings",
    "for_length",
    "progress",
    "published_window",
    "rates_for",
    "reached",
    "reasons",
    "rounded",
    "student_rate",
]
