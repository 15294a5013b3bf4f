"""Which images the gallery's grid shows: one of each class, or those of a class, in an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from datm_cli.gallery.gallery_set import GallerySet
from datm_cli.screen.picture_grid import Caption
from datm_cli.screen.picture_widgets import Pixels

Value = float | None


class Order(Enum):
    """What images are sorted by, the largest first. The value is shown on the screen."""

    NUMBER = "by number"
    ENTROPY = "by label entropy"
    CHANGE = "by change"


class GridImages:
    """Images of one or two sets for a `PictureGrid`.

    items: for each item the image of each set, None where a set has none.
    """

    def __init__(
        self,
        sets: Sequence[GallerySet],
        items: Sequence[tuple[int | None, ...]],
        captions: Sequence[Caption],
        *,
        clip: bool,
    ) -> None:
        self.per_item = len(sets)
        self.items = items
        self._sets, self._captions, self._clip = sets, captions, clip

    def __len__(self) -> int:
        return len(self.items)

    def pictures(self, items: range) -> list[list[Pixels | None]]:
        columns = []  # for each set its pictures
        for number, one in enumerate(self._sets):
            images = [self.items[item][number] for item in items]
            indices = [image for image in images if image is not None]
            drawn = dict(zip(indices, one.pictures(indices, clip=self._clip), strict=True))
            columns.append([None if image is None else drawn[image] for image in images])
        return [list(item) for item in zip(*columns, strict=True)]

    def caption(self, item: int) -> Caption:
        return self._captions[item]


def class_grid(
    sets: Sequence[GallerySet], classes: Sequence[int], order: Order, *, clip: bool
) -> GridImages:
    """The first image of each class. Classes are sorted by means over their images."""

    def values(number: int) -> list[Value]:
        match order:
            case Order.NUMBER:
                return [None] * len(sets)
            case Order.ENTROPY:
                return [one.mean_entropy(number) for one in sets]
            case Order.CHANGE:
                return [one.mean_change(number) for one in sets]

    names = sets[0].class_names
    ordered = _sorted(classes, values)
    captions = [Caption(_caption(names[number], numbers)) for number, numbers in ordered]
    items = [tuple(one.images_of(number)[0] for one in sets) for number, _ in ordered]
    return GridImages(sets, items, captions, clip=clip)


def image_grid(sets: Sequence[GallerySet], number: int, order: Order, *, clip: bool) -> GridImages:
    """The images of a class. An image whose likeliest class is another one is marked."""

    def images(position: int) -> tuple[int | None, ...]:
        return tuple(
            one.images_of(number)[position] if position < one.ipc else None for one in sets
        )

    def values(position: int) -> list[Value]:
        return [
            None
            if image is None or order is Order.NUMBER
            else float(one.entropy[image])
            if order is Order.ENTROPY
            else one.change(image)
            for one, image in zip(sets, images(position), strict=True)
        ]

    captions, items = [], []
    for position, numbers in _sorted(range(max(one.ipc for one in sets)), values):
        items.append(images(position))
        others = [
            None if image is None else one.other_top_class(image)
            for one, image in zip(sets, items[-1], strict=True)
        ]
        text = _caption(f"#{position}", numbers)
        if order is Order.NUMBER and any(others):
            text += "  " + " | ".join(other or "–" for other in others)
        captions.append(Caption(text, marked=any(others)))
    return GridImages(sets, items, captions, clip=clip)


def _sorted(
    numbers: Sequence[int], values: Callable[[int], list[Value]]
) -> list[tuple[int, list[Value]]]:
    """Sort numbers by their value in the first set, the largest first, unknown ones last."""
    valued = [(number, values(number)) for number in numbers]
    return sorted(
        valued, key=lambda pair: -float("inf") if pair[1][0] is None else pair[1][0], reverse=True
    )


def _caption(name: str, values: Sequence[Value]) -> str:
    if all(value is None for value in values):
        return name
    return f"{name}  " + " | ".join("–" if value is None else f"{value:.2f}" for value in values)
