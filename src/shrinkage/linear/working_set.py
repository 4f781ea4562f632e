"""Least squares with a·Σ|w| + b·Σw², solved over the few inputs that can have a weight.

Each round takes the inputs that have a weight and those whose derivatives break the condition of
the minimum most, each with the sign that lowers the objective, and solves over these alone. With
the signs given the problem is quadratic, with weights that may not change their sign: *block
principal pivoting* guesses which of them are 0, solves linear equations for the others, and
corrects the guess, in a handful of turns. Rounds end when no derivative breaks the condition.

References: Lee, Battle, Raina and Ng (2006), feature-sign search; Kim and Park (2011), Fast
nonnegative matrix factorization, algorithm 1; Massias, Gramfort and Salmon (2018), *Celer*.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from shrinkage.linear.losses import Array

FIRST = 20  # inputs of the first round; each round then takes twice those with a weight
PATIENCE = 3  # exchanges of all wrong guesses that may fail to make fewer of them
TURNS = 200
JITTER = 1e-13  # of the mean diagonal, for equations of equal columns


class Round(NamedTuple):
    """What the next round solves over."""

    worst: float  # the largest derivative of the objective by a standardized input
    places: Array  # indices of inputs
    signs: Array  # 1 or −1 for each of them


def find_excess(weights: Array, slope: Array, absolute: float) -> Array:
    """How far each derivative of loss plus absolute·Σ|w| is from 0, given that of the loss.

    >>> find_excess(np.array([2.0, 0.0, 0.0]), np.array([-1.0, 0.5, -3.0]), 1.0)
    array([0., 0., 2.])
    """
    at_zero = np.maximum(np.abs(slope) - absolute, 0.0)
    excess: Array = np.where(weights == 0, at_zero, np.abs(slope + absolute * np.sign(weights)))
    return excess


def choose(
    weights: Array, gradient: Array, absolute: float, square: float, deviations: Array
) -> Round:
    """The round that follows, given the derivatives of the data loss by all inputs."""
    slope = gradient + 2.0 * square * weights
    excess = find_excess(weights, slope, absolute) / deviations
    kept = np.flatnonzero(weights)
    count = min(max(FIRST, 2 * len(kept)), int(np.count_nonzero(excess)))
    broken = np.argpartition(excess, -count)[-count:] if count else kept
    places = np.union1d(kept, broken)
    signs = np.sign(np.where(weights == 0, -slope, weights)[places])
    return Round(float(excess.max(initial=0.0)), places, signs)


def solve_round(
    gram: Array, pull: Array, start: Array, signs: Array, absolute: float, square: float
) -> Array:
    """argmin of ``½·wᵀGw − pull·w + absolute·Σ|w| + square·Σw²`` over w with these signs, or 0.

    Parameters
    ----------
    gram : array (inputs, inputs)
    pull, start, signs : arrays (inputs,)

    Returns
    -------
    array (inputs,)
        `start` where the equations have no solution in sight.

    Examples
    --------
    >>> gram, pull, start = np.eye(2), np.array([3.0, -0.5]), np.zeros(2)
    >>> solve_round(gram, pull, start, np.sign(pull), absolute=1.0, square=0.0)
    array([2., 0.])
    """
    matrix = signs[:, None] * gram * signs
    matrix[np.diag_indices(len(pull))] += 2.0 * square + JITTER * float(np.mean(np.diag(gram)))
    right = signs * pull - absolute
    sizes = np.zeros(len(pull))
    free, fewest, patience = start != 0, len(pull) + 1, PATIENCE
    for _ in range(TURNS):
        sizes[:] = 0.0
        if free.any():
            try:
                factor = cho_factor(matrix[np.ix_(free, free)], check_finite=False)
            except np.linalg.LinAlgError:
                return start
            sizes[free] = cho_solve(factor, right[free], check_finite=False)
        slopes = matrix @ sizes - right
        # By rounding alone, a slope is this far from 0.
        is_wrong = np.where(free, sizes < 0, slopes < -1e-12 * absolute)
        wrong = np.flatnonzero(is_wrong)
        if not len(wrong):
            return signs * sizes + 0.0  # −0.0 + 0.0 = 0.0
        if len(wrong) < fewest:
            fewest, patience = len(wrong), PATIENCE
        elif patience:
            patience -= 1
        else:  # one at a time comes to an end for certain
            wrong = wrong[-1:]
        free[wrong] ^= True
    return start
