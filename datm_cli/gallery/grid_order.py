"""Which images the gallery's grid shows: one of each class, or those of a class, in an order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from datm_cli.screen.picture_grid import Caption, PictureSource
from datm_cli.screen.picture_widgets import Pixels

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import GallerySet


class Order(Enum):
    """What images are sorted by, the largest first. The value is shown on the screen."""

    NUMBER = "by number"
    ENTROPY = "by label entropy"
    CHANGE = "by change"


@dataclass(frozen=True)
class GridImages(PictureSource):
    """Images of one or two sets for a `PictureGrid`.

    items: for each item the image of each set, None where a set has none.
    """

    sets: Sequence[GallerySet]
    items: Sequence[tuple[int | None, ...]]
    clip: bool

    @property
    def per_item(self) -> int:
        return len(self.sets)

    def pictures(self, items: range) -> list[list[Pixels | None]]:
        columns = []  # for each set its pictures
        for number, one in enumerate(self.sets):
            images = [self.items[item][number] for item in items]
            indices = [image for image in images if image is not None]
            drawn = dict(zip(indices, one.pictures(indices, clip=self.clip), strict=True))
            columns.append([None if image is None else drawn[image] for image in images])
        return [list(item) for item in zip(*columns, strict=True)]


def class_grid(
    sets: Sequence[GallerySet], classes: Sequence[int], order: Order, *, clip: bool
) -> GridImages:
    """The first image of each class. Classes are sorted by means over their images."""
    names = sets[0].class_names
    rows = [(names[number], [one.images_of(number) for one in sets]) for number in classes]
    ordered = _sorted(sets, rows, order)
    captions = [Caption(caption) for caption, _ in ordered]
    items = [tuple(images[0] for images in row) for _, row in ordered]
    return GridImages(captions, sets, items, clip)


def image_grid(sets: Sequence[GallerySet], number: int, order: Order, *, clip: bool) -> GridImages:
    """The images of a class. An image whose label has another likeliest class is marked."""
    rows = []
    for k in range(max(one.ipc for one in sets)):
        # A range of one image, or of none if the set has fewer.
        rows.append((f"#{k}", [one.images_of(number)[k : k + 1] for one in sets]))
    captions, items = [], []
    for caption, row in _sorted(sets, rows, order):
        items.append(tuple(images[0] if images else None for images in row))
        others = [
            one.other_top_class(images[0]) if images else None
            for one, images in zip(sets, row, strict=True)
        ]
        if order is Order.NUMBER and any(others):
            caption += "  " + " | ".join(other or "–" for other in others)
        captions.append(Caption(caption, marked=any(others)))
    return GridImages(captions, sets, items, clip)


# A caption, and for each set the images that the row is about.
Row = tuple[str, list[range]]


def _sorted(sets: Sequence[GallerySet], rows: Sequence[Row], order: Order) -> list[Row]:
    """Sort rows by their value in the first set, unknown values last, and add all sets' values to
    the captions."""
    if order is Order.NUMBER:
        return list(rows)

    def value(one: GallerySet, images: range) -> float | None:
        if not images:
            return None
        return one.mean_entropy(images) if order is Order.ENTROPY else one.mean_change(images)

    valued = []
    for caption, row in rows:
        values = [value(one, images) for one, images in zip(sets, row, strict=True)]
        if any(number is not None for number in values):
            shown = ("–" if number is None else f"{number:.2f}" for number in values)
            caption += "  " + " | ".join(shown)
        valued.append((-math.inf if values[0] is None else values[0], (caption, row)))
    valued.sort(key=lambda pair: pair[0], reverse=True)
    return [row for _, row in valued]
