"""Second-order ways to minimize a loss with a·Σ|w| + b·Σw², or with norms of groups.

*Proximal Newton*, for absolute values and norms, and where the outputs do not depend on each other.
Each step replaces the loss by its parabola in the scores, solves these weighted least squares with
the penalty, and goes as far towards the solution as the objective falls.

*L-BFGS*, for softmax without absolute values, whose objective has derivatives everywhere.

References: Friedman, Hastie and Tibshirani (2010); Lee, Sun and Saunders (2014).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem
from shrinkage.linear.squares import ridge
from shrinkage.linear.working_set import Rule

LEAST_CURVATURE = 1e-9  # of one sample, so that the parabola has a minimum
HALVINGS = 30
WORTH = 75  # proximal steps that cost as much as one of Newton's, where softmax takes few of these
DAMPING = 1e-10  # of the second derivatives: softmax has directions without any


def newton(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters whose derivatives differ from those of a minimum by at most `tol`, or the last
    ones, and the steps taken.
    """
    columns, steps = [], 0
    for outputs in problem.blocks:
        found, taken = _minimize(problem, start[:, outputs], outputs, tol, max_iter)
        columns.append(found)
        steps += taken
    return np.hstack(columns), steps


def _minimize(
    problem: Problem, parameters: Array, outputs: slice, tol: float, max_iter: int
) -> tuple[Array, int]:
    """The parameters (inputs + 1, outputs) of outputs that depend on each other."""
    design, loss, targets = problem.design, problem.loss, problem.targets[:, outputs]
    rule = problem.rule(outputs, tol)
    scores = design.scores(parameters)

    def objective(scores: Array, weights: Array) -> float:
        losses, _ = loss.evaluate(scores, targets)
        return float(design.shares @ losses) + rule.value(weights)

    value = objective(scores, parameters[:-1])
    for iteration in range(1, max_iter + 1):
        predictions = loss.predict(scores)
        gradient = design.pull_back(design.shares[:, None] * (predictions - targets))
        worst, places = rule.choose(parameters[:-1].ravel(), gradient[:-1].ravel())
        if max(worst, float(np.abs(gradient[-1]).max())) <= tol:
            return parameters, iteration
        if not problem.is_separable and len(places) ** 2 > WORTH * parameters[:-1].size:
            return parameters, iteration  # proximal gradient descent goes on from here
        if not problem.is_smooth:
            goal = _solve_over(places, rule, problem, parameters, gradient, predictions)
        else:
            curvature = np.maximum(loss.curvatures(predictions)[:, 0], LEAST_CURVATURE)
            aim = scores[:, 0] - (predictions - targets)[:, 0] / curvature
            goal = _solve_smooth(problem, aim, curvature)[:, None]
        score_way, step = design.scores(goal - parameters), 1.0
        for _ in range(HALVINGS):
            # A whole step ends at the goal itself, zeros included.
            trial = goal if step == 1.0 else parameters + step * (goal - parameters)
            trial_scores = scores + step * score_way
            trial_value = objective(trial_scores, trial[:-1])
            if trial_value < value:
                break
            step /= 2.0
        else:  # no digit of the objective is left to gain
            return parameters, iteration
        parameters, scores, value = trial, trial_scores, trial_value
    return parameters, max_iter


def _solve_over(
    places: Array,
    rule: Rule,
    problem: Problem,
    parameters: Array,
    gradient: Array,  # (inputs + 1, outputs)
    predictions: Array,  # (samples, outputs)
) -> Array:
    """The minimum of the parabola plus penalty, over the weights of a round and the intercepts.

    The best change of the intercepts is linear in that of the weights, and is put in its place. The
    second derivatives of softmax by the scores are ``diag(p) − p·pᵀ`` for the shares p of a sample.
    """
    design, outputs = problem.design, predictions.shape[1]
    place, output = np.divmod(places, outputs)
    inputs = np.sqrt(design.shares)[:, None] * design.columns(place)  # (samples, places)
    ones = np.sqrt(design.shares)[:, None] * np.ones((1, outputs))
    curvature = predictions if not problem.is_separable else problem.loss.curvatures(predictions)
    curvature = np.maximum(curvature, LEAST_CURVATURE)
    is_same = output[:, None] == output
    scaled = inputs * curvature[:, output]
    gram = np.where(is_same, scaled.T @ inputs, 0.0)
    mixed = (output[:, None] == np.arange(outputs)) * (scaled.T @ ones)
    own = np.diag(design.shares @ curvature)
    if not problem.is_separable:
        inputs, ones = inputs * predictions[:, output], ones * predictions
        gram -= inputs.T @ inputs
        mixed -= inputs.T @ ones
        own -= ones.T @ ones
    inverse = np.linalg.pinv(own, rcond=1e-10, hermitian=True)
    gram -= mixed @ inverse @ mixed.T
    gram[np.diag_indices(len(places))] *= 1.0 + DAMPING
    weights = parameters[place, output]
    slopes = gradient[place, output] - mixed @ inverse @ gradient[-1]
    goal = parameters.copy()
    found = rule.solve(gram, gram @ weights - slopes, weights, places)
    goal[place, output] = found
    goal[-1] -= inverse @ (gradient[-1] + mixed.T @ (found - weights))
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

    L-BFGS runs in coordinates in which each column has the variance 1. The penalty of a smooth
    objective is squares alone.
    """
    scale = 1.0 / np.sqrt(problem.metric)  # (inputs + 1, 1)
    square = problem.split().square

    def evaluate(flat: Array) -> tuple[float, Array]:
        parameters = flat.reshape(start.shape) * scale
        loss, gradient = problem.loss_and_gradient(parameters)
        weights = parameters[:-1]
        gradient[:-1] += 2.0 * square * weights
        value = loss + square * float(np.sum(weights * weights))
        return value, (gradient * scale).ravel()

    options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "maxcor": 30, "gtol": tol, "ftol": 0.0}
    result = minimize(
        evaluate, (start / scale).ravel(), jac=True, method="L-BFGS-B", options=options
    )
    return result.x.reshape(start.shape) * scale, int(result.nit)
