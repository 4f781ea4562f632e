"""Slow, obvious twins of the penalties, written from their formulas in NumPy's float64.

A separable penalty is one function here, which returns its value at a number and the derivative
there. `best_entry` finds its prox by looking.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields
from itertools import product
from typing import Any

import numpy as np

from shrinkage import (
    L0,
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupL0,
    GroupLasso,
    Huber,
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
from shrinkage.penalties.layout import Layout

Group = tuple[float, list[tuple[int, ...]]]  # κ_g = lam·√p_g, and the members of the group
ROUNDING = 1e-12  # by which a point on the border of a constraint may miss it


SEPARABLE: dict[type, Callable[..., tuple[float, float]]] = {}


def twin_of(kind: type) -> Callable[[Any], Any]:
    """Enter the twin of a separable penalty: what one entry x adds to Ω, and its derivative."""
    return lambda twin: SEPARABLE.setdefault(kind, twin)


@twin_of(L1)
def l1(x: float, lam: float) -> tuple[float, float]:
    return lam * abs(x), lam * np.sign(x)


@twin_of(L2)
def l2(x: float, lam: float) -> tuple[float, float]:
    return lam * x**2, 2 * lam * x


@twin_of(ElasticNet)
def elastic_net(x: float, lam: float, ratio: float) -> tuple[float, float]:
    value = lam * (ratio * abs(x) + (1 - ratio) / 2 * x**2)
    return value, lam * (ratio * np.sign(x) + (1 - ratio) * x)


@twin_of(Huber)
def huber(x: float, lam: float, delta: float) -> tuple[float, float]:
    if abs(x) <= delta:
        return lam * x**2 / (2 * delta), lam * x / delta
    return lam * (abs(x) - delta / 2), lam * np.sign(x)


@twin_of(Lp)
def lp(x: float, lam: float, p: float) -> tuple[float, float]:
    return lam * abs(x) ** p, lam * p * abs(x) ** (p - 1) * np.sign(x) if x else 0.0


@twin_of(L0)
def l0(x: float, lam: float) -> tuple[float, float]:
    return lam * (x != 0), 0.0


@twin_of(MCP)
def mcp(x: float, lam: float, gamma: float) -> tuple[float, float]:
    if abs(x) <= gamma * lam:
        return lam * abs(x) - x**2 / (2 * gamma), np.sign(x) * (lam - abs(x) / gamma)
    return gamma * lam**2 / 2, 0.0


@twin_of(SCAD)
def scad(x: float, lam: float, a: float) -> tuple[float, float]:
    size, sign = abs(x), np.sign(x)
    if size <= lam:
        return lam * size, lam * sign
    if size <= a * lam:
        value = (2 * a * lam * size - x**2 - lam**2) / (2 * (a - 1))
        return value, sign * (a * lam - size) / (a - 1)
    return lam**2 * (a + 1) / 2, 0.0


@twin_of(CappedL1)
def capped_l1(x: float, lam: float, theta: float) -> tuple[float, float]:
    return (lam * abs(x), lam * np.sign(x)) if abs(x) < theta else (lam * theta, 0.0)


@twin_of(LogSum)
def log_sum(x: float, lam: float, eps: float) -> tuple[float, float]:
    return lam * float(np.log(1 + abs(x) / eps)), lam * np.sign(x) / (eps + abs(x))


@twin_of(Box)
def box(x: float, low: float, high: float) -> tuple[float, float]:
    return (0.0 if low - ROUNDING <= x <= high + ROUNDING else np.inf), 0.0


@twin_of(NonNegative)
def non_negative(x: float) -> tuple[float, float]:
    return (0.0 if x >= 0 else np.inf), 0.0


def twin(penalty: Penalty) -> Callable[[float], tuple[float, float]]:
    """What an entry x adds to Ω, and the derivative of that, 0 at 0, as a function of x."""
    arguments = [getattr(penalty, field.name) for field in fields(penalty)]
    formula = SEPARABLE[type(penalty)]
    return lambda x: formula(x, *arguments)


def value(penalty: Penalty, w: np.ndarray) -> float:  # noqa: C901 - a case for each penalty
    """Ω(w)."""
    match penalty:
        case Sum(terms):
            return sum(value(term, w) for term in terms)
        case Toward(reference, inner):
            return value(inner, w - reference)
        case Weighted(weights, inner):
            twins = [twin(one) for one in (inner.terms if isinstance(inner, Sum) else (inner,))]
            return sum(
                a * sum(one(x)[0] for one in twins)
                for a, x in zip(weights.flat, w.flat, strict=True)
            )
        case GroupLasso():
            return sum(kappa * norm(w, members) for kappa, members in parts(penalty, w.shape)[2])
        case GroupL0(lam, groups, weight):
            every = members_of_groups(groups, w.shape)
            alive = [g for g in every if any(w[index] != 0 for index in g)]
            return lam * sum(len(g) if weight == "size" else 1 for g in alive)
        case SparseGroupLasso(lam, ratio, groups, weight):
            between = value(GroupLasso(lam, groups, weight), w)
            return lam * ratio * float(np.abs(w).sum()) + (1 - ratio) * between
        case LInf(lam, groups):
            every = members_of_groups(groups, w.shape)
            return lam * sum(max(abs(w[index]) for index in members) for members in every)
        case NuclearNorm(lam):
            return lam * float(np.linalg.norm(w.reshape(len(w), -1), "nuc"))
        case Orthogonality(lam):
            excess = gram(w) - np.eye(len(gram(w)))
            return lam / 4 * float((excess**2).sum())
        case MaxNorm(radius, groups):
            every = members_of_groups(groups, w.shape)
            return allowed(max(norm(w, members) for members in every) - radius)
        case NofM(n, m):
            alive = (w.reshape(-1, m) != 0).sum(axis=1)
            return 0.0 if alive.max() <= n else np.inf
        case L2Ball(radius):
            return allowed(float(np.sqrt((w**2).sum())) - radius)
        case L1Ball(radius):
            return allowed(float(np.abs(w).sum()) - radius)
        case Simplex(total):
            return allowed(max(abs(float(w.sum()) - total), -float(w.min())))
    of_entry = twin(penalty)
    return sum(of_entry(x)[0] for x in w.flat)


def gram(w: np.ndarray) -> np.ndarray:
    """The smaller of WᵀW and WWᵀ."""
    matrix = w.reshape(len(w), -1)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return tall.T @ tall


def allowed(excess: float) -> float:
    return 0.0 if excess <= ROUNDING * 10 else np.inf


def gradient(penalty: Penalty, w: np.ndarray) -> np.ndarray:  # noqa: C901 - as above
    """∂Ω(w), the subgradient 0 at a kink."""
    match penalty:
        case Sum(terms):
            return sum((gradient(term, w) for term in terms), np.zeros_like(w))
        case Toward(reference, inner):
            return gradient(inner, w - reference)
        case Weighted(weights, inner):
            return weights * gradient(inner, w)
        case GroupLasso():
            result = np.zeros_like(w)
            for kappa, members in parts(penalty, w.shape)[2]:
                for index in members:
                    result[index] += kappa * w[index] / (norm(w, members) or 1.0)
            return result
        case GroupL0():
            return np.zeros_like(w)
        case SparseGroupLasso(lam, ratio, groups, weight):
            between = gradient(GroupLasso(lam, groups, weight), w)
            return lam * ratio * np.sign(w) + (1 - ratio) * between
        case LInf(lam, groups):
            result = np.zeros_like(w)
            for members in members_of_groups(groups, w.shape):
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
            slopes = lam * tall @ (tall.T @ tall - np.eye(tall.shape[1]))
            return (slopes if tall is matrix else slopes.T).reshape(w.shape)
    of_entry = twin(penalty)
    slopes = [of_entry(float(x))[1] for x in w.flat]
    return np.array(slopes, dtype=float).reshape(w.shape)


def objective(penalty: Penalty, u: np.ndarray, w: np.ndarray, step: Any) -> float:
    """What the prox minimizes over u, with steps > 0."""
    return float(np.sum((u - w) ** 2 / step) / 2) + value(penalty, u)


def best_entry(penalty: Penalty, z: float, step: float) -> float:
    """The least objective of one entry, found by looking everywhere and then closer."""
    twins = [twin(one) for one in (penalty.terms if isinstance(penalty, Sum) else (penalty,))]

    def cost(u: float) -> float:
        return (u - z) ** 2 / (2 * step) + sum(one(u)[0] for one in twins)

    points = np.append(np.linspace(min(z, 0.0) - 0.5, max(z, 0.0) + 0.5, 401), [0.0, z])
    points.sort()
    points = points.tolist()
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


def prox(penalty: Penalty, z: np.ndarray, step: Any) -> np.ndarray:
    """argmin over u of ½Σ(uᵢ − zᵢ)²/sᵢ + a·Σ|uᵢ| + b·Σuᵢ² + Σ_g κ_g·‖u_g‖, groups apart.

    Where ‖u_g‖ = θ, the minimum in each entry is S(zᵢ, a·sᵢ)/(1 + 2b·sᵢ + κ·sᵢ/θ), and θ is found
    by bisection: the norm of that vector over θ falls as θ grows, and is 1 at the minimum.
    """
    absolute, square, groups = parts(penalty, z.shape)
    step = np.broadcast_to(step, z.shape)
    soft = np.sign(z) * np.maximum(np.abs(z) - absolute * step, 0)
    u = soft / (1 + 2 * square * step)
    for kappa, members in groups:
        shrunk = np.array([soft[index] for index in members])
        steps = np.array([step[index] for index in members])
        theta = root_of_norm(shrunk, 1 + 2 * square * steps, kappa * steps)
        for index, x, s in zip(members, shrunk, steps, strict=True):
            divisor = theta * (1 + 2 * square * s) + kappa * s
            u[index] = theta * x / divisor if theta > 0 else 0.0
    return u


def root_of_norm(z: np.ndarray, curvature: np.ndarray, cost: np.ndarray) -> float:
    """The θ at which Σ (zᵢ/(θ·curvatureᵢ + costᵢ))² = 1, or 0 if there is none."""

    def excess(theta: float) -> float:
        return (
            sum((x / (theta * c + k)) ** 2 for x, c, k in zip(z, curvature, cost, strict=True)) - 1
        )

    low, high = 1e-100, float(np.abs(z).sum()) + 1.0
    if excess(low) <= 0:
        return 0.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return low


def parts(penalty: Penalty, shape: tuple[int, ...]) -> tuple[float, float, list[Group]]:
    """Ω as a·Σ|w| + b·Σw² + Σ_g κ_g·‖w_g‖: a, b and the groups."""
    match penalty:
        case L1(lam):
            return lam, 0.0, []
        case L2(lam):
            return 0.0, lam, []
        case ElasticNet(lam, l1_ratio):
            return lam * l1_ratio, lam * (1 - l1_ratio) / 2, []
        case GroupLasso(lam, groups, weight):
            found = members_of_groups(groups, shape) if lam else []
            return 0.0, 0.0, [(lam * (len(g) ** 0.5 if weight == "sqrt" else 1), g) for g in found]
        case Sum(terms):
            each = [parts(term, shape) for term in terms]
            groups = [group for part in each for group in part[2]]
            return sum(part[0] for part in each), sum(part[1] for part in each), groups
    raise TypeError(penalty)


def members_of_groups(groups: Any, shape: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """The indices of the entries of each group."""
    found: dict[Hashable, list[tuple[int, ...]]] = {}
    for flat, index in enumerate(product(*map(range, shape))):
        key = name_of_group(groups, shape, index, flat)
        if key is not None:
            found.setdefault(key, []).append(index)
    return list(found.values())


def name_of_group(groups: Any, shape: Any, index: tuple[int, ...], flat: int) -> Hashable:
    """What the entries of one group share; None for an entry of no group."""
    match groups:
        case Layout(view, axes):
            place = np.unravel_index(flat, view or shape)
            return tuple(int(place[axis]) for axis in axes) if axes else 0
        case str() if len(index) < 2:
            return index
        case "out":
            return index[0]
        case "in":
            return index[1]
        case str() if "heads:" in groups:
            axis = 1 if groups.startswith("in:") else 0
            parts, _, size = groups.rpartition("heads:")[2].rpartition("x")
            return index[axis] % (shape[axis] // int(parts or 1)) // int(size)
        case str():
            rows, columns = map(int, groups.split("x"))
            return index[0] // rows, index[1] // columns
        case int():
            return index[groups]
        case (int(), *_):
            return tuple(index[axis] for axis in groups)
    holders = [number for number, indices in enumerate(groups) if flat in indices]
    return holders[0] if holders else None


def norm(w: np.ndarray, members: list[tuple[int, ...]]) -> float:
    """‖w_g‖."""
    return float(np.sqrt(sum(w[index] ** 2 for index in members)))
