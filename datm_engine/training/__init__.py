"""Train one network: losses, optimizers, and the loop over epochs and batches.

Experts and the networks of an evaluation are trained by the same loop (`epochs.train`). It takes a
step (`optimizers.expert_step`, `optimizers.evaluation_step`), flat weights to start from, images
with labels, and a `Schedule`, and returns the last weights. A step is one function of tensors, so
that it can be compiled (`epochs.compile_step`). Losses (`losses`) take class numbers or label
logits. All random numbers come from the generators that a caller passes.
"""
