"""Second-order ways to minimize a loss with a·Σ|w| + b·Σw².

*Proximal Newton*, where the outputs do not depend on each other. Each step replaces the loss by its
parabola in one output's scores, solves these weighted least squares with the penalty, and goes as
far towards the solution as the objective falls. For squared errors the parabola is the loss.

*L-BFGS*, for softmax without absolute values, whose objective has derivatives everywhere.

References: Friedman, Hastie and Tibshirani (2010); Lee, Sun and Saunders (2014).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem
from shrinkage.linear.squares import ridge
from shrinkage.linear.working_set import Round, choose, solve_round

LEAST_CURVATURE = 1e-9  # of one sample, so that the parabola has a minimum
HALVINGS = 30


def newton(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters whose derivatives differ from those of a minimum by at most `tol`, or the last
    ones, and the steps taken.
    """
    columns, steps = [], 0
    for output, column in enumerate(start.T):
        found, taken = _minimize_output(problem, column, output, tol, max_iter)
        columns.append(found)
        steps += taken
    return np.column_stack(columns), steps


def _minimize_output(
    problem: Problem, column: Array, output: int, tol: float, max_iter: int
) -> tuple[Array, int]:
    """One output's weights, and last its intercept: (inputs + 1,)."""
    design, loss = problem.design, problem.loss
    absolute, square, _ = problem.split()
    target = problem.targets[:, output : output + 1]
    scores = design.scores(column[:, None])

    def objective(scores: Array, weights: Array) -> float:
        losses, _ = loss.evaluate(scores, target)
        size = absolute * np.abs(weights).sum() + square * (weights @ weights)
        return float(design.shares @ losses + size)

    value = objective(scores, column[:-1])
    for iteration in range(1, max_iter + 1):
        predictions = loss.predict(scores)
        residual = (predictions - target)[:, 0]
        gradient = design.pull_back((design.shares * residual)[:, None])[:, 0]
        following = choose(column[:-1], gradient[:-1], absolute, square, design.deviations)
        if max(following.worst, abs(gradient[-1])) <= tol:
            return column, iteration
        curvature = np.maximum(loss.curvatures(predictions)[:, 0], LEAST_CURVATURE)
        if absolute:
            goal = _solve_over(following, problem, column, gradient, curvature)
        else:
            goal = _solve_smooth(problem, scores[:, 0] - residual / curvature, curvature)
        score_way = design.scores((goal - column)[:, None])
        step = 1.0
        for _ in range(HALVINGS):
            # A whole step ends at the goal itself, zeros included.
            trial = goal if step == 1.0 else column + step * (goal - column)
            trial_scores = scores + step * score_way
            trial_value = objective(trial_scores, trial[:-1])
            if trial_value < value:
                break
            step /= 2.0
        else:  # no digit of the objective is left to gain
            return column, iteration
        column, scores, value = trial, trial_scores, trial_value
    return column, max_iter


def _solve_over(
    following: Round,
    problem: Problem,
    column: Array,
    gradient: Array,  # (inputs + 1,)
    curvature: Array,  # (samples,)
) -> Array:
    """The minimum of the parabola plus penalty, over the inputs of a round and the intercept.

    The best change of the intercept is linear in that of the weights, and is put in its place.
    """
    _, places, signs = following
    shares = problem.design.shares * curvature
    total = float(shares.sum())
    inputs = problem.design.columns(places)  # (samples, places)
    means = shares @ inputs / total
    rows = np.sqrt(shares)[:, None] * inputs
    gram = rows.T @ rows - total * np.outer(means, means)
    weights = column[places]
    pull = gram @ weights - gradient[places] + means * gradient[-1]
    absolute, square, _ = problem.split()
    goal = column.copy()
    goal[places] = solve_round(gram, pull, weights, signs, absolute, square)
    goal[-1] -= gradient[-1] / total + float(means @ (goal[places] - weights))
    return goal


def _solve_smooth(problem: Problem, aim: Array, curvature: Array) -> Array:
    """The minimum of the parabola plus square·Σw²."""
    design = problem.design
    total = float(design.shares @ curvature)
    local = design.reweighted(design.shares * curvature / total)
    goal = ridge(local, aim, problem.split().square / total)
    goal[-1] += float((design.means - local.means) @ goal[:-1])
    return goal


def quasi_newton(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters at which the derivative of a smooth objective is at most `tol`; the steps taken.

    L-BFGS runs in coordinates in which each column has the variance 1.
    """
    scale = 1.0 / np.sqrt(problem.metric)  # (inputs + 1, 1)

    def evaluate(flat: Array) -> tuple[float, Array]:
        parameters = flat.reshape(start.shape) * scale
        loss, gradient = problem.loss_and_gradient(parameters)
        gradient[:-1] += problem.penalty.gradient(parameters[:-1].T).T
        value = loss + float(problem.penalty.value(parameters[:-1].T))
        return value, (gradient * scale).ravel()

    options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "maxcor": 30, "gtol": tol, "ftol": 0.0}
    result = minimize(
        evaluate, (start / scale).ravel(), jac=True, method="L-BFGS-B", options=options
    )
    return result.x.reshape(start.shape) * scale, int(result.nit)
