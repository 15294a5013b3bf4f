"""What commands print: tables, plots, progress lines and pictures in the terminal.

`output` writes to the streams: results to stdout, the rest to stderr. `escapes` makes text from
outside printable, and every line passes it. `set_report`, `expert_report`, `run_comparison` and
`settings_report` print one result each, with `tables`, and with `plots` and `quadrant_pictures` on
a `canvas`. `progress` and `sentences` put events into words. `contact_sheet` is the image file of
`datm inspect`.
"""
