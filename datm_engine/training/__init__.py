"""Train one network: losses, optimizers, and the loop over epochs and batches.

Experts and the networks of an evaluation are trained by the same loop (`epochs.train`). It takes a
step (`steps`), flat weights to start from, images with labels, and a `Schedule`, and returns the
last weights. A step is one function of tensors, so that it can be compiled (`epochs.compile_step`).
Losses (`losses`) take class numbers or label logits. Optimizers (`optimizers`) work on one flat
vector of weights: SGD, and GSAM's direction for it. All random numbers come from the generators
that a caller passes.
"""
