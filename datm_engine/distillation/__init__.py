"""Distillation: learn images, labels and the student's rate by matching the experts' trajectories.

`loop.distill` runs the stage: it starts from `initialization`, or a checkpoint, and repeats
`iteration`. An iteration reads a segment of an expert (`segment_reader`) within the `window`,
trains a student on `batches` of the synthetic set, and takes the gradient of the matching loss
(`matching`, the paper's equations). `sharding` divides that over ranks and pieces.
`skip_reasons` says why an iteration takes no step; `artifacts` and `samples` write the run's files,
and `distilled_sets` reads them.
"""
