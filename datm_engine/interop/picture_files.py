"""Write a set as pictures: PNG files in folders of classes, or parquet in the Hub's layout.

The preprocessing is undone and values are rounded to 8 bits. This is for viewing, and for training
with another preprocessing. Only the tensors have the distilled values exactly.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from PIL import Image
from torch import Tensor

from datm_engine.files import make_folder, replacing
from datm_engine.optional_imports import require
from datm_engine.synthetic import SyntheticSet


def save_folder(folder: Path, synthetic: SyntheticSet) -> list[Path]:
    """Write FOLDER/CLASS/0000.png …, numbered within the class. Raises FileError, and DataError if
    the preprocessing is unknown."""
    pictures = synthetic.pictures(clip=None)
    names = folder_names(synthetic.class_names)
    written = []
    for index, (picture, label) in enumerate(
        zip(pictures, synthetic.classes.tolist(), strict=True)
    ):
        make_folder(folder / names[label])
        path = folder / names[label] / f"{index % synthetic.ipc:04d}.png"
        with replacing(path) as beside:
            beside.write_bytes(_png(picture))
        written.append(path)
    return written


def folder_names(class_names: tuple[str, ...]) -> list[str]:
    """A folder name for each class: characters that a file system refuses are replaced, and the
    class number is added if two names would be the same."""
    # A name of dots alone would be another folder, and Windows drops dots and spaces at the end.
    plain = [re.sub(r'[/\\\0:*?"<>|]', "_", name).strip(". ") or "_" for name in class_names]
    lower = [name.lower() for name in plain]
    return [
        name if lower.count(name.lower()) == 1 else f"{name}_{number}"
        for number, name in enumerate(plain)
    ]


def save_parquet(folder: Path, synthetic: SyntheticSet) -> list[Path]:
    """Write FOLDER/data/train-00000-of-00001.parquet with the columns image, label and soft_label
    (float32 probabilities [classes]), as `datasets` reads them.

    Raises DatmError without pyarrow, FileError, and DataError if the preprocessing is unknown.
    """
    arrow = require("pyarrow", extra="parquet", purpose="format parquet")
    parquet = require("pyarrow.parquet", extra="parquet", purpose="format parquet")
    pictures = synthetic.pictures(clip=None)
    labels = synthetic.classes.tolist()
    images = [
        {"bytes": _png(picture), "path": f"{n:05d}.png"} for n, picture in enumerate(pictures)
    ]
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    soft = arrow.list_(arrow.float32())
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(synthetic.class_names), "_type": "ClassLabel"},
        "soft_label": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"},
    }
    schema = arrow.schema(
        [("image", image), ("label", arrow.int64()), ("soft_label", soft)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    columns = {"image": images, "label": labels, "soft_label": synthetic.soft_labels.tolist()}
    make_folder(folder / "data")
    path = folder / "data" / "train-00000-of-00001.parquet"
    with replacing(path) as beside:
        parquet.write_table(arrow.table(columns, schema=schema), beside)
    return [path]


def _png(picture: Tensor) -> bytes:
    """uint8 [1 or 3, height, width] → the bytes of a file."""
    pixels = picture.permute(1, 2, 0).numpy()  # [height, width, channels]
    encoded = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(encoded, "PNG")
    return encoded.getvalue()
