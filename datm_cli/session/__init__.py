"""What happens around a run: it is created or resumed, started, stopped and watched.

`prepare_run` opens runs before any work starts: one to resume, or one of a study or a tune.
`run_cost` estimates what a run costs, and asks before a long one. `run_stage` passes a stage's
events to a display and turns signals into requests to stop. `detach` starts the engine as a process
of its own and stops it; `watchdog` ends ranks that hang. Stages of the engine know nothing of them.
"""
