"""What full screens share: the dashboard and the gallery are built from this.

`full_screen` is the base class of both apps (keys, themes, help, saving the screen, signals),
`picture_widgets` draws one picture, `picture_grid` many with captions, `sample_files` reads the
pictures that a run saves, `screenshot` writes a screen as a PNG or SVG file. None of it loads
torch.
"""
