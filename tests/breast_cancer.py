"""Penalized logistic regression on the breast cancer data, with minima from other libraries."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty

KINDS = (0, 1, 4, 5, 6, 7, 8, 9)  # not perimeter and area, which the radius gives to 0.98
GROUPS = tuple((kind, kind + 8) for kind in range(8))  # its standard error, its worst value


@lru_cache
def standardized() -> tuple[np.ndarray, np.ndarray]:
    """X with mean 0 and variance 1, and y as -1 or 1."""
    X, y = load_breast_cancer(return_X_y=True)
    X = np.hstack([X[:, [part + kind for kind in KINDS]] for part in (10, 20)])
    return np.asfortranarray((X - X.mean(0)) / X.std(0)), 2.0 * y - 1.0


def loss(w: np.ndarray) -> float:
    """Σ log(1 + exp(−y·Xw))/n."""
    X, y = standardized()
    return float(np.logaddexp(0.0, -y * (X @ w)).mean())


def logistic() -> Callable[[torch.Tensor], torch.Tensor]:
    """The gradient of the loss."""
    X, y = (torch.tensor(part) for part in standardized())
    signed, share = X * y[:, None], -1.0 / len(y)
    return lambda w: share * (signed.T @ torch.sigmoid(-(signed @ w)))


@lru_cache
def minimum(penalty: Penalty) -> np.ndarray:
    """The least loss + Ω(w): scikit-learn's where squares are in it, else skglm's."""
    X, y = standardized()
    match penalty:
        case L2(lam):
            model = LogisticRegression(
                C=1 / (2 * len(y) * lam), fit_intercept=False, tol=1e-14, solver="newton-cholesky"
            )
        case ElasticNet(lam, l1_ratio):
            model = LogisticRegression(
                C=1 / (len(y) * lam),
                l1_ratio=l1_ratio,
                fit_intercept=False,
                tol=1e-12,
                solver="saga",
                max_iter=10_000,
                random_state=0,
            )
        case _:
            model = skglm_model(penalty)
    return model.fit(X, y).coef_.ravel()


def skglm_model(penalty: Penalty) -> Any:
    """A model of skglm, which takes seconds to import and is needed by slow tests alone."""
    from skglm import GeneralizedLinearEstimator, datafits, penalties, solvers
    from skglm.utils.data import grp_converter

    options = {"fit_intercept": False, "tol": 1e-12, "max_iter": 1000}
    match penalty:
        case L1(lam):
            datafit, theirs = datafits.Logistic(), penalties.L1_plus_L2(lam, 1.0)
            solver = solvers.AndersonCD(**options)
        case GroupLasso(lam, groups):
            indices, starts = grp_converter([list(group) for group in groups], 2 * len(KINDS))
            weights = np.array([len(group) ** 0.5 for group in groups])
            datafit = datafits.LogisticGroup(starts, indices)
            theirs = penalties.WeightedGroupL2(lam, weights, starts, indices)
            solver = solvers.GroupProxNewton(**options)
    return GeneralizedLinearEstimator(datafit, theirs, solver)
