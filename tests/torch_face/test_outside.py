"""Minima from other libraries: scikit-learn, celer and skglm against what training comes to.

Weights where objectives are flat differ more than objectives, so these are compared.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any
from unittest import mock

import celer
import numpy as np
import pytest
import torch
from skglm import penalties as skglm_penalties
from skglm.penalties import separable
from skglm.utils import prox_funcs
from sklearn import linear_model

import breast_cancer
import diabetes
from shrinkage import L1, L2, MCP, SCAD, ElasticNet, GroupLasso, Penalty
from shrinkage.torch import Regularizer

# test_convergence.py has scikit-learn's minima in the quick layer
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch_operations")]

EXACT = {"fit_intercept": False, "tol": 1e-12}
GROUPS = ((0, 1, 2), (3, 5), (4, 6, 7), (8, 9))
LISTS = [list(group) for group in GROUPS]
ROOTS = np.array([len(group) ** 0.5 for group in GROUPS])
SAMPLES = 569
Model = Callable[[], object]


@dataclass(frozen=True)
class Outside:
    """A penalty on one of the two data sets, and another library's model of the same objective."""

    name: str
    penalty: Penalty
    model: Model
    logistic: bool = False

    def __str__(self) -> str:
        return self.name


OUTSIDE = [
    Outside("scikit-learn Lasso", L1(0.1), partial(linear_model.Lasso, 0.1, **EXACT)),
    Outside("celer Lasso", L1(0.1), partial(celer.Lasso, 0.1, **EXACT)),
    Outside("scikit-learn Ridge", L2(0.05), partial(linear_model.Ridge, 2 * 442 * 0.05, **EXACT)),
    Outside(
        "scikit-learn ElasticNet",
        ElasticNet(0.2, 0.7),
        partial(linear_model.ElasticNet, 0.2, l1_ratio=0.7, **EXACT),
    ),
    Outside(
        "celer ElasticNet",
        ElasticNet(0.2, 0.7),
        partial(celer.ElasticNet, 0.2, l1_ratio=0.7, **EXACT),
    ),
    Outside(
        "celer GroupLasso",
        GroupLasso(0.1, GROUPS),
        partial(celer.GroupLasso, groups=LISTS, alpha=0.1, weights=ROOTS, **EXACT),
    ),
    Outside(
        "celer logistic lasso",
        L1(0.1),
        partial(celer.LogisticRegression, C=1 / (0.1 * SAMPLES), **EXACT),
        logistic=True,
    ),
    Outside(
        "scikit-learn logistic lasso",
        L1(0.1),
        partial(
            linear_model.LogisticRegression,
            C=1 / (0.1 * SAMPLES),
            l1_ratio=1.0,
            solver="liblinear",
            max_iter=10_000,
            **EXACT,
        ),
        logistic=True,
    ),
]


def objective(case: Outside, w: np.ndarray) -> float:
    """Data loss + Ω(w), from the formulas."""
    if case.logistic:
        return breast_cancer.loss(w) + written_out(case.penalty, w)
    X, y = diabetes.standardized()
    return float(((y - X @ w) ** 2).mean() / 2 + written_out(case.penalty, w))


def written_out(penalty: Penalty, w: np.ndarray) -> float:
    match penalty:
        case L1(lam):
            return lam * float(np.abs(w).sum())
        case L2(lam):
            return lam * float((w**2).sum())
        case ElasticNet(lam, ratio):
            return lam * float(ratio * np.abs(w).sum() + (1 - ratio) / 2 * (w**2).sum())
        case GroupLasso(lam, groups):
            return lam * sum(float(len(g) ** 0.5 * np.linalg.norm(w[list(g)])) for g in groups)
    raise TypeError(penalty)


@cache
def trained(penalty: Penalty, logistic: bool, size: int) -> np.ndarray:
    """Weights under Adam, once for all libraries that have the objective."""
    weights, _ = diabetes.fit(
        partial(torch.optim.Adam, lr=0.1 if logistic else 0.08),
        penalty,
        "proximal",
        shape=(size,),
        steps=800 if logistic else 350,
        slope=breast_cancer.logistic() if logistic else None,
    )
    return weights


@pytest.mark.parametrize("case", OUTSIDE, ids=str)
def test_training_comes_to_the_objective_of_another_library(case: Outside) -> None:
    X, y = breast_cancer.standardized() if case.logistic else diabetes.standardized()
    theirs = case.model().fit(X, y).coef_.ravel()
    ours = trained(case.penalty, case.logistic, len(theirs))
    assert abs(objective(case, ours) - objective(case, theirs)) < 1e-12
    assert objective(case, np.zeros_like(ours)) - objective(case, ours) > 0.01
    assert ((ours == 0) == (theirs == 0)).all()


NONCONVEX = [
    (MCP(0.1, gamma=3.0), skglm_penalties.MCPenalty(0.1, 3.0)),
    (MCP(0.05, gamma=10.0), skglm_penalties.MCPenalty(0.05, 10.0)),
    (SCAD(0.1), skglm_penalties.SCAD(0.1, 3.7)),
]


@contextmanager
def skglm_as_python() -> Iterator[None]:
    """Its formulas as they are written: to compile each takes seconds."""
    with ExitStack() as stack:
        for module in (separable, prox_funcs):
            for name, made in list(vars(module).items()):
                if hasattr(made, "py_func"):
                    stack.enter_context(mock.patch.object(module, name, made.py_func))
        yield


def stationary_point(theirs: Any) -> np.ndarray:
    """Where coordinate descent by skglm's own prox comes to a rest, as in its solvers."""
    A, b = diabetes.normal_equations()
    w = np.zeros(len(b))
    for _ in range(1000):
        before = w.copy()
        for j in range(len(w)):
            w[j] = theirs.prox_1d(w[j] - (A[j] @ w - b[j]) / A[j, j], 1 / A[j, j], j)
        if np.abs(w - before).max() < 1e-13:
            return w
    raise AssertionError("did not converge")


@pytest.mark.parametrize(("penalty", "theirs"), NONCONVEX, ids=["MCP 3", "MCP 10", "SCAD"])
def test_a_stationary_point_of_skglm_is_one_here(penalty: Penalty, theirs: Any) -> None:
    """Training that begins there stays there; one that begins at a distance leaves.

    Not under Adam: where the penalty is flat the gradient is 0 but for a rounding, which Adam takes
    at full size.
    """
    with skglm_as_python():
        point = torch.tensor(stationary_point(theirs))
        assert penalty.value(point).item() == pytest.approx(theirs.value(point.numpy()))
    assert 0 < (point == 0).sum() < 10
    slope = diabetes.least_squares()
    for distance, momentum in product((0.0, 0.1), (0.0, 0.9)):
        w = torch.nn.Parameter(point + distance)
        optimizer = torch.optim.SGD([w], lr=0.01, momentum=momentum)
        Regularizer(torch.nn.ParameterDict({"w": w}), penalty, on="all").attach(
            optimizer, how="proximal"
        )
        for _ in range(5):
            w.grad = slope(w.detach())
            optimizer.step()
        moved = (w.detach() - point - distance).abs().max()
        assert moved < 1e-9 if distance == 0.0 else moved > 1e-3
