"""Quadratic problems with Σ_g κ_g·‖w_g‖ + b·Σw², solved over the few groups that can have weights.

Each norm is the least of a family of squares, ``‖w‖ = min over η ≥ 0 of ½(‖w‖²/η + η)``. With the
sizes η given, linear equations lead to w, and what remains is a smooth convex problem with one
unknown for each group:

    h(η) = −½·pᵀ(G + D(κ/η))⁻¹p + ½·Σκη,    w_g = η_g·s_g/κ_g  with  s = p − Gw = (I + GD(η/κ))⁻¹p.

At its minimum ‖s_g‖ = κ_g where η_g > 0, and ‖s_g‖ ≤ κ_g elsewhere: the conditions of the group
lasso. Newton's method solves κ_g/‖s_g‖ = 1, which is nearly linear in η (for one input it is
linear), and each of its steps is a quadratic problem over η ≥ 0. No column needs to be independent
of the others, as the equations have the matrix ``I + √D·G·√D``.

References: Yuan and Lin (2006); Bach, Jenatton, Mairal and Obozinski (2012), Optimization with
sparsity-inducing penalties, section 5, for the squares; Moré and Sorensen (1983) for 1/‖s‖.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from shrinkage.linear.losses import Array
from shrinkage.linear.working_set import Round, pick, solve_round

STEPS, HALVINGS = 50, 10
FREE = 1e-8  # of its second derivative: what holds a weight without penalty near its last value
DAMPING = 1e-10  # of the mean second derivative, where more groups than rows have weights


class State(NamedTuple):
    """What the sizes of the groups lead to."""

    sizes: Array  # η, (groups,)
    value: float  # h
    excess: float  # the largest of ‖s_g‖ − κ_g where that should be 0 or less, over its tolerance
    weights: Array
    pull: Array  # s
    present: Array  # the places whose group has a size
    roots: Array  # √(η/κ) of these
    factor: Array  # the lower Cholesky factor of their equations
    norms: Array  # ‖s_g‖


@final
@dataclass(frozen=True)
class GroupNorms:
    """Σ_g κ_g·‖w_g‖ + b·Σw²."""

    labels: Array  # (weights,): the number of each weight's group
    strengths: Array  # κ, (groups,); 0 for groups without penalty
    square: float  # b
    deviations: Array  # (weights,)
    tol: float  # of a derivative by a standardized input

    def value(self, weights: Array) -> float:
        flat = weights.ravel()
        squares = self.square * float(flat @ flat)
        return float(self.strengths @ np.sqrt(self._sums(flat**2))) + squares

    def choose(self, weights: Array, gradient: Array) -> Round:
        """The round that follows, given the derivatives of the data loss by all weights."""
        slope = gradient + 2.0 * self.square * weights
        norms = np.sqrt(self._sums(weights**2))
        sizes = np.sqrt(self._sums(slope**2))
        strengths, labels = self.strengths, self.labels
        with np.errstate(divide="ignore", invalid="ignore"):
            direction = np.where(norms > 0, strengths / norms, 0.0)
            beyond = np.where(norms > 0, 1.0, np.maximum(1.0 - strengths / sizes, 0.0))
        rest = beyond[labels] * slope + direction[labels] * weights
        excess = np.sqrt(self._sums((np.nan_to_num(rest) / self.deviations) ** 2))
        places = np.flatnonzero(pick(norms > 0, excess)[labels])
        in_order = places[np.argsort(labels[places], kind="stable")]  # group after group
        return Round(float(excess.max(initial=0.0)), in_order)

    def solve(self, gram: Array, pull: Array, start: Array, places: Array) -> Array:
        """argmin of ``½·wᵀGw − pull·w`` + penalty over the weights at `places`, or `start`."""
        groups, labels = np.unique(self.labels[places], return_inverse=True)
        unit = np.full(len(groups), np.inf)
        np.minimum.at(unit, labels, self.deviations[places])
        if self.square:
            gram = gram + np.diag(np.full(len(places), 2.0 * self.square))
        sizes = np.sqrt(np.bincount(labels, start**2, len(groups)))
        problem = _Round(gram, pull, start, labels, self.strengths[groups], self.tol * unit)
        return problem.solve(sizes)

    def _sums(self, values: Array) -> Array:
        """The sum over each group."""
        return np.bincount(self.labels, values, len(self.strengths))


class _Round:
    """Newton's method for the sizes of a round's groups."""

    def __init__(
        self,
        gram: Array,
        pull: Array,
        start: Array,
        labels: Array,  # (places,)
        strengths: Array,  # (groups,)
        limits: Array,  # (groups,): what ‖s_g‖ − κ_g may be
    ) -> None:
        self.gram, self.labels, self.strengths, self.limits = gram, labels, strengths, limits
        self.firsts = np.searchsorted(labels, np.arange(len(strengths)))
        self.is_free = strengths == 0
        hold = FREE * np.bincount(labels, np.diag(gram), len(strengths))
        self.costs = np.where(self.is_free, np.where(hold > 0, hold, 1.0), strengths)
        self.pull = pull + np.where(self.is_free[labels], self.costs[labels] * start, 0.0)

    def solve(self, sizes: Array) -> Array:
        state = self._evaluate(np.where(self.is_free, 1.0, sizes))
        for _ in range(STEPS):
            if state.excess <= 1.0:
                break
            change, step = self._newton_step(state), 1.0
            for _ in range(HALVINGS):
                trial = self._evaluate(np.maximum(state.sizes + step * change, 0.0))
                if trial.value < state.value or trial.excess < state.excess:
                    break
                step /= 2.0
            else:  # no digit is left to gain
                break
            state = trial
        return state.weights

    def _evaluate(self, sizes: Array) -> State:
        labels, count = self.labels, len(sizes)
        ratios = np.sqrt(sizes / self.costs)[labels]
        present = np.flatnonzero(ratios)
        roots = ratios[present]
        matrix = self.gram[np.ix_(present, present)]
        matrix *= roots
        matrix *= roots[:, None]
        matrix[np.diag_indices(len(present))] += 1.0
        factor = matrix.T  # the same, in LAPACK's order
        weights = np.zeros(len(labels))
        if len(present):
            factor, _ = cho_factor(factor, lower=True, overwrite_a=True, check_finite=False)
            right = roots * self.pull[present]
            weights[present] = roots * cho_solve((factor, True), right, check_finite=False)
        pull = self.pull - self.gram @ weights
        norms = np.sqrt(np.bincount(labels, pull**2, count))
        beyond = norms - self.strengths
        wrong = np.where(sizes > 0, np.abs(beyond), beyond)[~self.is_free]
        excess = float((wrong / self.limits[~self.is_free]).max(initial=0.0))
        value = 0.5 * float(self.strengths @ sizes - self.pull @ weights)
        return State(sizes, value, excess, weights, pull, present, roots, factor, norms)

    def _newton_step(self, state: State) -> Array:
        """The change of the sizes to the solution of κ/‖s‖ = 1, linearized, over sizes ≥ 0."""
        is_moving = ~self.is_free & ((state.sizes > 0) | (state.norms > self.strengths))
        moving = np.flatnonzero(is_moving)
        norms, strengths = state.norms[moving], self.strengths[moving]
        directions = state.pull / np.where(state.norms, state.norms, 1.0)[self.labels]
        mixed = np.add.reduceat(self.gram * directions, self.firsts, axis=1)[:, moving]
        matrix = np.add.reduceat(mixed * directions[:, None], self.firsts, axis=0)[moving]
        if len(state.present):
            right = state.roots[:, None] * mixed[state.present]
            solved = solve_triangular(state.factor, right, lower=True, check_finite=False)
            matrix -= solved.T @ solved
        matrix[np.diag_indices(len(moving))] += DAMPING * float(np.mean(np.diag(matrix)))
        scale = norms / strengths
        scaled = state.sizes[moving] * scale
        aim = matrix @ scaled + (norms - strengths) * scale
        found = solve_round(matrix, aim, scaled, np.ones(len(moving)), 0.0, 0.0)
        change = np.zeros(len(state.sizes))
        change[moving] = found / scale - state.sizes[moving]
        return change
