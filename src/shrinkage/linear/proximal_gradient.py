"""Proximal gradient descent with momentum (FISTA), for every loss and every penalty with a prox.

References: Beck and Teboulle (2009); the restart is the second one of O'Donoghue and Candès (2015).
"""

from __future__ import annotations

from typing import NamedTuple

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem

GROWTH = 1.05  # of the stretch from one step to the next


class Place(NamedTuple):
    """Parameters and their scores, which are as linear as they are; None for squared errors."""

    parameters: Array
    scores: Array | None


def descend(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters whose proximal step is at most `tol`, or the last ones, and the steps taken.

    Where the penalty is not convex, a step with momentum may lead uphill. It is then taken back and
    made without, which never does: the parameters come to a stationary point.
    """
    is_convex = problem.penalty.traits.is_convex
    previous = point = _place(problem, start)
    momentum, stretch, value = 1.0, 1.0, float("inf")
    for iteration in range(1, max_iter + 1):
        found, stretch = _step(problem, point, stretch)
        move = point.parameters - found.parameters
        if problem.step_size(move) <= tol * stretch:
            return found.parameters, iteration
        if not is_convex:
            new_value = problem.value(found.parameters)
            if new_value > value and momentum > 1.0:
                point, momentum = previous, 1.0
                continue
            value = new_value
        progress = found.parameters - previous.parameters
        # The step turns back: what was gathered points beyond the minimum.
        if float((move / problem.steps * progress).sum()) > 0:
            previous = point = found
            momentum = 1.0
            continue
        following = (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5) / 2.0
        share = (momentum - 1.0) / following
        point = Place(found.parameters + share * progress, None)
        if found.scores is not None and previous.scores is not None:
            point = Place(point.parameters, found.scores + share * (found.scores - previous.scores))
        previous, momentum = found, following
    return previous.parameters, max_iter


def _place(problem: Problem, parameters: Array) -> Place:
    return Place(parameters, None if problem.is_squared else problem.design.scores(parameters))


def _step(problem: Problem, point: Place, stretch: float) -> tuple[Place, float]:
    """A proximal step from `point`, as long as the loss stays below its parabola; its stretch.

    A log-loss is much flatter where classes are told apart than its bound says. Steps are halved
    until f(x) ≤ f(y) + ⟨∇f(y), x − y⟩ + ‖x − y‖²/(2·step), which holds at a stretch of 1 anyway.
    """
    if problem.is_squared:
        return Place(problem.proximal_step(point.parameters), None), 1.0
    loss, gradient = problem.loss_and_gradient(*point)
    stretch *= GROWTH
    while True:
        found = _place(problem, problem.proximal_step(point.parameters, gradient, stretch))
        move = point.parameters - found.parameters
        parabola = float((move * (0.5 * move / (stretch * problem.steps) - gradient)).sum())
        assert found.scores is not None
        losses, _ = problem.loss.evaluate(found.scores, problem.targets)
        if stretch == 1.0 or float(problem.design.shares @ losses) <= loss + parabola:
            return found, stretch
        stretch = max(stretch / 2.0, 1.0)
