"""Pictures inside a page, enlarged by whole factors."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datm_cli.report.charts import LETTER
from datm_cli.report.markup import Html, tag

WANTED_SIDE = 56  # CSS pixels that a picture is enlarged to, by a whole factor
SHADE = (42, 138, 198)  # of a heat map's full share; to be seen on white and on black
FEWEST_UNNAMED = 25  # classes from which on a heat map's sides have numbers, not names
MOST_IN_NUMBERS = 12  # classes up to which a heat map's cells state their share
LONGEST_NAME = 14  # letters beside a heat map

Pixels = NDArray[np.uint8]


def strip(pictures: Pixels, what: str) -> Html:
    """Pictures beside each other, in as many lines as needed; `what` describes them.

    pictures: uint8 [n, height, width, 1, 3 or 4].
    """
    shown = [_image(picture, alt="") for picture in pictures]
    return tag("div", *shown, class_="strip", role="img", aria_label=what)


def _image(picture: Pixels, alt: str) -> Html:
    height, width = picture.shape[:2]
    factor = max(1, round(WANTED_SIDE / max(height, width)))
    return tag("img", src=uri(picture), alt=alt, width=factor * width, height=factor * height)


def uri(picture: Pixels) -> str:
    """A PNG inside an address. picture: uint8 [height, width, 1, 3 or 4]."""
    encoded = io.BytesIO()
    plain = picture[:, :, 0] if picture.shape[2] == 1 else picture
    Image.fromarray(np.ascontiguousarray(plain)).save(encoded, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def heat_map(
    shares: NDArray[np.float64], names: Sequence[str], title: str, rows: str, columns: str
) -> Html:
    """Draw shares in [0, 1], [classes, classes], darker with the square root of the share, so that
    1% is visible. `rows`, `columns`: what these are."""
    count = len(names)
    alpha = (255 * np.sqrt(shares.clip(0, 1))).round().astype(np.uint8)
    coloured = np.empty((count, count, 4), dtype=np.uint8)
    coloured[..., :3], coloured[..., 3] = SHADE, alpha
    named = count < FEWEST_UNNAMED
    sides = [_cut(name) for name in names]
    margin = max(map(len, sides)) * LETTER + 14 if named else 40
    side = 400 - margin
    cell = side / count
    every = range(count) if named else range(0, count, -(-count // 10))
    parts = [
        tag("image", href=uri(coloured), x=margin, y=margin, width=side, height=side,
            preserveAspectRatio="none"),
        tag("rect", x=margin, y=margin, width=side, height=side, class_="frame"),
    ]  # fmt: skip
    for number in every:
        text = sides[number] if named else str(number)
        at = margin + (number + 0.5) * cell
        parts.append(
            tag("text", text, x=f"{margin - 5:.1f}", y=f"{at:.1f}", dy="0.35em", class_="end")
        )
        turned = f"translate({at:.1f} {margin - 5:.1f}) rotate(-90)"
        parts.append(tag("text", text, transform=turned, dy="0.35em"))
    if count <= MOST_IN_NUMBERS:
        for row, column in np.ndindex(count, count):
            share = float(shares[row, column])
            if (percent := round(100 * share)) > 0:
                look = "middle cell" + (" strong" if share > 0.3 else "")
                x, y = (margin + (index + 0.5) * cell for index in (column, row))
                parts.append(
                    tag("text", percent, x=f"{x:.1f}", y=f"{y:.1f}", dy="0.35em", class_=look)
                )
    label = f"{title}: rows {rows}, columns {columns}"
    drawing = tag("svg", *parts, viewBox="0 0 404 404", role="img", aria_label=label)
    steps = [
        tag("li", tag("span", class_="shade", style=f"opacity:{share**0.5:.2f}"), f"{share:.0%}")
        for share in (0.01, 0.1, 0.5, 1)
    ]
    note = tag("small", f" rows: {rows}; columns: {columns}")
    scale = tag("ul", *steps, class_="legend")
    return tag("figure", tag("figcaption", title, note), scale, drawing, class_="heat")


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
