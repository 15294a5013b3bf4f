"""Studies at the command line: which runs were asked for, making them, and what they come to.

`asking.py` goes from flags to a plan, `making.py` makes its runs, `writing.py` writes the result:
`tables.py`, `figures.py` and `strips.py` are its parts.
"""
