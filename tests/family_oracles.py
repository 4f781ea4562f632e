"""Slow, obvious twins of the rest of the family: value, slope, and the best point by looking."""

from __future__ import annotations

from typing import Any

import numpy as np

import oracles
from shrinkage import (
    L0,
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupLasso,
    L1Ball,
    L2Ball,
    LInf,
    LogSum,
    Lp,
    MaxNorm,
    NofM,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Penalty,
    Simplex,
    SparseGroupLasso,
    Sum,
    Toward,
    Weighted,
)

ROUNDING = 1e-12  # by which a point on the border of a constraint may miss it


def entry(penalty: Penalty, x: float) -> float:  # noqa: C901 - a case for each penalty
    """What one entry adds to Ω."""
    size = abs(x)
    match penalty:
        case L1(lam):
            return lam * size
        case L2(lam):
            return lam * x**2
        case ElasticNet(lam, ratio):
            return lam * (ratio * size + (1 - ratio) / 2 * x**2)
        case Lp(lam, p):
            return lam * size**p
        case L0(lam):
            return lam * (x != 0)
        case MCP(lam, gamma):
            at_most = min(size, gamma * lam)
            return lam * at_most - at_most**2 / (2 * gamma)
        case SCAD(lam, a):
            if size <= lam:
                return lam * size
            if size <= a * lam:
                return (2 * a * lam * size - x**2 - lam**2) / (2 * (a - 1))
            return lam**2 * (a + 1) / 2
        case CappedL1(lam, theta):
            return lam * min(size, theta)
        case LogSum(lam, eps):
            return lam * float(np.log(1 + size / eps))
        case Box(low, high):
            return 0.0 if low - ROUNDING <= x <= high + ROUNDING else np.inf
        case NonNegative():
            return 0.0 if x >= 0 else np.inf
    raise TypeError(penalty)


def slope(penalty: Penalty, x: float) -> float:
    """The derivative of `entry`, 0 at 0."""
    size, sign = abs(x), np.sign(x)
    match penalty:
        case Lp(lam, p):
            return lam * p * size ** (p - 1) * sign if x else 0.0
        case MCP(lam, gamma):
            return sign * max(lam - size / gamma, 0)
        case SCAD(lam, a):
            return sign * (lam if size <= lam else max(a * lam - size, 0) / (a - 1))
        case CappedL1(lam, theta):
            return sign * lam * (size < theta)
        case LogSum(lam, eps):
            return sign * lam / (eps + size)
        case L0():
            return 0.0
    return float(oracles.gradient(penalty, np.array([x]))[0])


def value(penalty: Penalty, w: np.ndarray) -> float:  # noqa: C901 - a case for each penalty
    """Ω(w)."""
    match penalty:
        case Sum(terms):
            return sum(value(term, w) for term in terms)
        case Toward(reference, inner):
            return value(inner, w - reference)
        case Weighted(weights, inner):
            inners = inner.terms if isinstance(inner, Sum) else (inner,)
            return sum(
                a * sum(entry(one, x) for one in inners)
                for a, x in zip(weights.flat, w.flat, strict=True)
            )
        case GroupLasso():
            return oracles.value(penalty, w)
        case SparseGroupLasso(lam, ratio, groups, weight):
            between = oracles.value(GroupLasso(lam, groups, weight), w)
            return lam * ratio * float(np.abs(w).sum()) + (1 - ratio) * between
        case LInf(lam, groups):
            found = oracles.members_of_groups(groups, w.shape)
            return lam * sum(max(abs(w[index]) for index in members) for members in found)
        case NuclearNorm(lam):
            return lam * float(np.linalg.norm(w.reshape(len(w), -1), "nuc"))
        case Orthogonality(lam):
            excess = gram(w) - np.eye(len(gram(w)))
            return lam / 4 * float((excess**2).sum())
        case MaxNorm(radius, groups):
            found = oracles.members_of_groups(groups, w.shape)
            return allowed(max(oracles.norm(w, members) for members in found) - radius)
        case NofM(n, m):
            alive = (w.reshape(-1, m) != 0).sum(axis=1)
            return 0.0 if alive.max() <= n else np.inf
        case L2Ball(radius):
            return allowed(float(np.sqrt((w**2).sum())) - radius)
        case L1Ball(radius):
            return allowed(float(np.abs(w).sum()) - radius)
        case Simplex(total):
            return allowed(max(abs(float(w.sum()) - total), -float(w.min())))
    return sum(entry(penalty, x) for x in w.flat)


def gram(w: np.ndarray) -> np.ndarray:
    """The smaller of WᵀW and WWᵀ."""
    matrix = w.reshape(len(w), -1)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return tall.T @ tall


def allowed(excess: float) -> float:
    return 0.0 if excess <= ROUNDING * 10 else np.inf


def gradient(penalty: Penalty, w: np.ndarray) -> np.ndarray:
    """∂Ω(w), the subgradient 0 at a kink."""
    match penalty:
        case Sum(terms):
            return sum((gradient(term, w) for term in terms), np.zeros_like(w))
        case Toward(reference, inner):
            return gradient(inner, w - reference)
        case Weighted(weights, inner):
            return weights * gradient(inner, w)
        case GroupLasso():
            return oracles.gradient(penalty, w)
        case SparseGroupLasso(lam, ratio, groups, weight):
            between = oracles.gradient(GroupLasso(lam, groups, weight), w)
            return lam * ratio * np.sign(w) + (1 - ratio) * between
        case LInf(lam, groups):
            result = np.zeros_like(w)
            for members in oracles.members_of_groups(groups, w.shape):
                top = max(abs(w[index]) for index in members)
                highest = [index for index in members if abs(w[index]) == top > 0]
                for index in highest:
                    result[index] = lam * np.sign(w[index]) / len(highest)
            return result
        case NuclearNorm(lam):  # W·(WᵀW)^(−½), on the space where that is not 0
            matrix = w.reshape(len(w), -1)
            values, vectors = np.linalg.eigh(matrix.T @ matrix)
            kept = values > 1e-20 + 1e-13 * values.max()
            roots = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)
            return (lam * matrix @ (vectors * roots) @ vectors.T).reshape(w.shape)
        case Orthogonality(lam):
            matrix = w.reshape(len(w), -1)
            tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
            found = lam * tall @ (tall.T @ tall - np.eye(tall.shape[1]))
            return (found if tall is matrix else found.T).reshape(w.shape)
    return np.array([slope(penalty, x) for x in w.flat]).reshape(w.shape)


def objective(penalty: Penalty, u: np.ndarray, w: np.ndarray, step: Any) -> float:
    """What the prox minimizes over u, with steps > 0."""
    return float(np.sum((u - w) ** 2 / step) / 2) + value(penalty, u)


def best_entry(penalty: Penalty, z: float, step: float) -> float:
    """The least objective of one entry, found by looking everywhere and then closer."""
    inners = penalty.terms if isinstance(penalty, Sum) else (penalty,)

    def cost(u: float) -> float:
        return (u - z) ** 2 / (2 * step) + sum(entry(one, u) for one in inners)

    points = np.append(np.linspace(min(z, 0.0) - 0.5, max(z, 0.0) + 0.5, 401), [0.0, z])
    points.sort()
    costs = [cost(u) for u in points]
    lowest = np.argsort(costs)[:4]
    best = min(costs)
    for place in lowest:
        low, high = points[max(place - 1, 0)], points[min(place + 1, len(points) - 1)]
        for _ in range(60):
            third = (high - low) / 3
            if cost(low + third) < cost(high - third):
                high -= third
            else:
                low += third
        best = min(best, cost((low + high) / 2))
    return best
