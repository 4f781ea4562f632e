"""Proximal gradient descent with momentum (FISTA), for every loss and every penalty with a prox.

References: Beck and Teboulle (2009); the restart is the second one of O'Donoghue and Candès (2015).
"""

from __future__ import annotations

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem

GROWTH = 1.05  # of the stretch from one step to the next


def descend(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters whose proximal step is at most `tol`, or the last ones, and the steps taken.

    Where the penalty is not convex, a step with momentum may lead uphill. It is then taken back and
    made without, which never does: the parameters come to a stationary point.
    """
    is_convex = problem.penalty.is_convex
    previous, point, momentum, stretch = start, start, 1.0, 1.0
    value = float("inf")
    for iteration in range(1, max_iter + 1):
        parameters, stretch = _step(problem, point, stretch)
        move = point - parameters
        if problem.step_size(move) <= tol * stretch:
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


def _step(problem: Problem, point: Array, stretch: float) -> tuple[Array, float]:
    """A proximal step from `point`, as long as the loss stays below its parabola; its stretch.

    A log-loss is much flatter where classes are told apart than its bound says. Steps are halved
    until f(x) ≤ f(y) + ⟨∇f(y), x − y⟩ + ‖x − y‖²/(2·step), which holds at a stretch of 1 anyway.
    """
    if problem.is_squared:
        return problem.proximal_step(point), 1.0
    loss, gradient = problem.loss_and_gradient(point)
    stretch *= GROWTH
    while True:
        parameters = problem.proximal_step(point, gradient, stretch)
        move = point - parameters
        parabola = float((move * (0.5 * move / (stretch * problem.steps) - gradient)).sum())
        if stretch == 1.0 or problem.data_loss(parameters) <= loss + parabola:
            return parameters, stretch
        stretch = max(stretch / 2.0, 1.0)
