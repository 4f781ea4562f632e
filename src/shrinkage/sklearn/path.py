"""Models along a grid of strengths, each begun at the one before."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from shrinkage.linear import strongest
from shrinkage.sklearn.arguments import check_sizes
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.penalty_argument import with_strength

LENGTH = 1e-3  # the weakest strength of the default grid, as a share of the strongest
FIRST = 1 / 64  # where the search begins for a network, as a share of a linear model's strength
DOUBLINGS = 20


def fit_path(
    model: Any, X: Any, y: Array, sample_weight: Array | None, strengths: Array
) -> list[dict[str, Any]]:
    """The fitted state of `model` at each strength, in their order.

    A linear model goes from strong to weak: its minimum does not depend on the start. A network
    goes from weak to strong, since one without weights never leaves that state.
    """
    is_linear = not check_sizes(model.hidden_layer_sizes)
    penalty, states = model.penalty, []
    with warnings.catch_warnings():  # along a path a model need not converge for each strength
        warnings.simplefilter("ignore", ConvergenceWarning)
        for lam in strengths if is_linear else strengths[::-1]:
            model.set_params(penalty=with_strength(penalty, float(lam)), warm_start=True)
            model.fit(X, y, sample_weight=sample_weight)
            states.append(dict(vars(model)))
    return states if is_linear else states[::-1]


def default_strengths(
    model: Any,
    X: Any,
    y: Array,
    targets: Array,
    loss: str,
    sample_weight: Array | None,
    weights: Array | None,
    count: int,
) -> Array:
    """A geometric grid from the strength at which nothing is left down to a thousandth of it.

    For a linear model this strength is known. A network is trained at one after the other, each
    twice the last, until no input has a weight.

    Parameters
    ----------
    targets, loss, weights
        As `shrinkage.linear.solve` takes them.
    """
    top = strongest(X, targets, lambda lam: with_strength(model.penalty, lam), loss, weights)
    if check_sizes(model.hidden_layer_sizes) and _makes_zeros(model, top):
        top = _search(model, X, y, sample_weight, top * FIRST)
    return np.geomspace(top, top * LENGTH, count) if count > 1 else np.array([top])


def _makes_zeros(model: Any, lam: float) -> bool:
    return bool(with_strength(model.penalty, lam).traits.makes_zeros and model.how == "proximal")


def _search(model: Any, X: Any, y: Array, sample_weight: Array | None, lam: float) -> float:
    penalty = model.penalty
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(DOUBLINGS):
            model.set_params(penalty=with_strength(penalty, lam), warm_start=True)
            model.fit(X, y, sample_weight=sample_weight)
            if not model.selected_features_.any():
                break
            lam *= 2.0
    return lam


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
