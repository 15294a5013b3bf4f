"""Run `datm tune`: from options to trials, and from their scores to a preset.

`tune_request` resolves the options, `tune_runner` runs the tune, `trial_run` one trial of it,
`workers` several at a time, and `tune_output` writes the result. What is searched, which trial runs
next and how a tune is stored is in `datm_engine.tuning`.
"""
