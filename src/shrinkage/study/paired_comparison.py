"""Two methods compared on the same splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Lead:
    """By how much one method scores higher than another, and whether that may be chance."""

    mean: float
    error: float  # its standard error; nan with one seed
    is_clear: bool  # whether 0 lies outside the 95 % interval about the mean


def compare_paired(
    scores: Sequence[float],
    others: Sequence[float],
    *,
    train: int,
    validation: int,
    step: float = 0.0,
) -> Lead:
    """The corrected resampled t-test on paired scores.

    With the K differences dₖ of scores on the same splits, their mean d and variance s² (K − 1
    in the denominator):

        t = d / √((1/K + n_validation/n_train)·s²), on K − 1 degrees of freedom.

    The splits share rows, so the differences are not independent: the second summand stands for
    that. With r repetitions of k folds K is r·k, and n_validation/n_train is 1/(k − 1), which makes
    it the corrected test of Bouckaert and Frank. The strengths were chosen by these same scores,
    which favours the chosen method, so few such comparisons should be made.

    Parameters
    ----------
    scores, others : sequence of float
        (splits,): one score per seed, or per fold of each, in the same order.
    train, validation : int
        Rows of the parts.
    step : float
        The least difference of two scores, 1/n_validation for accuracy. It replaces s where all
        differences are equal, since that says little about their variation.

    References
    ----------
    Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52 (2003).
    Bouckaert and Frank, Evaluating the Replicability of Significance Tests for Comparing Learning
    Algorithms, PAKDD (2004), section 3.3.

    Examples
    --------
    >>> compare_paired([0.91, 0.92, 0.96], [0.90, 0.90, 0.90], train=200, validation=100).is_clear
    False
    """
    differences = [score - other for score, other in zip(scores, others, strict=True)]
    mean, seeds = fmean(differences), len(differences)
    if seeds < 2:
        return Lead(mean, math.nan, is_clear=False)
    spread = stdev(differences)
    if spread < 1e-12:  # rounding
        spread = step
    error = math.sqrt(1 / seeds + validation / train) * spread
    within = find_probability_within(abs(mean), error, seeds - 1)
    return Lead(mean, error, is_clear=within > CONFIDENCE)


def find_probability_within(bound: float, error: float, degrees: int) -> float:
    """The probability that error·t lies between −bound and bound, with Student's t.

    A finite sum of powers of cos θ, with tan θ = bound/(error·√degrees): Abramowitz and Stegun,
    Handbook of Mathematical Functions (1964), equations 26.7.3 and 26.7.4.

    >>> [f"{find_probability_within(t, 1.0, d):.4f}" for t, d in ((12.706, 1), (4.303, 2))]
    ['0.9500', '0.9500']
    """
    angle = math.atan2(bound, error * math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    term = total = 1.0
    for k in range(2 + degrees % 2, degrees, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    if degrees % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + (sine * cosine * total if degrees > 1 else 0.0))
