"""A distilled set in the gallery. Pictures and numbers are computed when they are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datm_cli.screen.picture_widgets import Pixels
from datm_cli.screen.sample_files import HistoryImage, RunSamples
from datm_cli.target import TargetSet
from datm_cli.text.escapes import printable
from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.summary import changes, entropies, pictures_of

CLIP = 2.5  # standard deviations of each image's own values

Floats = NDArray[np.float64]


class GallerySet:
    """Images are numbered through the set, class after class: image i is of class i // ipc.

    Names are escaped here, for all widgets. entropy: of the labels, in nats, [n]. samples: of the
    set's run, None for a file.
    """

    def __init__(self, target: TargetSet) -> None:
        synthetic = target.synthetic
        self.name = printable(target.name)
        self.dataset = printable(synthetic.dataset)
        self.class_names = tuple(map(printable, synthetic.class_names))
        self.ipc = synthetic.ipc
        self.iteration = synthetic.iteration
        self.entropy: Floats = entropies(synthetic.labels).numpy()
        self.max_entropy = math.log(len(self.class_names)) or 1.0  # of a uniform label, nats
        self.samples = RunSamples(target.run) if target.run else None
        self.synthetic = synthetic
        self._start = target.start  # uint8 [n, channels, height, width]
        self._changes: dict[int, Floats] = {}  # class → [ipc]

    @property
    def has_start(self) -> bool:
        return self._start is not None

    def class_of(self, index: int) -> int:
        return index // self.ipc

    def images_of(self, number: int) -> range:
        """The images of a class."""
        return range(number * self.ipc, (number + 1) * self.ipc)

    def title(self, index: int) -> str:
        """The class of an image, with its number if the class has several."""
        name = self.class_names[self.class_of(index)]
        return f"{name} #{index % self.ipc}" if self.ipc > 1 else name

    def pictures(self, indices: Sequence[int], *, clip: bool = True) -> list[Pixels]:
        """Undo the preprocessing of images. clip: limit outliers to CLIP."""
        if not indices:
            return []
        pictures = pictures_of(self.synthetic, indices, clip=CLIP if clip else None)
        # [n, channels, height, width] → n × [height, width, channels]
        return list(pictures.permute(0, 2, 3, 1).numpy())

    def start(self, index: int) -> Pixels | None:
        """What an image started from. It was clipped when it was saved."""
        if self._start is None:
            return None
        picture: Pixels = self._start[index].permute(1, 2, 0).numpy()
        return picture

    def probabilities(self, index: int) -> Floats:
        """[classes], of an image's soft label."""
        values: Floats = self.synthetic.labels[index].double().softmax(dim=0).numpy()
        return values

    def other_top_class(self, index: int) -> str | None:
        """The likeliest class of an image's label. None if it is the image's own."""
        top = int(self.synthetic.labels[index].argmax())
        return None if top == self.class_of(index) else self.class_names[top]

    def mean_entropy(self, images: range) -> float:
        """Over the labels of images, nats."""
        return float(self.entropy[images].mean())

    def mean_change(self, images: range) -> float | None:
        """Root mean square change since the start, in [0, 1], over images of one class.

        None until it is computed.
        """
        number, first = divmod(images.start, self.ipc)
        known = self._changes.get(number)
        return None if known is None else float(known[first : first + len(images)].mean())

    def change(self, index: int) -> float | None:
        return self.mean_change(range(index, index + 1))

    def compute_changes(self, number: int) -> None:
        """Compute the changes of a class. Takes seconds for many whitened images."""
        if self._start is not None and number not in self._changes:
            images = self.images_of(number)
            rows = slice(images.start, images.stop)
            self._changes[number] = changes(self.synthetic, self._start, rows).numpy()

    def history(self, index: int, *, clip: bool) -> list[HistoryImage]:
        """The image at its start, in each sample and in the set, in order of iterations."""
        start, current = self.start(index), self.pictures([index], clip=clip)[0]
        images = {} if start is None else {0: HistoryImage(0, lambda: start)}
        if self.samples is not None:
            images |= {image.iteration: image for image in self.samples.images_of(index)}
        images[self.iteration] = HistoryImage(self.iteration, lambda: current, is_of_set=True)
        return [images[iteration] for iteration in sorted(images)]


def check_comparable(sets: Sequence[GallerySet]) -> None:
    """Raise ConfigError unless the sets have the same classes of the same dataset."""
    first = sets[0]
    for other in sets[1:]:
        if other.dataset != first.dataset or other.class_names != first.class_names:
            raise ConfigError(
                f"{first.name} is made of {first.dataset} ({len(first.class_names)} classes), "
                f"{other.name} of {other.dataset} ({len(other.class_names)}): only sets of the "
                "same classes can be compared",
                command("datm", "inspect", first.name),
            )


def describe(sets: Sequence[GallerySet]) -> str:
    """The sets in a line. What they have in common is stated once."""
    first = sets[0]
    names = " | ".join(one.name for one in sets)
    ipcs = " | ".join(str(ipc) for ipc in dict.fromkeys(one.ipc for one in sets))
    iterations = " | ".join(f"{k:,}" for k in dict.fromkeys(one.iteration for one in sets))
    _, channels, height, width = first.synthetic.images.shape
    return (
        f"{names}   {Path(first.dataset).stem}: {len(first.class_names)} classes × {ipcs} ipc, "
        f"{channels}×{height}×{width}, {first.synthetic.preprocessing.kind}, "
        f"iteration {iterations}"
    )
