"""What hangs in the gallery's grid: one image of every class, or a class's images in an order."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from datm_cli.gallery.gallery_set import Collection
from datm_cli.screen.picture_wall import Caption

Pixels = NDArray[np.uint8]


class Order(Enum):
    """By what images are sorted, the greatest first; its value is what the screen says."""

    NUMBER = "by number"
    ENTROPY = "by label entropy"
    CHANGE = "by change"


class Hanging:
    """Images of one or two sets. `places`: for each place the image of each set, by its number
    in that set, or None where a set has no such image."""

    def __init__(
        self,
        collections: Sequence[Collection],
        places: Sequence[tuple[int | None, ...]],
        captions: Sequence[Caption],
        *,
        clip: bool,
    ) -> None:
        self.beside = len(collections)
        self.places = places
        self._collections = collections
        self._captions = captions
        self._clip = clip

    def __len__(self) -> int:
        return len(self.places)

    def pictures(self, places: range) -> list[list[Pixels | None]]:
        columns = []
        for one, images in zip(self._collections, self._images(places), strict=True):
            wanted = [image for image in images if image is not None]
            drawn = dict(zip(wanted, one.pictures(wanted, clip=self._clip), strict=True))
            columns.append([None if image is None else drawn[image] for image in images])
        return [list(beside) for beside in zip(*columns, strict=True)]

    def caption(self, place: int) -> Caption:
        return self._captions[place]

    def _images(self, places: range) -> list[tuple[int | None, ...]]:
        """For each set its images at these places."""
        return list(zip(*(self.places[place] for place in places), strict=True))


def one_a_class(
    collections: Sequence[Collection], classes: Sequence[int], order: Order, *, clip: bool
) -> Hanging:
    """The first image of every class; classes are sorted by the means over their images."""
    values = [[_mean(one, number, order) for number in classes] for one in collections]
    sorted_ = [classes[place] for place in _descending(values[0])]
    named = dict(zip(classes, zip(*values, strict=True), strict=True))
    names = collections[0].class_names
    captions = [Caption(_worded(names[number], named[number])) for number in sorted_]
    places = [tuple(one.images_of(number)[0] for one in collections) for number in sorted_]
    return Hanging(collections, places, captions, clip=clip)


def of_class(
    collections: Sequence[Collection], number: int, order: Order, *, clip: bool
) -> Hanging:
    """The images of a class, sorted by the first set's values. What a label is led by, if it is
    another class, marks its image."""
    images = [list(one.images_of(number)) for one in collections]
    most = max(len(own) for own in images)
    padded = [own + [None] * (most - len(own)) for own in images]
    values = [
        [None if image is None else _value(one, image, order) for image in own]
        for one, own in zip(collections, padded, strict=True)
    ]
    sorted_ = _descending(values[0])
    places = [tuple(own[place] for own in padded) for place in sorted_]
    captions = []
    for place in sorted_:
        leaders = [
            one.leader(own[place]) if own[place] is not None else None  # type: ignore[arg-type]
            for one, own in zip(collections, padded, strict=True)
        ]
        shown = [own[place] for own in values]
        text = _worded(f"#{place}", shown)
        if order is Order.NUMBER and any(leaders):
            text += "  " + " | ".join(leader or "–" for leader in leaders)
        captions.append(Caption(text, marked=any(leaders)))
    return Hanging(collections, places, captions, clip=clip)


def _mean(one: Collection, number: int, order: Order) -> float | None:
    match order:
        case Order.NUMBER:
            return None
        case Order.ENTROPY:
            return one.mean_entropy(number)
        case Order.CHANGE:
            return one.mean_change(number)


def _value(one: Collection, image: int, order: Order) -> float | None:
    match order:
        case Order.NUMBER:
            return None
        case Order.ENTROPY:
            return float(one.entropy[image])
        case Order.CHANGE:
            return one.change(image)


def _descending(values: Sequence[float | None]) -> list[int]:
    """Places of the greatest first; those without a value keep their order, behind."""
    unknown = float("-inf")
    return sorted(
        range(len(values)),
        key=lambda place: unknown if values[place] is None else values[place],  # type: ignore[arg-type,return-value]
        reverse=True,
    )


def _worded(name: str, values: Sequence[float | None]) -> str:
    if all(value is None for value in values):
        return name
    return f"{name}  " + " | ".join("–" if value is None else f"{value:.2f}" for value in values)
