"""Run directories: what a run records, and how it is read.

`directory.Run` creates, opens, locks and lists run directories; `manifest` is run.json. Stages emit
`events`; `event_log` records and follows them, `state.RunState` is the fold over them that all
screens, reports and lists read. `checkpoint` holds what a distillation needs to resume, `process`
who writes a run, `integrity` what is damaged. Only `checkpoint` and `integrity` load torch.
"""
