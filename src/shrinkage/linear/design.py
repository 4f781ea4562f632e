"""The inputs of a linear model, centered where the intercept is free, and their inner products."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from shrinkage.linear.losses import Array

CONSTANT = 1e-12  # a column whose deviation is below this share of its size is a constant
MOST_KEPT = 2000  # inputs whose inner products are kept
DENSE_SIZE = 400  # of a Gram matrix whose eigenvalues are computed in full


class Design:
    """The inputs (samples, inputs), dense or sparse, with the samples' shares.

    Raises
    ------
    ValueError
        If they or their squares are not finite.
    """

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is refused
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
        if not np.isfinite(variances).all():
            is_finite = np.isfinite(X.data if is_sparse else X).all()
            reason = (
                "whose squares are too large; standardize them"
                if is_finite
                else "that are NaN or inf"
            )
            raise ValueError(f"X has values {reason}")
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


class InnerProducts:
    """The inner products of inputs over the samples' shares: those asked for are kept."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._forget()

    def _forget(self) -> None:
        self._where = np.full(self._design.n_inputs, -1)  # of each input among those known
        self._rows = np.zeros((self._design.n_samples, 0))
        self._gram = np.zeros((0, 0))

    def of(self, places: Array) -> Array:
        """The products of some inputs: (places, places)."""
        new = np.unique(places[self._where[places] < 0])
        if len(new) + len(self._gram) > MOST_KEPT and len(self._gram):
            self._forget()
            return self.of(places)
        if len(new):
            self._where[new] = len(self._gram) + np.arange(len(new))
            rows = np.sqrt(self._design.shares)[:, None] * self._design.columns(new)
            mixed = self._rows.T @ rows
            self._gram = np.block([[self._gram, mixed], [mixed.T, rows.T @ rows]])
            self._rows = np.hstack([self._rows, rows])
        found = self._where[places]
        products: Array = self._gram[np.ix_(found, found)]
        return products
