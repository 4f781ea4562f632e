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

from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import numpy as np
from scipy.linalg.lapack import dposv

from shrinkage.linear.losses import Array

FIRST = 20  # inputs, or groups, of the first round; each round then takes twice those with a weight
PATIENCE = 3  # exchanges of all wrong guesses that may fail to make fewer of them
TURNS = 200
JITTER = 1e-13  # of the mean diagonal, for equations of equal columns


class Round(NamedTuple):
    """What the next round solves over."""

    worst: float  # the largest derivative of the objective by a standardized input
    places: Array  # indices of weights


class Rule(Protocol):
    """A penalty with kinks, whose minimum rounds over few weights find."""

    def value(self, weights: Array) -> float:
        """The penalty of these weights."""

    def choose(self, weights: Array, gradient: Array) -> Round:
        """The round that follows, given the derivatives of the data loss by all weights."""

    def solve(self, gram: Array, pull: Array, start: Array, places: Array) -> Array:
        """argmin of ``½·wᵀGw − pull·w`` + penalty over the weights at `places`, or `start` where
        none is in sight.
        """


def find_excess(weights: Array, slope: Array, absolute: float) -> Array:
    """How far each derivative of loss plus absolute·Σ|w| is from 0, given that of the loss.

    >>> find_excess(np.array([2.0, 0.0, 0.0]), np.array([-1.0, 0.5, -3.0]), 1.0)
    array([0., 0., 2.])
    """
    at_zero = np.maximum(np.abs(slope) - absolute, 0.0)
    excess: Array = np.where(weights == 0, at_zero, np.abs(slope + absolute * np.sign(weights)))
    return excess


@final
@dataclass(frozen=True)
class AbsoluteValues:
    """absolute·Σ|w| + square·Σw²."""

    absolute: float
    square: float
    deviations: Array  # (weights,)

    def value(self, weights: Array) -> float:
        return float(self.absolute * np.abs(weights).sum() + self.square * (weights**2).sum())

    def choose(self, weights: Array, gradient: Array) -> Round:
        slope = gradient + 2.0 * self.square * weights
        excess = find_excess(weights, slope, self.absolute) / self.deviations
        chosen = pick(weights != 0, excess)
        return Round(float(excess.max(initial=0.0)), np.flatnonzero(chosen))

    def solve(self, gram: Array, pull: Array, start: Array, places: Array) -> Array:
        signs = np.sign(np.where(start == 0, pull - gram @ start, start))
        return solve_round(gram, pull, start, signs, self.absolute, self.square)


def pick(kept: Array, excess: Array) -> Array:
    """Which weights, or groups, the next round solves over: those that are not 0, and those whose
    derivatives break the condition of the minimum most.
    """
    count = max(FIRST, 2 * int(np.count_nonzero(kept)))
    is_broken = excess > 0
    if count < np.count_nonzero(is_broken):
        is_broken &= excess >= np.partition(excess, -count)[-count]
    return np.asarray(kept | is_broken)


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
            _, sizes[free], failure = dposv(matrix[np.ix_(free, free)], right[free])
            if failure:
                return start
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
