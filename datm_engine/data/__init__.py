"""Load a dataset and prepare it for training.

A name or a path goes in: `datasets.load` finds its source (a built-in dataset in built_in.py, one
of the Hugging Face Hub in hub.py, files in readers/) and returns uint8 images, split into training,
validation and test part. `prepared.prepare` also normalises or whitens them and moves them to the
device. `augmentation` changes images while a network is trained on them. `description` states what
is known of a dataset before its images are decoded.

A new built-in dataset is added in built_in.py, a new file format in readers/registry.py.
"""

__all__: list[str] = []
