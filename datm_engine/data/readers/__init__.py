"""Read datasets from files and folders, with one module for each format.

`registry.READERS` lists the readers; the first that recognises a path reads it. Each implements
the interface in reader.py: load the images, or state the shape and the labels without decoding.
Images come out as uint8 [n, channels, height, width], labels as class numbers (labels.py).
Formats of arrays (npz, mat, idx) share array_files.py, parquet and the Hub share image_rows.py, and
folders of images use folder_layout.py, folder_listing.py and folder_scanner.py.
"""

__all__: list[str] = []
