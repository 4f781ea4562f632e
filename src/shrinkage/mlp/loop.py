"""The loop over steps: pass forward and backward over each tile of a batch, then the optimizer."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path

import numpy as np

from shrinkage.kernels.intrinsics import add, copy, fill, memory, part
from shrinkage.kernels.jit import Work, compile_job, jitable, tight
from shrinkage.kernels.records import JOBS, LIKE, PARAMETERS
from shrinkage.mlp import losses
from shrinkage.mlp.instructions import call
from shrinkage.mlp.passes import (
    copy_derivatives,
    copy_weights,
    layer_backward,
    layer_forward,
    transpose,
)
from shrinkage.mlp.records import LAYERS, NETWORKS, TURNS, Loss

LOG_LOSS, BINARY = int(Loss.LOG_LOSS), int(Loss.BINARY_LOG_LOSS)
WHOLE = np.empty(0, np.int64)
DOUBLE = LIKE["float64"]


@cache
def compile_training(dtype: str) -> Work:
    """Compile the loop over steps for numbers of that type."""
    like = LIKE[dtype]

    def train(address):
        net = memory(address, 1, NETWORKS)[0]
        ranges = memory(net.ranges, 2 * net.step_count, WHOLE)
        rates = memory(net.rates, net.step_count, DOUBLE)
        step_losses = memory(net.losses, net.step_count, DOUBLE)
        gradient = memory(net.gradient, net.count, like)
        weights = memory(net.values, net.weight_count, like)
        turns = memory(net.turns, net.turn_count, TURNS)
        for step in range(net.step_count):
            low, high = ranges[2 * step], ranges[2 * step + 1]
            fill(gradient, like.dtype.type(0.0))
            layers = memory(net.layers, net.layer_count, LAYERS)
            copy_weights(layers, like)
            loss = 0.0
            for at in range(low, high, net.tile):
                loss += run_tile(net, step, (at, min(net.tile, high - at), high - low), like)
            copy_derivatives(layers, like)
            decay = net.alpha / (high - low)
            if decay != 0.0:
                loss += 0.5 * decay * sum_squares(weights)
            step_losses[step] = loss
            if not math.isfinite(loss):
                return
            take_turns(net, turns, rates[step], decay)
            net.done = step + 1

    return compile_job(train, digest_sources(), dtype)


@cache
def digest_sources() -> str:
    """A digest of this folder's source, as `kernels.jit.sources`."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@tight
def sum_squares(values):
    """Σw²."""
    total = 0.0
    for i in range(values.size):
        total = add(total, float(values[i] * values[i]))
    return total


@jitable
def take_turns(net, turns, rate, decay):
    """Let the optimizer step all parameters at a learning rate."""
    for number in range(turns.size):
        turn = turns[number]
        job = memory(turn.job, 1, JOBS)[0]
        job.next_piece = 0
        parameters = memory(job.parameters, job.parameter_count, PARAMETERS)
        for index in range(parameters.size):
            p = parameters[index]
            p.lr, p.step = rate, rate
            if math.isfinite(p.limit):  # under Adam
                p.limit = 2.0 * rate
            if turn.is_decoupled:
                p.factor = rate
            if turn.takes_alpha:
                p.decay = decay
        if turn.counts != 0:
            call(turn.counts, turn.job)
        if net.scaled_eps != 0.0:
            for index in range(parameters.size):
                parameters[index].eps = net.scaled_eps / parameters[index].root2
        call(turn.loop, turn.job)


@jitable
def run_tile(net, step, rows, like):
    """Add the derivatives on some samples of a batch to the gradient; return their loss."""
    low, samples, batch = rows
    layers = memory(net.layers, net.layer_count, LAYERS)
    source = take_inputs(net, layers[0].inputs, low, samples, like)
    take_targets(net, layers[net.layer_count - 1].outputs, low, samples, batch, like)
    forward(net, layers, source, samples, like)
    loss = differentiate(net, step, layers[net.layer_count - 1], samples, like)
    backward(net, layers, source, samples, like)
    return loss


@jitable
def take_inputs(net, inputs, low, samples, like):
    """Copy the inputs of a tile, unless they stand one after the other; return their address."""
    if net.order == 0:
        return net.inputs + low * inputs * like.itemsize
    rows = memory(net.order + 8 * low, samples, WHOLE)
    copied = memory(net.tile_inputs, samples * inputs, like)
    for t in range(samples):
        row = memory(net.inputs + rows[t] * inputs * like.itemsize, inputs, like)
        copy(row, part(copied, t * inputs, inputs))
    return net.tile_inputs


@jitable
def take_targets(net, outputs, low, samples, batch, like):
    """Copy the targets of a tile, and its samples' weights divided by the size of the batch."""
    weights = memory(net.tile_weights, samples, like)
    labels = memory(net.tile_labels, samples, WHOLE)
    targets = memory(net.tile_targets, samples * outputs, like)
    order = memory(net.order + 8 * low, samples, WHOLE)
    share = like.dtype.type(1.0 / batch)
    for t in range(samples):
        row = low + t if net.order == 0 else order[t]
        weights[t] = share
        if net.sample_weights != 0:
            weights[t] *= memory(net.sample_weights + row * like.itemsize, 1, like)[0]
        if net.labels != 0:
            labels[t] = memory(net.labels + 8 * row, 1, WHOLE)[0]
        else:
            given = memory(net.targets + row * outputs * like.itemsize, outputs, like)
            for k in range(outputs):
                targets[k * samples + t] = given[k]


@jitable
def forward(net, layers, source, samples, like):
    """Write the outputs of each layer."""
    width = layers[0].inputs
    for number in range(layers.size):
        layer = layers[number]
        biases = memory(layer.biases, layer.outputs, like)
        layer_forward(layer, source, width, biases, samples)
        source, width = layer.out, layer.width


@jitable
def differentiate(net, step, last, samples, like):
    """Write the derivatives by the scores, and return the loss.

    Losses take (outputs, samples): their loops run along samples, in vectors.
    """
    outputs, width = last.outputs, last.width
    transpose(last.out, width, net.tile_scores, samples, samples, outputs, like)
    turned = memory(net.tile_scores, samples * outputs, like)
    weights = memory(net.tile_weights, samples, like)
    if net.loss == LOG_LOSS:
        sums = memory(net.tile_sums, 2 * samples, like)
        labels = memory(net.tile_labels, samples, WHOLE)
        most, total = part(sums, 0, samples), part(sums, samples, samples)
        if net.hits != 0:
            memory(net.hits, net.step_count, WHOLE)[step] += losses.count_hits(turned, labels)
        loss = losses.log_loss(turned, labels, weights, most, total)
    else:
        targets = memory(net.tile_targets, samples * outputs, like)
        if net.loss == BINARY:
            loss = losses.binary_log_loss(turned, targets, weights)
        else:
            loss = losses.squared_error(turned, targets, weights)
    transpose(net.tile_scores, samples, last.delta, width, outputs, samples, like)
    return loss


@jitable
def backward(net, layers, source, samples, like):
    """Add each layer's derivatives to the gradient, from the last layer to the first."""
    for number in range(layers.size - 1, -1, -1):
        layer = layers[number]
        by_biases = memory(layer.by_biases, layer.outputs, like)
        below = layers[number - 1].out if number else source
        width = layers[number - 1].width if number else layer.inputs
        by_below = layers[number - 1].delta if number else 0
        layer_backward(layer, below, width, by_below, by_biases, samples)
