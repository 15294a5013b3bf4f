"""A distilled set to walk through: nothing is turned into pictures before it is looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datm_cli.gallery.image_history import Moment, Samples
from datm_cli.target import TargetSet
from datm_cli.text.escapes import printable
from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.summary import changes, entropies, pictures_of

CLIP = 2.5  # standard deviations of each image's own values

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Collection:
    """Pictures and numbers of one set; images are numbered through it, class after class.

    Pictures are uint8 [height, width, channels]. `entropy`: [n] nats. `samples`: what its run
    has saved of its course, or None for a file.
    """

    def __init__(self, subject: TargetSet) -> None:
        synthetic = subject.synthetic
        self.name = printable(subject.name)
        self.dataset = printable(synthetic.dataset)
        self.class_names = tuple(map(printable, synthetic.class_names))
        self.ipc = synthetic.ipc
        self.iteration = synthetic.iteration
        self.preprocessing = synthetic.preprocessing.kind
        _, self.channels, self.height, self.width = synthetic.images.shape
        self.entropy: Floats = entropies(synthetic.labels).numpy()
        self.samples = Samples(subject.run) if subject.run else None
        self._synthetic = synthetic
        self._start = subject.start
        self._changes: dict[int, Floats] = {}

    @property
    def has_start(self) -> bool:
        return self._start is not None

    @property
    def most_entropy(self) -> float:
        """That of a label which says nothing, nats."""
        return math.log(len(self.class_names)) or 1.0

    def class_of(self, index: int) -> int:
        return index // self.ipc

    def images_of(self, number: int) -> range:
        """The images of a class."""
        return range(number * self.ipc, (number + 1) * self.ipc)

    def title(self, index: int) -> str:
        """An image's class, and its number within it if there are several."""
        name = self.class_names[self.class_of(index)]
        return f"{name} #{index % self.ipc}" if self.ipc > 1 else name

    def pictures(self, indices: Sequence[int], *, clip: bool = True) -> list[Pixels]:
        """The whitening or normalisation undone, clipped at CLIP."""
        if not indices:
            return []
        shown = pictures_of(self._synthetic, indices, clip=CLIP if clip else None)
        return list(shown.permute(0, 2, 3, 1).numpy())

    def start(self, index: int) -> Pixels | None:
        """How an image began; clipped, as it was when it was saved."""
        if self._start is None:
            return None
        picture: Pixels = self._start[index].permute(1, 2, 0).numpy()
        return picture

    def shares(self, index: int) -> Floats:
        """[classes] the probabilities of an image's soft label."""
        shares: Floats = self._synthetic.labels[index].double().softmax(dim=0).numpy()
        return shares

    def leader(self, index: int) -> str | None:
        """The class that an image's label is led by, if it is another than its own."""
        first = int(self._synthetic.labels[index].argmax())
        return None if first == self.class_of(index) else self.class_names[first]

    def mean_entropy(self, number: int) -> float:
        """Over a class's images, nats."""
        return float(self.entropy[number * self.ipc : (number + 1) * self.ipc].mean())

    def changes_of(self, number: int) -> Floats | None:
        """[ipc] root mean square changes since the start, of [0, 1], if they are known by now."""
        return self._changes.get(number)

    def change(self, index: int) -> float | None:
        known = self.changes_of(self.class_of(index))
        return None if known is None else float(known[index % self.ipc])

    def mean_change(self, number: int) -> float | None:
        known = self.changes_of(number)
        return None if known is None else float(known.mean())

    def work_out_changes(self, number: int) -> None:
        """Look at every image of a class; seconds, where images are whitened and many."""
        if self._start is not None and number not in self._changes:
            rows = slice(number * self.ipc, (number + 1) * self.ipc)
            self._changes[number] = changes(self._synthetic, self._start, rows).numpy()

    def moments(self, index: int) -> list[Moment]:
        """The image as it was at each saved iteration, oldest first, and as it is in the set."""
        start = self.start(index)
        found = {} if start is None else {0: Moment.of(0, start)}
        if self.samples is not None:
            found |= {moment.iteration: moment for moment in self.samples.moments(index)}
        found[self.iteration] = Moment(self.iteration, None)
        return [found[iteration] for iteration in sorted(found)]

    def is_sampled(self, index: int) -> bool:
        """Whether the run has saved the image between its start and now."""
        return self.samples is not None and bool(self.samples.moments(index))


def check_comparable(collections: Sequence[Collection]) -> None:
    """Raises ConfigError where two sets are not of the same classes of the same dataset."""
    first = collections[0]
    for other in collections[1:]:
        if other.dataset != first.dataset or other.class_names != first.class_names:
            raise ConfigError(
                f"{first.name} is made of {first.dataset} ({len(first.class_names)} classes), "
                f"{other.name} of {other.dataset} ({len(other.class_names)}): only sets of the "
                "same classes can be compared",
                command("datm", "inspect", first.name),
            )


def described(collections: Sequence[Collection]) -> str:
    """What the sets are, in a line; what they have in common is said once."""
    first = collections[0]
    names = " | ".join(one.name for one in collections)
    ipcs = " | ".join(str(ipc) for ipc in dict.fromkeys(one.ipc for one in collections))
    at = " | ".join(f"{i:,}" for i in dict.fromkeys(one.iteration for one in collections))
    return (
        f"{names}   {Path(first.dataset).stem}: {len(first.class_names)} classes × {ipcs} ipc, "
        f"{first.channels}×{first.height}×{first.width}, {first.preprocessing}, iteration {at}"
    )
