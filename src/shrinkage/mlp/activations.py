"""Activations of a tile, and the way back through them.

Every loop runs over whole rows from their first number on: LLVM then computes them in vectors.
"""

from __future__ import annotations

from shrinkage.kernels.intrinsics import memory
from shrinkage.kernels.jit import jitable, tight
from shrinkage.mlp.elementary import hyperbolic_tangent, logistic
from shrinkage.mlp.records import Activation

RELU, TANH, LOGISTIC = map(int, (Activation.RELU, Activation.TANH, Activation.LOGISTIC))


@jitable
def activate(activation, address, width, samples, biases):
    """values ← activation(values + b), for (samples, width) values of which `biases` have some."""
    for t in range(samples):
        row = memory(address + t * width * biases.itemsize, biases.size, biases)
        if activation == RELU:
            rectify(row, biases)
        elif activation == TANH:
            bend(row, biases)
        elif activation == LOGISTIC:
            squash(row, biases)
        else:
            shift(row, biases)


@jitable
def go_back(activation, delta, outputs):
    """delta ← delta·activation′, read from the outputs."""
    if activation == RELU:
        back_from_relu(delta, outputs)
    elif activation == TANH:
        back_from_tanh(delta, outputs)
    elif activation == LOGISTIC:
        back_from_logistic(delta, outputs)


@jitable
def sum_samples(address, width, samples, sums):
    """Add the rows of a tile to `sums`."""
    for t in range(samples):
        add_row(memory(address + t * width * sums.itemsize, sums.size, sums), sums)


@tight
def add_row(row, sums):
    """sums ← sums + row."""
    for j in range(sums.size):
        sums[j] += row[j]


@tight
def rectify(row, biases):
    """row ← max(row + b, 0); NaN stays."""
    zero = biases.dtype.type(0.0)
    for j in range(biases.size):
        value = row[j] + biases[j]
        row[j] = zero if value < zero else value


@tight
def bend(row, biases):
    """row ← tanh(row + b)."""
    for j in range(biases.size):
        row[j] = hyperbolic_tangent(row[j] + biases[j])


@tight
def squash(row, biases):
    """row ← 1/(1 + e^−(row + b))."""
    for j in range(biases.size):
        row[j] = logistic(row[j] + biases[j])


@tight
def shift(row, biases):
    """row ← row + b."""
    for j in range(biases.size):
        row[j] += biases[j]


@tight
def back_from_relu(delta, outputs):
    """delta ← delta where the output is above 0, else 0.

    With a choice in place of the product LLVM would write to some places only, which takes thrice
    as long.
    """
    real = delta.dtype.type
    for i in range(delta.size):
        delta[i] *= real(outputs[i] > real(0.0))


@tight
def back_from_tanh(delta, outputs):
    """delta ← delta·(1 − output²)."""
    one = delta.dtype.type(1.0)
    for i in range(delta.size):
        delta[i] = delta[i] * (one - outputs[i] * outputs[i])


@tight
def back_from_logistic(delta, outputs):
    """delta ← delta·output·(1 − output)."""
    one = delta.dtype.type(1.0)
    for i in range(delta.size):
        delta[i] = delta[i] * outputs[i] * (one - outputs[i])
