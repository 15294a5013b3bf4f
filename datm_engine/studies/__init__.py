"""Studies: several runs that differ in one thing, read together.

`planning.py` says which runs a study takes, `sharing.py` what one run need not measure because
another has, `results.py` folds the finished run directories into one result, and `findings.py`
puts into words what its figures show.
"""
