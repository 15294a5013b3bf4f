"""Searching around settings for better ones, by short trials on held-out training images.

`space.py` draws settings, `shortening.py` makes trials of them, `rungs.py` says where a trial may
end early, `search.py` asks Optuna, `conductor.py` decides what is tried next, by what the tune's
events tell (`trials.py`); `tunes.py` is the folder, `presets.py` and `findings.py` the result.
"""
