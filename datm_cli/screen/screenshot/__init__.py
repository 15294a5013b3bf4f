"""Pictures of a running Textual app, drawn from the cells of its screen.

    cells = capture(app)                  # what the screen shows now
    save(cells, Path("screen.svg"))       # or .png

Textual's own SVG depends on a font from the web. Without it, and in viewers that stretch text, its
blocks and lines have gaps; here they are rectangles.
"""

from datm_cli.screen.screenshot.image_files import save
from datm_cli.screen.screenshot.screen_cells import ScreenCell, ScreenCells, capture

__all__ = ["ScreenCell", "ScreenCells", "capture", "save"]
