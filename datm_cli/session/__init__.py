"""What happens around a run: it is created or resumed, started, stopped and watched.

`prepare_run` opens runs before any work starts: one to resume, or one of a study or a tune.
`run_stage` passes a stage's events to displays and turns signals into requests to stop. `detach`
starts the engine as a process of its own and stops it; `watchdog` ends ranks that hang. Commands
call these modules; stages of the engine know nothing of them.
"""
