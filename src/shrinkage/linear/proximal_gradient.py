"""Proximal gradient descent with momentum (FISTA), for every loss and every penalty with a prox.

References: Beck and Teboulle (2009); the restart is the second one of O'Donoghue and Candès (2015).
"""

from __future__ import annotations

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem


def descend(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters whose proximal step is at most `tol`, or the last ones, and the steps taken.

    Where the penalty is not convex, a step with momentum may lead uphill. It is then taken back and
    made without, which never does: the parameters come to a stationary point.
    """
    is_convex = problem.penalty.is_convex
    previous, point, momentum = start, start, 1.0
    value = float("inf")
    for iteration in range(1, max_iter + 1):
        parameters = problem.proximal_step(point)
        move = point - parameters
        if problem.step_size(move) <= tol:
            return parameters, iteration
        if not is_convex:
            new_value = problem.value(parameters)
            if new_value > value and momentum > 1.0:
                point, momentum = previous, 1.0
                continue
            value = new_value
        progress = parameters - previous
        previous = parameters
        # The step turns back: what was gathered points beyond the minimum.
        if float((move / problem.steps * progress).sum()) > 0:
            point, momentum = parameters, 1.0
            continue
        following = (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5) / 2.0
        point = parameters + (momentum - 1.0) / following * progress
        momentum = following
    return previous, max_iter
