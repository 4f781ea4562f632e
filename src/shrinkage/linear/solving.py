"""`solve`: the weights of a linear model at which data loss + Ω is least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy import sparse

from shrinkage.linear.design import Design
from shrinkage.linear.losses import LOSSES, Array
from shrinkage.linear.newton import newton, quasi_newton
from shrinkage.linear.problem import Problem
from shrinkage.linear.proximal_gradient import descend
from shrinkage.linear.squares import ridge, solve_in_rounds
from shrinkage.penalties import L2, Penalty
from shrinkage.user_warning import warn_user

NEWTON_STEPS = 200


@final
@dataclass(frozen=True)
class Solution:
    """What `solve` returns.

    Attributes
    ----------
    weights : array (inputs, outputs)
    intercepts : array (outputs,)
    value : float
        The objective: data loss + Ω.
    iterations : int
    optimality : float
        The largest derivative of the objective by a standardized input, or what a proximal step
        still moves, as a share of that of the model without inputs. 0 is the exact minimum.
    converged : bool
        Whether that is as small as was asked for.

    Examples
    --------
    >>> solution = solve(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> solution.weights.round(6).tolist(), solution.intercepts.round(6).tolist()
    ([[2.0]], [1.0])
    """

    weights: Array
    intercepts: Array
    value: float
    iterations: int
    optimality: float
    converged: bool


def solve(
    X: Any,
    y: Array,
    penalty: Penalty | None = None,
    loss: str = "squared_error",
    *,
    intercept_penalty: Penalty | None = None,
    sample_weight: Array | None = None,
    start: tuple[Array, Array] | None = None,
    tol: float = 1e-8,
    max_iter: int = 20_000,
) -> Solution:
    """Minimize ``Σ s_i·loss(x_i·W + b, y_i)/Σ s_i + Ω(Wᵀ)`` over W and b.

    Where the penalty is a·Σ|w| + b·Σw², linear equations over the inputs that have a weight solve
    it, and Newton's method over the groups that have weights where it is a group lasso + b·Σw²;
    inside proximal Newton steps for the log-losses. All others take accelerated proximal gradient
    descent in a metric that scales the columns.

    Parameters
    ----------
    X : array or sparse matrix (samples, inputs)
        A sparse matrix stays sparse.
    y : array (samples,) or (samples, outputs)
        Numbers; for "log_loss" one-hot rows; for "binary_log_loss" 0 or 1 in each column.
    penalty : Penalty, optional
        Ω, of the weights as torch lays them out, (outputs, inputs).
    loss : {"squared_error", "log_loss", "binary_log_loss"}
        ½·Σ(x·W + b − y)² over the outputs, softmax with log-loss, or one logit for each output.
    intercept_penalty : Penalty, optional
        Of b, (outputs,); without it b is free.
    sample_weight : array (samples,), optional
        s, at least 0.
    start : (array, array), optional
        Weights (inputs, outputs) and intercepts to start from; by default 0 and the best constant.
    tol : float, default 1e-8
        The `optimality` to stop at.
    max_iter : int, default 20000
        Steps of proximal gradient descent at most.

    Raises
    ------
    ValueError
        If the penalty has no prox, or the loss is unknown.

    Warns
    -----
    ConvergenceWarning
        If `tol` was not reached.

    Examples
    --------
    scikit-learn's ``Lasso(alpha=0.5)``:

    >>> from shrinkage import L1
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([6.0, 0.0, 3.2, 2.8])
    >>> solution = solve(X, y, L1(0.5))
    >>> solution.weights.round(6).ravel().tolist(), solution.intercepts.round(6).tolist()
    ([2.0, 0.0], [3.0])
    """
    problem = make_problem(X, y, penalty, loss, sample_weight, intercept_penalty)
    solution = minimize(problem, start=start, tol=tol, max_iter=max_iter)
    warn_unless_converged(solution, tol)
    return solution


def minimize(
    problem: Problem,
    *,
    start: tuple[Array, Array] | None = None,
    tol: float = 1e-8,
    max_iter: int = 20_000,
) -> Solution:
    """The solution of a problem that `make_problem` made; the arguments are those of `solve`.

    It says by `converged` alone whether `tol` was reached. For several strengths, put another
    `problem.penalty` of the same kind in place.
    """
    parameters = problem.null
    if start is not None:
        weights, intercepts = start
        shifted = intercepts + problem.design.means @ weights
        parameters = np.vstack([weights, shifted]).astype(np.float64)
    limit = max(tol * problem.size, problem.rounding)
    parameters, iterations = _solve_fast(problem, parameters, limit, max_iter)
    distance = problem.distance(parameters)
    if iterations == 0 and distance <= limit:
        parameters = problem.proximal_step(parameters)  # zeros included
    elif distance > limit:
        parameters, steps = descend(problem, parameters, limit, max_iter)
        iterations += steps
        distance = problem.distance(parameters)
    weights = parameters[:-1]
    return Solution(
        weights=weights,
        intercepts=parameters[-1] - problem.design.means @ weights,
        value=problem.value(parameters),
        iterations=iterations,
        optimality=distance / (problem.size or 1.0),
        # The last step was measured where it began, perhaps as a longer one.
        converged=distance <= 10.0 * limit,
    )


def warn_unless_converged(solution: Solution, tol: float) -> None:
    """Warn that `tol` was not reached."""
    if solution.converged:
        return
    from sklearn.exceptions import ConvergenceWarning  # takes a second, and is rarely needed

    warn_user(
        f"the linear model was solved to {solution.optimality:.1g} instead of tol={tol:g} of its "
        "largest derivative. Classes that inputs separate have no best weights unless the penalty "
        "grows without end, as L1 and L2 do; nearly equal columns of X make it slow",
        ConvergenceWarning,
    )


def make_problem(
    X: Any,
    y: Array,
    penalty: Penalty | None,
    loss: str,
    sample_weight: Array | None = None,
    intercept_penalty: Penalty | None = None,
) -> Problem:
    """The problem that `solve` solves, in float64."""
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    for one in (penalty, intercept_penalty):
        if one is not None and (reason := one.why_not("prox")) is not None:
            raise ValueError(reason)
    X = X.tocsr().astype(np.float64) if sparse.issparse(X) else np.asarray(X, dtype=np.float64)
    y = np.asarray(y, dtype=np.float64)
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    design = Design(X, weights / weights.sum(), centered=intercept_penalty is None)
    return Problem(design, y.reshape(len(y), -1), loss, penalty or L2(0.0), intercept_penalty)


def _solve_fast(
    problem: Problem, parameters: Array, limit: float, max_iter: int
) -> tuple[Array, int]:
    """The fast way, where the penalty has one: parameters near the minimum, if not at it, and the
    steps taken.
    """
    if not problem.has_rule:
        return parameters, 0
    if problem.is_squared and not problem.is_smooth:
        return solve_in_rounds(problem, parameters, limit, NEWTON_STEPS)
    if problem.is_squared:
        square = problem.split().square
        columns = [ridge(problem.design, target, square) for target in problem.targets.T]
        return np.column_stack(columns), 1
    if problem.is_separable or not problem.is_smooth:
        return newton(problem, parameters, limit, NEWTON_STEPS)
    return quasi_newton(problem, parameters, limit, max_iter)
