"""What a rebuilding of the code must not change: see `__main__.py`."""
