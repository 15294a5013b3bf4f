"""The images of a run beside those that they started from, and its soft labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from datm_cli.report.markup import Html, html, tag
from datm_cli.report.page import remark, table
from datm_cli.report.pictures import heat_map, strip
from datm_engine.summary import entropies, pictures_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from datm_cli.target import TargetSet
    from datm_engine.synthetic import SyntheticSet

MOST_IMAGES = 8  # of a class
MOST_BYTES = 2_000_000  # of all pictures as pixels; as text in the page they take a third more
MOST_OPEN = 30  # rows of a table that is not folded


def before_and_after(subject: TargetSet) -> Html:
    """The first images of every class, as many as a page should hold, each beside its start."""
    synthetic, start = subject.synthetic, subject.start
    names, ipc = synthetic.class_names, synthetic.ipc
    classes, each = shown(synthetic, sides=1 if start is None else 2)
    indices = [k * ipc + i for k in range(classes) for i in range(each)]
    now = _arrays(pictures_of(synthetic, indices))
    before = None if start is None else _arrays(start[indices])
    pairs = []
    for k, name in enumerate(names[:classes]):
        some = slice(k * each, (k + 1) * each)
        strips = [strip(now[some], f"{name}: the images as they are")]
        if before is not None:
            began = strip(before[some], f"{name}: the same images as they began")
            strips = [began, tag("span", "→", aria_hidden="true"), *strips]
        pairs.append(tag("figure", tag("figcaption", name), tag("div", *strips, class_="pair")))
    notes = []
    if each < ipc:
        first = "the first image" if each == 1 else f"the first {each} images"
        notes.append(f"Of each class {first} of {ipc:,} are shown.")
    if classes < len(names):
        notes.append(f"Of {len(names):,} classes the first {classes:,} are shown.")
    now_is = f"as it is at iteration {synthetic.iteration:,}"
    if start is None:
        notes.append(f"Each {now_is}; how they started is not known.")
    else:
        notes.append(f"Each as it started, at the left, and {now_is}.")
    clipped = "Values beyond 2.5 standard deviations of an image are clipped."
    return html(
        remark(" ".join([*notes, clipped])),
        tag("div", *pairs, class_="pictures"),
    )


def shown(synthetic: SyntheticSet, sides: int) -> tuple[int, int]:
    """How many classes, and how many images of each, when every image is on the page `sides`
    times."""
    names, size = len(synthetic.class_names), synthetic.images[0].numel() * sides
    each = max(1, min(synthetic.ipc, MOST_IMAGES, MOST_BYTES // (names * size)))
    return max(1, min(names, MOST_BYTES // (each * size))), each


def soft_labels(synthetic: SyntheticSet) -> Html:
    """The mean soft label of each class, and the entropy of labels."""
    names, ipc = synthetic.class_names, synthetic.ipc
    every = synthetic.labels.double().softmax(dim=1)
    shares = every.reshape(len(names), ipc, len(names)).mean(dim=1)
    entropy = entropies(synthetic.labels)
    whole = math.log(len(names)) if len(names) > 1 else 1.0
    led_by_other = every.argmax(dim=1) != synthetic.classes
    rows = []
    for k, name in enumerate(names):
        own = shares[k, k].item()
        nats = entropy.reshape(len(names), ipc)[k]
        others = shares[k].clone()
        others[k] = -1
        other = int(others.argmax())
        rows.append(
            [
                name,
                f"{own:.1%}",
                f"{names[other]} {shares[k, other]:.1%}" if len(names) > 1 else "",
                f"{nats.mean().item():.2f} ({nats.mean().item() / whole:.0%})",
                f"{int(led_by_other.reshape(len(names), ipc)[k].sum())} of {ipc:,}",
            ]
        )
    mean = entropy.mean().item()
    summary = (
        f"Mean entropy {mean:.2f} nats, {mean / whole:.0%} of log {len(names):,}; "
        f"{int(led_by_other.sum()):,} of {len(every):,} labels led by another class than the one "
        "their image was made for."
    )
    headings = ["class", "own share", "next", "entropy, nats", "led by another"]
    by_class = table(headings, rows, numbers=(1, 3, 4))
    if len(rows) > MOST_OPEN:
        by_class = tag("details", tag("summary", f"all {len(rows):,} classes"), by_class)
    title = "Mean soft label of each class"
    grid = heat_map(shares.numpy(), names, title, "class of the image", "share of its label")
    return html(remark(summary), tag("div", grid, tag("div", by_class), class_="columns charts"))


def _arrays(pictures: Tensor) -> NDArray[np.uint8]:
    """uint8 [n, channels, height, width] → [n, height, width, channels]."""
    assert pictures.dtype == torch.uint8
    return pictures.permute(0, 2, 3, 1).numpy()
