"""Search for better settings by short trials, scored on held-out training images.

    settings → short trials of them (trial_settings) → scores → the best settings (a preset)

`search_space` says which settings are searched and how far, `optuna_search` draws them,
`trial_scheduler` starts trials and ends most of them early, by the tune's events alone.
`tune_folder` is where a tune is stored, `tune_result` says how much better its best trial is. The
trials themselves are run by the command line (`datm_cli.tuning`), as ordinary runs.
"""
