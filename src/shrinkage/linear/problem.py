"""A convex problem of a linear model: data, loss and penalties, in coordinates fit for solvers.

With shares w_i of the samples (weights that sum to 1), weights W (inputs, outputs) and intercepts
b the objective is ``Σ w_i·loss(x_i·W + b, y_i) + Ω(Wᵀ) + Ω_b(b)``. Ω sees the transpose, as torch
lays weights out, so that groups of "in" and "out" mean what they mean there.

Where b is free, the inputs are centered: that changes b alone, and makes it independent of W.
"""

from __future__ import annotations

import math
from dataclasses import astuple
from functools import cached_property

import numpy as np
from scipy import sparse

from shrinkage.linear.design import Design, InnerProducts
from shrinkage.linear.groups import GroupNorms
from shrinkage.linear.losses import LEAST_SHARE, LOSSES, Array, Loss
from shrinkage.linear.working_set import AbsoluteValues, Rule
from shrinkage.penalties import L2, GroupLasso, Penalty
from shrinkage.penalties.base import Split

EVERY = slice(None)


class Problem:
    """The objective over parameters Z (inputs + 1, outputs): the rows of W, and last b.

    A step of a solver is ``1/(L·d)`` for each row, d the column's variance and L the largest
    curvature in these units, so that columns of any scale converge alike.
    """

    def __init__(
        self,
        design: Design,
        targets: Array,  # (samples, outputs)
        loss: str,
        penalty: Penalty | None,
        intercept_penalty: Penalty | None = None,
    ) -> None:
        self.design, self.targets = design, np.asfortranarray(targets)
        self.loss: Loss = LOSSES[loss]
        self.is_squared = loss == "squared_error"
        self.is_separable = loss != "log_loss"  # a sum over the outputs
        self.penalty = L2(0.0) if penalty is None else penalty
        self.intercept_penalty = intercept_penalty
        self._gram: tuple[Array, Array] | None = None
        self._latest: tuple[Array, float, Array] | None = None  # parameters and their derivative
        if self.is_squared and design.n_inputs < design.n_samples and not self._is_sparse:
            root = np.sqrt(design.shares)[:, None]
            rows = root * np.column_stack([design.matrix, np.ones(design.n_samples)])
            self._gram = (rows.T @ rows, rows.T @ (root * targets))

    def split(self) -> Split:
        """The penalty taken apart for its weights: groups of one weight are absolute values."""
        absolute, square, rest = self.penalty.split()
        rest = tuple(penalty for penalty in rest if not penalty.is_zero)
        if len(rest) == 1:
            shape = self.targets.shape[1], self.design.n_inputs
            grouped = rest[0]._as_group_norms(shape)
            if grouped is not None:
                (view, axes), strength = astuple(grouped[0]), grouped[1]
                if math.prod(view[axis] for axis in axes) == math.prod(shape):
                    return Split(absolute + strength, square, ())
        return Split(absolute, square, rest)

    @property
    def blocks(self) -> list[slice]:
        """The outputs, in slices that neither the loss nor the penalty couples with each other."""
        count = self.targets.shape[1]
        if self.is_separable and not self.split().rest:
            return [slice(output, output + 1) for output in range(count)]
        return [slice(0, count)]

    @property
    def is_smooth(self) -> bool:
        """Whether the penalty is squares alone."""
        absolute, _, rest = self.split()
        return not absolute and not rest

    @property
    def has_rule(self) -> bool:
        """Whether `rule` knows the penalty."""
        absolute, _, rest = self.split()
        if self.intercept_penalty is not None or len(rest) > 1:
            return False
        return not rest or (absolute == 0 and isinstance(rest[0], GroupLasso))

    def rule(self, outputs: slice, tol: float) -> Rule:
        """How rounds find the minimum, for the outputs of a block; iterations stop at `tol`."""
        absolute, square, rest = self.split()
        deviations = np.repeat(self.design.deviations, self.targets[:, outputs].shape[1])
        if not rest:
            return AbsoluteValues(absolute, square, deviations)
        assert isinstance(rest[0], GroupLasso)
        labels, strengths = rest[0].number_groups((self.targets.shape[1], self.design.n_inputs))
        return GroupNorms(labels.T.ravel(), strengths, square, deviations, tol)

    @property
    def _is_sparse(self) -> bool:
        return bool(sparse.issparse(self.design.matrix))

    @cached_property
    def metric(self) -> Array:
        """d: the variance of each column, and 1 for the intercept; (inputs + 1, 1)."""
        variances = self.design.variances
        if not self.penalty.traits.takes_metric:
            variances = np.full_like(variances, variances.max())
        return np.append(variances, 1.0)[:, None]

    @cached_property
    def steps(self) -> Array:
        """1/(L·d) for each row: (inputs + 1, 1)."""
        largest = self.loss.curvature * self.design.largest_curvature
        return 1.0 / (max(largest, 1e-300) * self.metric)

    @cached_property
    def null(self) -> Array:
        """The best parameters whose weights are all 0, where the intercept is free."""
        parameters = np.zeros((self.design.n_inputs + 1, self.targets.shape[1]))
        parameters[-1] = self.loss.best_constant(self.design.shares @ self.targets)
        return parameters

    @cached_property
    def size(self) -> float:
        """The largest derivative by a weight at `null`, in standardized units."""
        pull = np.abs(self.gradient(self.null)[:-1]) / np.sqrt(self.metric[:-1])
        return float(pull.max(initial=0.0))

    @cached_property
    def rounding(self) -> float:
        """What a derivative may differ from 0 by rounding, or by `LEAST_SHARE`."""
        if not self.is_squared:
            return 10.0 * LEAST_SHARE
        spread = np.abs(self.targets - self.null[-1]).max()
        return float(1e-11 * spread + 1e-14 * np.abs(self.targets).max())

    def value(self, parameters: Array) -> float:
        """The objective."""
        total = self.data_loss(parameters) + float(self.penalty._value(np, parameters[:-1].T))
        if self.intercept_penalty is not None:
            total += float(self.intercept_penalty.value(parameters[-1]))
        return total

    def data_loss(self, parameters: Array) -> float:
        """The mean loss over the samples' shares."""
        if self._gram is None:
            return self._evaluate(parameters, EVERY)[0]
        losses, _ = self.loss.evaluate(self.design.scores(parameters), self.targets)
        return float(self.design.shares @ losses)

    def gradient(self, parameters: Array, outputs: slice = EVERY) -> Array:
        """The derivative of the data loss: (inputs + 1, outputs), for all or some outputs."""
        if self._gram is not None:
            gradient: Array = self._gram[0] @ parameters - self._gram[1][:, outputs]
            return gradient
        return self._evaluate(parameters, outputs)[1]

    def _evaluate(self, parameters: Array, outputs: slice) -> tuple[float, Array]:
        """The data loss and its derivative; where a solver ends, both are asked for again."""
        targets = self.targets[:, outputs]
        if self._latest is not None:
            place, loss, gradient = self._latest
            if targets.shape[1] == self.targets.shape[1] and np.array_equal(place, parameters):
                return loss, gradient
        losses, residuals = self.loss.evaluate(self.design.scores(parameters), targets)
        loss = float(self.design.shares @ losses)
        gradient = self.design.pull_back(self.design.shares[:, None] * residuals)
        if targets.shape[1] == self.targets.shape[1]:
            self._latest = parameters.copy(), loss, gradient
        return loss, gradient

    def gram_of(self, places: Array) -> Array:
        """The inner products of some inputs over the samples' shares: (places, places)."""
        if self._gram is not None:
            gram: Array = self._gram[0][np.ix_(places, places)]
            return gram
        return self._products.of(places)

    @cached_property
    def _products(self) -> InnerProducts:
        return InnerProducts(self.design)

    def loss_and_gradient(
        self, parameters: Array, scores: Array | None = None
    ) -> tuple[float, Array]:
        """The data loss and its derivative; `scores` are those of the parameters, where known."""
        if scores is None:
            scores = self.design.scores(parameters)
        losses, residuals = self.loss.evaluate(scores, self.targets)
        gradient = self.design.pull_back(self.design.shares[:, None] * residuals)
        return float(self.design.shares @ losses), gradient

    def proximal_step(
        self, parameters: Array, gradient: Array | None = None, stretch: float = 1.0
    ) -> Array:
        """One step of proximal gradient descent, `stretch` times as long as is always safe."""
        if gradient is None:
            gradient = self.gradient(parameters)
        moved: Array = parameters - stretch * self.steps * gradient
        # Without the checks of `prox`: this is the inner loop, and the steps are known to be good.
        steps = stretch * self._weight_steps
        moved[:-1] = self.penalty._prox(np, moved[:-1].T, steps).T
        if self.intercept_penalty is not None:
            step = stretch * float(self.steps[-1, 0])
            moved[-1] = self.intercept_penalty._prox(np, moved[-1], step)
        return moved

    @cached_property
    def _weight_steps(self) -> Array | float:
        """The steps of the weights for a prox: a number, or an array (outputs, inputs)."""
        steps = self.steps[:-1].T
        if not self.penalty.traits.takes_metric:
            return float(steps[0, 0])
        return np.repeat(steps, self.targets.shape[1], axis=0)

    @cached_property
    def _units(self) -> Array:
        return 1.0 / (self.steps * np.sqrt(self.metric))

    def distance(self, parameters: Array) -> float:
        """How far from a minimum the parameters are: a derivative in standardized units.

        Where rounds solve the problem, it is the largest derivative of the objective, of a group
        the norm; of others, how large a proximal step is, which is at most as much.
        """
        if not self.has_rule:
            return self.step_size(parameters - self.proximal_step(parameters))
        gradient = self.gradient(parameters)
        rule = self.rule(slice(0, self.targets.shape[1]), 0.0)
        worst, _ = rule.choose(parameters[:-1].ravel(), gradient[:-1].ravel())
        return max(worst, float(np.abs(gradient[-1]).max()))

    def step_size(self, move: Array) -> float:
        """How large a proximal step is, as a derivative in standardized units."""
        return float(np.max(np.abs(move * self._units)))
