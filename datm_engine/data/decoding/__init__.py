"""Decode image files to uint8 tensors of one size.

image_file.py decodes one file: formats, orientation, transparency, greys of more than 8 bits.
decode_images.py decodes many in threads and resizes them. decoding_report.py words the notes and
the errors. Damaged images are refused, or skipped if the settings say so; neither is silent.
"""

__all__: list[str] = []
