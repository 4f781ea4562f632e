"""Second-order ways to minimize a log-loss with a·Σ|w| + b·Σw².

*Proximal Newton*, where the outputs do not depend on each other. Each step replaces the loss by its
parabola in one output's scores, solves these weighted least squares with the penalty in full, and
goes as far towards the solution as the objective falls.

*L-BFGS*, for softmax without absolute values, whose objective has derivatives everywhere.

References: Friedman, Hastie and Tibshirani (2010); Lee, Sun and Saunders (2014).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem
from shrinkage.linear.squares import least_squares

LEAST_CURVATURE = 1e-9  # of one sample, so that the parabola has a minimum
HALVINGS = 30


def newton(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters whose proximal step is at most `tol`, or the last ones, and the sweeps taken."""
    parameters = start.copy()
    value = problem.value(parameters)
    for iteration in range(1, max_iter + 1):
        before = value
        for output in range(parameters.shape[1]):
            parameters, value = _improve_output(problem, parameters, value, output)
        if problem.step_size(parameters - problem.proximal_step(parameters)) <= tol:
            return parameters, iteration
        if value >= before:  # no digit of the objective is left to gain
            return parameters, iteration
    return parameters, max_iter


def _improve_output(
    problem: Problem, parameters: Array, value: float, output: int
) -> tuple[Array, float]:
    """The parameters with one output's column moved, and the objective there."""
    design = problem.design
    absolute, square, _ = problem.penalty.split()
    scores = design.scores(parameters)
    predictions = problem.loss.predict(scores)
    curvature = problem.loss.curvatures(predictions)[:, output]
    curvature = np.maximum(curvature, LEAST_CURVATURE)
    residual = predictions[:, output] - problem.targets[:, output]
    target = scores[:, output] - residual / curvature
    total = float(design.shares @ curvature)
    local = design.reweighted(design.shares * curvature / total)
    column = least_squares(local, target, parameters[:, output], absolute / total, square / total)
    column[-1] += float((design.means - local.means) @ column[:-1])
    step = 1.0
    for _ in range(HALVINGS):
        trial = parameters.copy()
        trial[:, output] += step * (column - parameters[:, output])
        if step == 1.0:  # as solved, zeros included
            trial[:, output] = column
        trial_value = problem.value(trial)
        if trial_value < value:
            return trial, trial_value
        step /= 2.0
    return parameters, value


def quasi_newton(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters at which the derivative of a smooth objective is at most `tol`; the steps taken.

    L-BFGS runs in coordinates in which each column has the variance 1.
    """
    scale = 1.0 / np.sqrt(problem.metric)  # (inputs + 1, 1)

    def evaluate(flat: Array) -> tuple[float, Array]:
        parameters = flat.reshape(start.shape) * scale
        gradient = problem.gradient(parameters)
        gradient[:-1] += problem.penalty.gradient(parameters[:-1].T).T
        return problem.value(parameters), (gradient * scale).ravel()

    options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "maxcor": 30, "gtol": tol, "ftol": 0.0}
    result = minimize(
        evaluate, (start / scale).ravel(), jac=True, method="L-BFGS-B", options=options
    )
    return result.x.reshape(start.shape) * scale, int(result.nit)
