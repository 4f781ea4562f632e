"""Models along a grid of strengths, each begun at the one before."""

from __future__ import annotations

from typing import Any

import numpy as np

from shrinkage.linear import strongest
from shrinkage.linear.problem import Problem
from shrinkage.sklearn.checks import check_sizes
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.penalty_argument import PenaltyArgument, with_strength
from shrinkage.sklearn.task import Data

LENGTH = 1e-3  # the weakest strength of the default grid, as a share of the strongest
FIRST = 1 / 64  # where the search begins for a network, as a share of a linear model's strength
DOUBLINGS = 20


def fit_path(model: Any, data: Data, loss: str, strengths: Array) -> list[dict[str, Any]]:
    """The fitted state of `model`, which has prepared these data, at each strength in their order.

    A linear model goes from strong to weak: its minimum does not depend on the start. A network
    goes from weak to strong, since one without weights never leaves that state.
    """
    is_linear = not check_sizes(model.hidden_layer_sizes)
    penalty, states = model.penalty, []
    problem = model._make_problem(data, loss) if is_linear else None
    for lam in strengths if is_linear else strengths[::-1]:
        _refit(model, data, loss, penalty, float(lam), problem)
        states.append(dict(vars(model)))
    return states if is_linear else states[::-1]


def default_strengths(model: Any, data: Data, loss: str, count: int) -> Array:
    """A geometric grid from the strength at which nothing is left down to a thousandth of it.

    For a linear model this strength is known. A network is trained at one after the other, each
    twice the last, until no input has a weight.
    """
    penalty = model.penalty
    top = strongest(
        data.X, data.targets, lambda lam: with_strength(penalty, lam), loss, data.weights
    )
    makes_zeros = model.how == "proximal" and with_strength(penalty, top).traits.makes_zeros
    if check_sizes(model.hidden_layer_sizes) and makes_zeros:
        top *= FIRST
        for _ in range(DOUBLINGS):
            _refit(model, data, loss, penalty, top)
            if not model.selected_features_.any():
                break
            top *= 2.0
    return np.geomspace(top, top * LENGTH, count) if count > 1 else np.array([top])


def _refit(
    model: Any,
    data: Data,
    loss: str,
    penalty: PenaltyArgument,
    lam: float,
    problem: Problem | None = None,
) -> None:
    """Fit at that strength, from the present parameters on."""
    model.penalty = with_strength(penalty, lam)
    model._fit(data, loss, keep=hasattr(model, "coefs_"), problem=problem)


def choose(scores: Array, rule: str) -> int:
    """The place of the chosen strength.

    Parameters
    ----------
    scores : array (strengths, folds)
        Strong to weak; higher is better.
    rule : {"one-se", "best"}
        "best": the best mean, the strongest of equals. "one-se": the strongest whose mean is
        within one standard error (over the folds) of the best one's.

    Examples
    --------
    >>> scores = np.array([[0.0, 0.2], [0.7, 0.9], [0.7, 1.0]])
    >>> choose(scores, "best"), choose(scores, "one-se")
    (2, 1)
    """
    means = np.where(np.isnan(scores).any(axis=1), -np.inf, scores.mean(axis=1))
    best = int(np.argmax(means))
    if rule == "best" or scores.shape[1] < 2:
        return best
    error = scores[best].std(ddof=1) / scores.shape[1] ** 0.5
    return int(np.argmax(means >= means[best] - error))
