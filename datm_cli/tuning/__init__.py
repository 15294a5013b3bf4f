"""Tuning at the command line: what was asked, the trials and who works on them, what they come to.

`asking.py` goes from flags to a tune and `conducting.py` sees it through: `work.py` makes a trial's
run, `workers.py` deals trials out to devices, `reading.py` shows them. `telling.py` words and
writes the result.
"""
