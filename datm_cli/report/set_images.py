"""The images of a run beside those that they started from, and its soft labels."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datm_cli.report.charts import LETTER
from datm_cli.report.page import render
from datm_engine.summary import entropies, pictures_of

if TYPE_CHECKING:
    from markupsafe import Markup
    from torch import Tensor

    from datm_cli.target import TargetSet
    from datm_engine.synthetic import SyntheticSet

MOST_IMAGES = 8  # of a class
MOST_BYTES = 2_000_000  # of all pictures as pixels; as text in the page they take a third more
MOST_OPEN = 30  # rows of a table that is not folded

WANTED_SIDE = 56  # CSS pixels that a picture is enlarged to, by a whole factor
SHADE = (42, 138, 198)  # a heat map's full share, visible on white and on black
FEWEST_UNNAMED = 25  # classes from which on a heat map's sides have numbers, not names
MOST_IN_NUMBERS = 12  # classes up to which a heat map's cells state their share
LONGEST_NAME = 14  # letters beside a heat map

Pixels = NDArray[np.uint8]


def before_and_after(target: TargetSet) -> dict[str, Any]:
    """The first images of every class, as many as a page should hold: a remark, and for each class
    its name, its pictures at the start (none if unknown) and its pictures now."""
    synthetic, start = target.synthetic, target.start
    names, ipc = synthetic.class_names, synthetic.ipc
    count, each = shown(synthetic, sides=1 if start is None else 2)
    classes = []
    for k, name in enumerate(names[:count]):
        own = slice(k * ipc, k * ipc + each)  # images are sorted by class
        before = [] if start is None else _pictures(start[own])
        now = pictures_of(synthetic, range(own.start, own.stop))
        classes.append((name, before, _pictures(now)))
    remarks = []
    if each < ipc:
        first = "the first image" if each == 1 else f"the first {each} images"
        remarks.append(f"Of each class {first} of {ipc:,} are shown.")
    if count < len(names):
        remarks.append(f"Of {len(names):,} classes the first {count:,} are shown.")
    now_is = f"as it is at iteration {synthetic.iteration:,}"
    if start is None:
        remarks.append(f"Each {now_is}; how they started is not known.")
    else:
        remarks.append(f"Each as it started, at the left, and {now_is}.")
    remarks.append("Values beyond 2.5 standard deviations of an image are clipped.")
    return {"remark": " ".join(remarks), "classes": classes}


def shown(synthetic: SyntheticSet, sides: int) -> tuple[int, int]:
    """How many classes, and how many images of each, when every image is on the page `sides`
    times."""
    names, size = len(synthetic.class_names), synthetic.images[0].numel() * sides
    each = max(1, min(synthetic.ipc, MOST_IMAGES, MOST_BYTES // (names * size)))
    return max(1, min(names, MOST_BYTES // (each * size))), each


def soft_labels(synthetic: SyntheticSet) -> dict[str, Any]:
    """The mean soft label of each class and the entropy of labels: a remark, the rows of a table,
    and a heat map."""
    names, ipc = synthetic.class_names, synthetic.ipc
    classes = len(names)
    labels = synthetic.labels.double().softmax(dim=1)  # [n, classes]
    shares = labels.reshape(classes, ipc, classes).mean(dim=1)  # [classes, classes]
    entropy = entropies(synthetic.labels)  # [n]
    most = math.log(classes) if classes > 1 else 1.0
    led_by_other = labels.argmax(dim=1) != synthetic.classes  # [n]
    # For each class: the largest share of another one, the mean entropy, and how many are led by
    # another. Images are sorted by class.
    next_shares, next_classes = shares.clone().fill_diagonal_(-1).max(dim=1)
    nats = entropy.reshape(classes, ipc).mean(dim=1)
    led = led_by_other.reshape(classes, ipc).sum(dim=1)
    rows = [
        [
            name,
            f"{shares[k, k]:.1%}",
            f"{names[next_classes[k]]} {next_shares[k]:.1%}" if classes > 1 else "",
            f"{nats[k]:.2f} ({nats[k] / most:.0%})",
            f"{led[k]} of {ipc:,}",
        ]
        for k, name in enumerate(names)
    ]
    mean = entropy.mean().item()
    remark = (
        f"Mean entropy {mean:.2f} nats, {mean / most:.0%} of log {classes:,}; "
        f"{int(led_by_other.sum()):,} of {len(labels):,} labels led by another class than the one "
        "their image was made for."
    )
    title = "Mean soft label of each class"
    drawing = heat_map(shares.numpy(), names, title, "class of the image", "share of its label")
    return {"remark": remark, "rows": rows, "heat_map": drawing, "folded": classes > MOST_OPEN}


def heat_map(
    shares: NDArray[np.float64], names: Sequence[str], title: str, rows: str, columns: str
) -> Markup:
    """Draw shares in [0, 1], [classes, classes], darker with the square root of the share, so that
    1% is visible. rows, columns: what these are."""
    count = len(names)
    coloured = np.empty((count, count, 4), dtype=np.uint8)
    coloured[..., :3] = SHADE
    coloured[..., 3] = (255 * np.sqrt(shares.clip(0, 1))).round()  # opacity
    if count < FEWEST_UNNAMED:
        cut = LONGEST_NAME - 1
        sides = [name if len(name) <= LONGEST_NAME else f"{name[:cut]}…" for name in names]
        margin = max(map(len, sides)) * LETTER + 14
        labels = list(enumerate(sides))
    else:
        labels = [(number, str(number)) for number in range(0, count, -(-count // 10))]
        margin = 40.0
    cell = (400 - margin) / count
    cells = []
    if count <= MOST_IN_NUMBERS:
        for row, column in np.ndindex(count, count):
            share = float(shares[row, column])
            if (percent := round(100 * share)) > 0:
                x, y = (margin + (index + 0.5) * cell for index in (column, row))
                cells.append((x, y, percent, share > 0.3))
    return render(
        "heat_map.html.jinja",
        title=title,
        rows=rows,
        columns=columns,
        image=picture_uri(coloured),
        margin=margin,
        side=400 - margin,
        labels=[(margin + (number + 0.5) * cell, label) for number, label in labels],
        cells=cells,
    )


def picture_uri(picture: Pixels) -> str:
    """A PNG inside an address. picture: uint8 [height, width, 1, 3 or 4]."""
    encoded = io.BytesIO()
    plain = picture[:, :, 0] if picture.shape[2] == 1 else picture
    Image.fromarray(np.ascontiguousarray(plain)).save(encoded, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _pictures(pictures: Tensor) -> list[dict[str, Any]]:
    """The attributes of an <img> for each of uint8 [n, channels, height, width]."""
    height, width = pictures.shape[2:]
    factor = max(1, round(WANTED_SIDE / max(height, width)))
    size = {"width": factor * width, "height": factor * height}
    return [{"src": picture_uri(one.permute(1, 2, 0).numpy()), **size} for one in pictures]
