"""One pass of a tile of samples forward and backward through one layer.

Layers are (samples, outputs) and weights (inputs, outputs), so that every product reads and writes
its rows as they lie in memory; only on the way back from a layer above are weights transposed.
"""

from __future__ import annotations

from shrinkage.kernels.intrinsics import add, copy, fill, memory
from shrinkage.kernels.jit import jitable, tight
from shrinkage.mlp.activations import activate, go_back, sum_samples
from shrinkage.mlp.products import multiply


@jitable
def layer_forward(layer, source, source_width, biases, samples):
    """out ← activation(source·W + b)."""
    n, k = layer.width, layer.inputs
    if layer.is_single:
        weights = memory(layer.weights, k, biases)
        out = memory(layer.out, samples * n, biases)
        for t in range(samples):
            row = memory(source + t * source_width * biases.itemsize, k, biases)
            out[t * n] = multiply_rows(row, weights)
    else:
        strides, sizes = (source_width, 1), (samples, n, k)
        multiply(source, strides, layer.padded, n, layer.out, n, sizes, False, biases)
    activate(layer.activation, layer.out, n, samples, biases)


@jitable
def layer_backward(layer, source, source_width, by_source, by_biases, samples):
    """delta ← delta·activation′; ∂W += sourceᵀ·delta, ∂b += Σ delta, by_source ← delta·Wᵀ.

    The last is left out where `by_source` is 0.
    """
    n, k = layer.width, layer.inputs
    delta = memory(layer.delta, samples * n, by_biases)
    outputs = memory(layer.out, samples * n, by_biases)
    go_back(layer.activation, delta, outputs)
    sum_samples(layer.delta, n, samples, by_biases)
    if layer.is_single:  # the transposed product has whole rows
        sizes = (1, k, samples)
        multiply(layer.delta, (1, n), source, k, layer.by_weights, k, sizes, True, by_biases)
    else:
        strides, sizes = (1, source_width), (k, n, samples)
        multiply(source, strides, layer.delta, n, layer.by_padded, n, sizes, True, by_biases)
    if by_source != 0:
        strides, sizes = (n, 1), (samples, source_width, layer.outputs)
        width = source_width
        multiply(
            layer.delta, strides, layer.transposed, width, by_source, width, sizes, False, by_biases
        )


@tight
def multiply_rows(a, b):
    """Σ a·b."""
    total = a.dtype.type(0.0)
    for i in range(a.size):
        total = add(total, a[i] * b[i])
    return total


@jitable
def copy_weights(layers, like):
    """Write the copies of weights that passes read, and zeros into those of derivatives."""
    for number in range(layers.size):
        layer = layers[number]
        n, k, width = layer.outputs, layer.inputs, layer.width
        below = layers[number - 1].width if number else 0
        if layer.is_single:
            copy(memory(layer.weights, k, like), memory(layer.transposed, k, like))
        elif layer.is_turned:
            transpose(layer.weights, k, layer.padded, width, n, k, like)
            if number:
                move(layer.weights, k, layer.transposed, below, n, k, like)
        else:
            if layer.padded != layer.weights:
                move(layer.weights, n, layer.padded, width, k, n, like)
            if number:
                transpose(layer.weights, n, layer.transposed, below, k, n, like)
        if layer.padded != layer.weights and not layer.is_single:
            fill(memory(layer.by_padded, k * width, like), like.dtype.type(0.0))


@jitable
def copy_derivatives(layers, like):
    """Write the derivatives by weights in the layout of these."""
    for number in range(layers.size):
        layer = layers[number]
        n, k, width = layer.outputs, layer.inputs, layer.width
        if layer.is_single:
            continue
        if layer.is_turned:
            transpose(layer.by_padded, width, layer.by_weights, k, k, n, like)
        elif layer.padded != layer.weights:
            move(layer.by_padded, width, layer.by_weights, n, k, n, like)


@jitable
def move(source, source_width, target, target_width, rows, columns, like):
    """Copy a matrix to an address where its rows have another distance."""
    size = like.itemsize
    for i in range(rows):
        row = memory(source + i * source_width * size, columns, like)
        copy(row, memory(target + i * target_width * size, columns, like))


@jitable
def transpose(source, source_width, target, target_width, rows, columns, like):
    """Copy a matrix to an address with its rows and columns exchanged."""
    size = like.itemsize
    for i in range(rows):
        row = memory(source + i * source_width * size, columns, like)
        scatter(
            row, memory(target + i * size, (columns - 1) * target_width + 1, like), target_width
        )


@tight
def scatter(row, target, distance):
    """Write numbers to places of some distance."""
    for j in range(row.size):
        target[j * distance] = row[j]
