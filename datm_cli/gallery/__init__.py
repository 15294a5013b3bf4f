"""The gallery: `datm inspect` on a terminal, a distilled set to walk through.

app.py          which view is shown, and what each key does
collection.py   a set's pictures and numbers, worked out as they are asked for
moments.py      one image through the samples its run has saved
difference.py   what changed in a picture, in two colours
hanging.py      what hangs in the grid: one image a class, or a class's images in an order
widgets/        one a region of the screen

Only `collection` and what imports it take torch; the app shows its first screen without.
"""
