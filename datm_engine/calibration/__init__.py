"""Calibration: what only measuring shows.

`measurement` finds what experts know after each epoch. `derivation` derives settings from that, by
the rules of `settings.derived`, once the experts are trained and before distillation; they become
the run's settings. `cost` times a few steps to estimate what a run takes on this machine.
"""
