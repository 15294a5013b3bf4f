"""Pictures of a running Textual app, drawn from the cells of its screen.

    cells = capture(app)                  # what the screen shows now
    save(cells, Path("screen.svg"))       # or .png

`photograph` runs an app without a terminal first. `python -m datm_cli.screen.screenshot --help`
makes the pictures of the documentation.

Textual's own SVG depends on a font from the web. Without it, and in viewers that stretch text, its
blocks and lines have gaps; here they are shapes.
"""

from datm_cli.screen.screenshot.image_files import save
from datm_cli.screen.screenshot.screen_cells import ScreenCell, ScreenCells, capture, photograph

__all__ = ["ScreenCell", "ScreenCells", "capture", "photograph", "save"]
