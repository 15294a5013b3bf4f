"""The gallery, the full screen of `datm inspect`: one distilled set, or two side by side.

`gallery_app` is the screen. It reads the sets in a thread; a `GallerySet` (`gallery_set`) computes
pictures and numbers when they are needed. `grid_order` decides which images the grid shows.
`class_list`, `image_view`, `comparison_view` and `label_bars` are widgets.

Only `gallery_set` and what imports it load torch; the app shows its first screen before.
"""
