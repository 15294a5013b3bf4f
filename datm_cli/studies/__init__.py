"""Run `datm study`: from options to runs, and from their results to files.

`study_request` resolves the options, `study_runner` makes the runs, and `study_files` writes what
they show: `study_tables`, `accuracy_chart` and `image_strips` are parts of it. Which runs a study
has and what its results show is in `datm_engine.studies`.
"""
