"""A running Textual app as a picture, drawn from the cells of its screen.

    cells = capture(app)                  # what is on the screen now
    save(cells, Path("screen.svg"))       # or .png

`photograph` does the same for an app that is not running yet, without a terminal. For the
pictures in the README: `python -m datm_cli.screen.screenshot --help`.
"""

from datm_cli.screen.screenshot.image_files import save
from datm_cli.screen.screenshot.screen_cells import Cell, Cells, capture, photograph

__all__ = ["Cell", "Cells", "capture", "photograph", "save"]
