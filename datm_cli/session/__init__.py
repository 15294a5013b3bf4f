"""What happens around a run: it is created or resumed, started, stopped and watched.

`prepare_run` creates a run directory or opens one to resume; `batch_run` does so for each run of a
study or a tune. `run_stage` passes a stage's events to displays and turns signals into requests to
stop. `detach` starts the engine as a process of its own and stops it; `watchdog` ends ranks that
hang. Commands call these modules; stages of the engine know nothing of them.
"""
