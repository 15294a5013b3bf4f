"""The dashboard: a full screen that shows a run, or a tune, while it works and afterwards.

It reads the events that a run writes into its directory, folds them into a
`datm_engine.runs.state.RunState`, and lets every panel draw that state. It neither loads torch nor
talks to the engine; stopping a run is a signal to its process.

`dashboard_app` and `tune_dashboard` are the screens, `panels` has their panels, `dialogs` what
opens above them.
"""
