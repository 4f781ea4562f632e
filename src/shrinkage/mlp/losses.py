"""The loss of a tile of samples and its derivative by the scores, which take their place.

Scores are (outputs, samples): loops run along samples, in vectors, and not along a few outputs.
"""

from __future__ import annotations

import math

from shrinkage.kernels.intrinsics import add
from shrinkage.kernels.jit import jitable, tight
from shrinkage.mlp.elementary import exponential, logistic


@jitable
def log_loss(scores, labels, weights, most, total):
    """Σ weight·(log Σ_k e^(score_k) − score_label); `most` and `total` have room for a tile."""
    samples = weights.size
    outputs = scores.size // samples
    _exponentials(scores, most, total, samples, outputs, labels)
    loss = 0.0
    for t in range(samples):
        # `most` holds score_label less the largest score of the sample now.
        loss += float(weights[t]) * (math.log(float(total[t])) - float(most[t]))
    _shares(scores, total, weights, samples, outputs)
    for t in range(samples):
        scores[labels[t] * samples + t] -= weights[t]
    return loss


@tight
def count_hits(scores, labels):
    """How many samples have their largest score, or the first of several, at their label."""
    samples, hits = labels.size, 0
    outputs = scores.size // samples
    for t in range(samples):
        score, is_largest = scores[labels[t] * samples + t], True
        for k in range(outputs):
            other = scores[k * samples + t]
            is_largest &= other <= score and (k >= labels[t] or other < score)
        hits += is_largest
    return hits


@tight
def _exponentials(scores, most, total, samples, outputs, labels):
    zero = scores.dtype.type(0.0)
    for t in range(samples):
        most[t] = scores[t]
        total[t] = zero
    for k in range(1, outputs):
        for t in range(samples):
            score = scores[k * samples + t]
            most[t] = score if score > most[t] else most[t]
    for k in range(outputs):
        for t in range(samples):
            scores[k * samples + t] -= most[t]
    for t in range(samples):
        most[t] = scores[labels[t] * samples + t]
    for k in range(outputs):
        for t in range(samples):
            e = exponential(scores[k * samples + t])
            scores[k * samples + t] = e
            total[t] += e


@tight
def _shares(scores, total, weights, samples, outputs):
    for t in range(samples):
        total[t] = weights[t] / total[t]
    for k in range(outputs):
        for t in range(samples):
            scores[k * samples + t] *= total[t]


@tight
def binary_log_loss(scores, targets, weights):
    """Σ weight·Σ_k (log(1 + e^score_k) − target_k·score_k)."""
    samples, one, zero = weights.size, scores.dtype.type(1.0), scores.dtype.type(0.0)
    loss = 0.0
    for i in range(scores.size):
        score, target, weight = scores[i], targets[i], weights[i % samples]
        share = logistic(score)
        # log(1 + e^z) = max(z, 0) + log(1 + e^−|z|), and 1/(1 + e^−|z|) is the larger share.
        larger = share if share > one - share else one - share
        positive = score if score > zero else zero
        loss += float(weight) * (float(positive - target * score) - math.log(float(larger)))
        scores[i] = weight * (share - target)
    return loss


@tight
def squared_error(scores, targets, weights):
    """½·Σ weight·Σ_k (score_k − target_k)²."""
    samples, loss = weights.size, 0.0
    for low in range(0, scores.size, samples):
        for t in range(samples):
            difference = scores[low + t] - targets[low + t]
            loss = add(loss, 0.5 * float(weights[t] * difference * difference))
            scores[low + t] = weights[t] * difference
    return loss
