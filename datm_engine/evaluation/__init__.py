"""Evaluation: train networks on a set of images and test them on real ones.

`evaluate.Evaluation` measures rows of accuracy: of distilled sets, of candidates during
distillation, and of the real images that they are compared with. `baselines` chooses real images at
random, or by the features and scores that experts give. `scores` are DD-Ranking's.
"""
