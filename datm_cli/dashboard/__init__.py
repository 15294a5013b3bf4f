"""The dashboard on a run: a reader of its directory and nothing more."""
