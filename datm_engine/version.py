"""datm's version, in a file that imports nothing, so that builds and readers can read it."""

__version__ = "0.1.0"
