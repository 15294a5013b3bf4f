"""Distillation: learn images, labels and the student's rate by matching the experts' trajectories.

`loop.distill` runs the stage. It starts from `initialization`, or from a checkpoint, and repeats
`iteration`: read a segment of an expert within the `window` (`segment_reader`), train a student on
`batches` of what is `learned`, and take the gradient of the matching loss (`matching`, the paper's
equations). `sharding` computes the gradients of single steps, in pieces and over ranks, as
`out_of_memory` decides. `skip_reasons` names the setting that helps when no step is taken.
`artifacts` and `samples` write the run's files, and `distilled_sets` reads them.
"""
