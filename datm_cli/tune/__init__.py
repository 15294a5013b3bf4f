"""Tuning at the command line: what was asked, the trials and who works on them, what they come to.

`asking.py` goes from flags to a tune, `work.py` makes a trial's run, `workers.py` deals trials out
to devices, `telling.py` words and writes the result.
"""
