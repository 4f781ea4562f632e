"""Slow, obvious twins of the penalties, written from their formulas in NumPy's float64."""

from collections.abc import Hashable
from itertools import product
from typing import Any

import numpy as np

from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty, Sum
from shrinkage.penalties.layout import Layout

Group = tuple[float, list[tuple[int, ...]]]  # κ_g = lam·√p_g, and the members of the group


def value(penalty: Penalty, w: np.ndarray) -> float:
    """Ω(w)."""
    absolute, square, groups = parts(penalty, w.shape)
    total = sum(absolute * abs(x) + square * x**2 for x in w.flat)
    return float(total + sum(kappa * norm(w, members) for kappa, members in groups))


def gradient(penalty: Penalty, w: np.ndarray) -> np.ndarray:
    """∂Ω(w), the subgradient 0 at a kink."""
    absolute, square, groups = parts(penalty, w.shape)
    result = absolute * np.sign(w) + 2 * square * w
    for kappa, members in groups:
        for index in members:
            if w[index] != 0:
                result[index] += kappa * w[index] / norm(w, members)
    return result


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


def objective(penalty: Penalty, u: np.ndarray, w: np.ndarray, step: Any) -> float:
    """What the prox minimizes over u, with steps > 0."""
    return float(np.sum((u - w) ** 2 / step) / 2) + value(penalty, u)


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
