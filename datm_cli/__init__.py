"""The command line of datm: commands, screens and reports over `datm_engine`.

`app` collects the `commands` and turns errors into two lines and an exit code. `options` has the
options that commands share, `resolve` makes settings of them. `session` runs the engine, in this
process or in one of its own. `text` prints, `dashboard` and `gallery` are full screens, `report`
writes pages. Modules that load torch are imported inside of commands.
"""
