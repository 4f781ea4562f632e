"""Least squares with a·Σ|w| + b·Σw², or with norms of groups: rounds over few inputs, or linear
equations.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, lsqr

from shrinkage.linear.design import Design
from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Problem

MOST = 5000  # weights of a round


def solve_in_rounds(problem: Problem, start: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Parameters (inputs + 1, outputs) whose derivatives differ from those of a minimum of squared
    errors by at most `tol`, or the last ones, and the rounds taken.
    """
    parameters, rounds = start.copy(), 0
    for outputs in problem.blocks:
        block, rule = parameters[:, outputs], problem.rule(outputs, tol)  # a view
        for _ in range(max_iter):
            rounds += 1
            gradient = problem.gradient(block, outputs)
            worst, places = rule.choose(block[:-1].ravel(), gradient[:-1].ravel())
            if max(worst, float(np.abs(gradient[-1]).max())) <= tol:
                break
            if len(places) > MOST:
                break  # the descent that follows takes less memory
            place, output = np.divmod(places, block.shape[1])
            gram, before = problem.gram_of(place), block[place, output]
            if block.shape[1] > 1:
                gram = np.where(output[:, None] == output, gram, 0.0)
            pull = gram @ before - gradient[place, output]
            found = rule.solve(gram, pull, before, places)
            block[place, output] = found
            block[-1] -= gradient[-1]  # inputs are centered: the intercept is by itself
            if np.array_equal(found, before):  # no digit is left to gain
                break
    return parameters, rounds


def ridge(design: Design, target: Array, square: float) -> Array:
    """argmin over (w, b) of ½·Σ shares·(x·w + b − target)² + square·Σw².

    Parameters
    ----------
    design : Design
        Centered.
    target : array (samples,)

    Returns
    -------
    array (inputs + 1,)
    """
    mean = float(design.shares @ target)
    solve = _iterate_on_sparse if sparse.issparse(design.matrix) else _solve_equations
    return np.append(solve(design, target - mean, square), mean)


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
