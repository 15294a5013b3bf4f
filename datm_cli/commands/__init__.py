"""A module for each command: it parses options, calls the engine and prints the result.

Only Typer and `options` are imported at the top, so that `datm --help` is fast.
"""
