"""Linear models at several strengths of one penalty, each begun at the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from shrinkage.linear.losses import Array
from shrinkage.linear.solving import Solution, make_problem, minimize
from shrinkage.penalties import Penalty


def solve_path(
    X: Any,
    y: Array,
    penalty_at: Callable[[float], Penalty],
    strengths: Iterable[float],
    loss: str = "squared_error",
    *,
    sample_weight: Array | None = None,
    tol: float = 1e-8,
    max_iter: int = 20_000,
) -> list[Solution]:
    """The solutions at each strength, in their order; from strong to weak is fastest.

    Parameters
    ----------
    X, y, loss, sample_weight, tol, max_iter
        As `solve` takes them. Instead of warnings, look at each solution's `converged`.
    penalty_at : function of a strength
        For example ``L1``.
    strengths : numbers

    Examples
    --------
    scikit-learn's ``lasso_path``:

    >>> import numpy as np
    >>> from shrinkage import L1
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([6.0, 0.0, 3.2, 2.8])
    >>> [float(s.weights[0, 0].round(6)) for s in solve_path(X, y, L1, [1.5, 1.0, 0.5])]
    [0.0, 1.0, 2.0]
    """
    solutions: list[Solution] = []
    problem, start = None, None
    for lam in strengths:
        if problem is None:
            problem = make_problem(X, y, penalty_at(lam), loss, sample_weight)
        problem.penalty = penalty_at(lam)
        solution = minimize(problem, start=start, tol=tol, max_iter=max_iter)
        start = solution.weights, solution.intercepts
        solutions.append(solution)
    return solutions
