"""Least squares with a·Σ|w| + b·Σw²: scikit-learn's coordinate descent, or linear equations."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, lsqr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Design

SWEEPS = 10_000
GAP = 1e-12  # the duality gap at which coordinate descent ends, as a share of ‖y‖²


def least_squares(
    design: Design, target: Array, start: Array, absolute: float, square: float
) -> Array:
    """argmin over (w, b) of ½·Σ shares·(x·w + b − target)² + absolute·Σ|w| + square·Σw².

    Parameters
    ----------
    design : Design
        Centered.
    target : array (samples,)
    start : array (inputs + 1,)
        Where coordinate descent begins: w, then b.

    Returns
    -------
    array (inputs + 1,)
    """
    mean = float(design.shares @ target)
    if absolute:
        weights = _coordinate_descent(design, target - mean, start[:-1], absolute, square)
    elif sparse.issparse(design.matrix):
        weights = _iterate_on_sparse(design, target - mean, square)
    else:
        weights = _solve_equations(design, target - mean, square)
    return np.append(weights, mean) + 0.0  # inputs are centered; −0.0 + 0.0 = 0.0


def _coordinate_descent(
    design: Design, target: Array, start: Array, absolute: float, square: float
) -> Array:
    alpha = absolute + 2.0 * square
    model = ElasticNet(
        alpha,
        l1_ratio=absolute / alpha,
        precompute=design.n_samples > design.n_inputs and not sparse.issparse(design.matrix),
        max_iter=SWEEPS,
        tol=GAP,
        warm_start=True,
    )
    model.coef_ = np.ascontiguousarray(start)
    with warnings.catch_warnings():  # the caller checks how near the minimum is
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(design.matrix, target, sample_weight=design.shares * design.n_samples)
    return np.asarray(model.coef_, dtype=np.float64)


def _solve_equations(design: Design, target: Array, square: float) -> Array:
    """The ridge of the smaller side: ``(AᵀA + c)⁻¹Aᵀt = Aᵀ(AAᵀ + c)⁻¹t`` with c = 2·square."""
    root = np.sqrt(design.shares)
    rows, right = root[:, None] * design.matrix, root * target
    samples, inputs = rows.shape
    if samples >= inputs and square:  # stacked rows keep the digits that AᵀA would lose
        rows = np.vstack([rows, np.sqrt(2.0 * square) * np.eye(inputs)])
        right = np.append(right, np.zeros(inputs))
    if samples >= inputs or not square:  # the shortest solution, where there are many
        solution: Array = np.linalg.lstsq(rows, right, rcond=None)[0]
        return solution
    gram = rows @ rows.T
    gram[np.diag_indices(samples)] += 2.0 * square
    dual: Array = rows.T @ np.linalg.solve(gram, right)
    return dual


def _iterate_on_sparse(design: Design, target: Array, square: float) -> Array:
    root = np.sqrt(design.shares)

    def multiply(weights: Array) -> Array:
        return root * design.scores(np.append(weights, 0.0)[:, None])[:, 0]

    def transpose(residuals: Array) -> Array:
        return design.pull_back((root * residuals.ravel())[:, None])[:-1, 0]

    shape = (design.n_samples, design.n_inputs)
    operator = LinearOperator(shape, matvec=multiply, rmatvec=transpose, dtype=np.float64)
    damp = (2.0 * square) ** 0.5
    limit = 20 * min(shape)
    solution = lsqr(operator, root * target, damp=damp, atol=1e-14, btol=1e-14, iter_lim=limit)[0]
    return np.asarray(solution)
