"""Settings: their tables, presets, and where each value comes from.

`config` has one frozen table for each stage and reports all problems at once. `presets` finds and
reads the files in `presets/`; `choose_preset` chooses among them for a dataset and a number of
images. `resolved.resolve` puts everything that is stated on top, and returns the configuration of
a run with the origin of each key. `derived` has the rules for datasets without a preset;
`calibration` applies those that need trained experts. `published_names` and `published_yaml`
translate settings of the published code, and `published` has its accuracies. Nothing here loads
torch or a dataset.
"""
