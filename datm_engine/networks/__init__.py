"""Networks as functions of one flat vector of weights.

`zoo` builds a network by name for any small image: the ConvNet that experts and students share, and
the networks that a distilled set is evaluated with. `weights.FlatNetwork` calls it with a vector
θ: `network(theta, images)` → logits. `convolution` has fast second derivatives, and `batchnorm` no
running statistics, so that a training step is a function of its arguments and can be compiled.
"""
