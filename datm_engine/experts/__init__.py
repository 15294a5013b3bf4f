"""Experts: networks trained on the real images, whose weights are kept after every epoch.

`train` trains those that are not on disk; several processes share the work by `locks`.
`trajectories.ExpertSet` reads and writes them, `imported` opens experts of other codes.
`curriculum` trains on easier images first. `learning_curves` holds what experts know after each
epoch, and needs no torch.
"""
