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
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from shrinkage.linear.losses import LEAST_SHARE, LOSSES, Array, Loss
from shrinkage.linear.working_set import find_excess
from shrinkage.penalties import L2, Penalty
from shrinkage.penalties.base import Split

CONSTANT = 1e-12  # a column whose deviation is below this share of its size is a constant
EVERY = slice(None)
DENSE_SIZE = 400  # of a Gram matrix whose eigenvalues are computed in full


class Design:
    """The inputs (samples, inputs), dense or sparse, with the samples' shares."""

    def __init__(self, X: Any, shares: Array, *, centered: bool) -> None:
        self.shares, self.original = shares, X
        self.n_samples, self.n_inputs = X.shape
        is_sparse = sparse.issparse(X)
        self.means = np.asarray(X.T @ shares) if centered else np.zeros(self.n_inputs)
        # A sparse matrix is centered in each product, so that it stays sparse.
        self.matrix = X if is_sparse or not centered else X - self.means
        self._shift = self.means if is_sparse else np.zeros(self.n_inputs)
        squares = self.matrix.power(2) if is_sparse else self.matrix**2
        variances = np.asarray(squares.T @ shares) - self._shift**2
        sizes = np.abs(self.means) + np.sqrt(np.maximum(variances, 0.0))
        is_constant = variances <= (CONSTANT * sizes) ** 2
        if is_sparse:  # the difference of squares has lost its digits there
            is_constant |= variances <= 1e-14 * np.asarray(squares.T @ shares)
        self.variances = np.where(is_constant, 1.0, variances)  # (inputs,)
        self.deviations = np.sqrt(self.variances)

    def reweighted(self, shares: Array) -> Design:
        """The same inputs with other shares of the samples, centered anew."""
        return Design(self.original, shares, centered=True)

    def columns(self, places: Array) -> Array:
        """Some inputs, dense and centered: (samples, places)."""
        chosen = self.matrix[:, places]
        if sparse.issparse(chosen):
            chosen = chosen.toarray() - self._shift[places]
        return np.asarray(chosen)

    def scores(self, parameters: Array) -> Array:
        """X·W + b for `parameters` with the rows of W and a last row b: (samples, outputs).

        Each output's scores lie next to each other, as suits the losses.
        """
        weights = parameters[:-1]
        scores: Array = np.asarray(weights.T @ self.matrix.T)
        scores += (parameters[-1] - self._shift @ weights)[:, None]
        return scores.T

    def pull_back(self, residuals: Array) -> Array:
        """The derivatives by W and b, given those by the scores: (inputs + 1, outputs)."""
        totals = residuals.sum(axis=0)
        weights = self.matrix.T @ residuals - np.outer(self._shift, totals)
        derivatives: Array = np.vstack([weights, totals])
        return derivatives

    @cached_property
    def largest_curvature(self) -> float:
        """The largest eigenvalue of XᵀX over the samples' shares, columns scaled by `metric`."""
        scale = 1.0 / np.sqrt(np.append(self.variances, 1.0))[:, None]
        root = np.sqrt(self.shares)[:, None]

        def multiply(vector: Array) -> Array:
            product: Array = root * self.scores(scale * vector.reshape(-1, 1))
            return product.ravel()

        def transpose(vector: Array) -> Array:
            product: Array = scale * self.pull_back(root * vector.reshape(-1, 1))
            return product.ravel()

        shape = (self.n_samples, self.n_inputs + 1)
        if min(shape) <= DENSE_SIZE:
            matrix = self.matrix.toarray() - self._shift if sparse.issparse(self.matrix) else None
            rows = self.matrix if matrix is None else matrix
            scaled = root * np.column_stack([rows, np.ones(self.n_samples)]) * scale.T
            gram = scaled.T @ scaled if shape[1] <= shape[0] else scaled @ scaled.T
            return float(np.linalg.eigvalsh(gram)[-1])
        operator = LinearOperator(shape, matvec=multiply, rmatvec=transpose, dtype=np.float64)
        start = np.full(min(shape), 1.0 / min(shape) ** 0.5)
        largest = svds(operator, k=1, v0=start, tol=1e-4, return_singular_vectors=False)[0]
        return float(largest) ** 2 * 1.01  # Lanczos comes from below


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
        if self.is_squared and design.n_inputs < design.n_samples and not self._is_sparse:
            weighted = design.shares[:, None] * design.matrix
            rows = np.column_stack([design.matrix, np.ones(design.n_samples)])
            full = np.column_stack([weighted, design.shares])
            self._gram = (rows.T @ full, rows.T @ (design.shares[:, None] * targets))

    def split(self) -> Split:
        """The penalty taken apart for its weights: groups of one weight are absolute values."""
        absolute, square, rest = self.penalty.split()
        if len(rest) == 1:
            shape = self.targets.shape[1], self.design.n_inputs
            grouped = rest[0]._as_group_norms(shape)
            if grouped is not None:
                (view, axes), strength = astuple(grouped[0]), grouped[1]
                if math.prod(view[axis] for axis in axes) == math.prod(shape):
                    return Split(absolute + strength, square, ())
        return Split(absolute, square, rest)

    @property
    def _is_sparse(self) -> bool:
        return bool(sparse.issparse(self.design.matrix))

    @cached_property
    def metric(self) -> Array:
        """d: the variance of each column, and 1 for the intercept; (inputs + 1, 1)."""
        variances = self.design.variances
        if self.penalty.why_no_metric() is not None:
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
        total = self.data_loss(parameters) + float(self.penalty.value(parameters[:-1].T))
        if self.intercept_penalty is not None:
            total += float(self.intercept_penalty.value(parameters[-1]))
        return total

    def data_loss(self, parameters: Array) -> float:
        """The mean loss over the samples' shares."""
        losses, _ = self.loss.evaluate(self.design.scores(parameters), self.targets)
        return float(self.design.shares @ losses)

    def gradient(self, parameters: Array, outputs: slice = EVERY) -> Array:
        """The derivative of the data loss: (inputs + 1, outputs), for all or some outputs."""
        if self._gram is not None:
            gradient: Array = self._gram[0] @ parameters - self._gram[1][:, outputs]
            return gradient
        _, residuals = self.loss.evaluate(self.design.scores(parameters), self.targets[:, outputs])
        pulled: Array = self.design.pull_back(self.design.shares[:, None] * residuals)
        return pulled

    def gram_of(self, places: Array) -> Array:
        """The inner products of some inputs over the samples' shares: (places, places)."""
        if self._gram is not None:
            gram: Array = self._gram[0][np.ix_(places, places)]
            return gram
        rows = np.sqrt(self.design.shares)[:, None] * self.design.columns(places)
        products: Array = rows.T @ rows
        return products

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
        if self.penalty.why_no_metric() is not None:
            return float(steps[0, 0])
        return np.repeat(steps, self.targets.shape[1], axis=0)

    @cached_property
    def _units(self) -> Array:
        return 1.0 / (self.steps * np.sqrt(self.metric))

    def distance(self, parameters: Array) -> float:
        """How far from a minimum the parameters are: a derivative in standardized units.

        Of a·Σ|w| + b·Σw² it is the largest derivative of the objective; of others, how large a
        proximal step is.
        """
        absolute, square, rest = self.split()
        if rest or self.intercept_penalty is not None:
            return self.step_size(parameters - self.proximal_step(parameters))
        weights, gradient = parameters[:-1], self.gradient(parameters)
        excess = find_excess(weights, gradient[:-1] + 2.0 * square * weights, absolute)
        largest = (excess / self.design.deviations[:, None]).max(initial=0.0)
        return max(float(largest), float(np.abs(gradient[-1]).max()))

    def step_size(self, move: Array) -> float:
        """How large a proximal step is, as a derivative in standardized units."""
        return float(np.max(np.abs(move * self._units)))
