"""Convert images and labels of other codes to the types and the order of a SyntheticSet.

Each function appends to `notes` what it changes. Values without a clear meaning raise ValueError.
"""

from __future__ import annotations

import torch
from torch import Tensor

_INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def convert_images(value: object, notes: list[str]) -> Tensor:
    """Images [n, channels, height, width] as float32; uint8 pixels stay uint8."""
    images = _tensor(value)
    if images.dtype not in _FLOATS | {torch.uint8} or images.ndim != 4 or images.numel() == 0:
        raise ValueError(f"images are {_describe(images)}, not float32 [n, c, h, w]")
    return images if images.dtype == torch.uint8 else _float32("images", images, notes)


def convert_labels(value: object, count: int, notes: list[str]) -> Tensor:
    """Labels of `count` images: logits [count, classes] float32, or class numbers [count] int64.

    Class numbers may have any integer type, be floats without a fraction, [count, 1] or one-hot.
    """
    labels = _tensor(value)
    if labels.dtype not in _INTEGERS | _FLOATS | {torch.bool}:
        raise ValueError(f"labels are {_describe(labels)}")
    if labels.ndim not in (1, 2) or len(labels) != count or labels.numel() == 0:
        raise ValueError(f"labels for {count} images are {_describe(labels)}")
    if labels.ndim == 1 or labels.shape[1] == 1:  # [count] or [count, 1]
        return _class_numbers(labels, notes)
    if labels.dtype in _FLOATS:
        if count % labels.shape[1]:
            raise ValueError(
                f"{count} images are not the same number for each of {labels.shape[1]} classes"
            )
        return _float32("labels", labels, notes)
    # [count, classes] of integers: one-hot, or no labels at all
    one_hot = torch.nn.functional.one_hot(labels.long().argmax(dim=1), labels.shape[1])
    if not torch.equal(one_hot, labels.long()):
        raise ValueError(f"labels are {_describe(labels)}, and not one-hot")
    notes.append(f"labels are one-hot {labels.dtype}: read as class numbers")
    return one_hot.argmax(dim=1)


def class_order(labels: Tensor, notes: list[str]) -> Tensor | None:
    """The indices that sort a set class after class. None if it is sorted.

    Learned labels may move to another class, while their images keep the position of their class.
    So logits are sorted, by their largest value, only if most of them are not of their position's
    class and every class has equally many. Raises ValueError if the class numbers have different
    numbers of images.
    """
    soft = labels.ndim == 2
    numbers = labels.argmax(dim=1) if soft else labels  # [n]
    classes = labels.shape[1] if soft else int(labels.max()) + 1
    n = len(labels)
    # With more classes than images, some have none: no need to count into a large tensor.
    counts = numbers.bincount(minlength=classes) if classes <= n else torch.tensor([0, 1])
    equal = int(counts.min()) == int(counts.max())
    if not soft and not equal:
        raise ValueError(
            f"{n} images are not the same number for each of {classes:,} classes: "
            f"{int(counts.min())} to {int(counts.max())} images a class"
        )
    # Class after class, image i is of class i // ipc.
    in_order = numbers == torch.arange(n) // (n // classes)
    if bool(in_order.all()) or (soft and int(in_order.sum()) * 2 >= n):
        return None
    if not equal:
        note = "most labels are largest at another class than that of their image's position"
        notes.append(f"{note}, and cannot be sorted: some classes have more of them than others")
        return None
    by_value = ", by the labels' largest value" if soft else ""
    notes.append(f"images and labels are sorted class after class{by_value}")
    return numbers.argsort(stable=True)


def _class_numbers(labels: Tensor, notes: list[str]) -> Tensor:
    numbers = labels.reshape(-1)
    if labels.dtype in _FLOATS and not bool(torch.isfinite(numbers).all()):
        raise ValueError("labels are not finite")
    converted = numbers.long()
    if labels.dtype == torch.bool or not torch.equal(converted.to(labels.dtype), numbers):
        raise ValueError(f"labels are {_describe(labels)}, and not class numbers")
    if int(converted.min()) < 0:
        raise ValueError(f"class number {int(converted.min())} is negative")
    if labels.dtype != torch.int64 or labels.ndim != 1:
        notes.append(f"labels are {_describe(labels)}: read as class numbers")
    return converted


def _float32(what: str, tensor: Tensor, notes: list[str]) -> Tensor:
    converted = tensor.float()
    if not bool(torch.isfinite(converted).all()):
        raise ValueError(f"{what} are not finite")
    if tensor.dtype != torch.float32:
        notes.append(f"{what} are {tensor.dtype}: converted to torch.float32")
    return converted


def _tensor(value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise ValueError(f"it holds a {type(value).__name__}, not a tensor")
    return value.detach()


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"
