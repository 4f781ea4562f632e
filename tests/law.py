"""The law: every penalty, in every way and optimizer, converges to the minimum of its objective.

    python tests/law.py [--quick]

Each row trains on a problem whose minimum is known from elsewhere (`KNOWN` says from where) and
prints how far from it the weights end, and whether their zeros are the minimum's zeros. A penalty
that is not convex may converge to any stationary point: the row has the largest violation of that
condition. The exit code is 1 if any row is out.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq, lsq_linear, minimize, root
from sklearn.linear_model import Lasso

sys.path.insert(0, str(Path(__file__).parent))

import breast_cancer
import oracles
from diabetes import GROUPS, fit, minimum, normal_equations, standardized
from optimizer_cases import INSIDE, STEADY
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
    Toward,
    Weighted,
)
from shrinkage.torch import Joint

START = np.linspace(-0.2, 0.3, 10)
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 0.25, 1.0, 1.0, 0.5, 2.0])
QUICK = ("SGD", "SGD momentum", "Adam", "Adagrad", "shrinkage SGD momentum", "shrinkage Adam")
OURS = ("shrinkage SGD momentum", "shrinkage Adam")
KINKED = 1e-3  # subgradients hop across a kink by a step's length
EXACT = 1e-6

Solver = Callable[[Any], np.ndarray]  # of the penalty
DECAY = 1.0
OPTIMIZERS = {
    **STEADY,
    **INSIDE,
    "SGD halved": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.5}),
    "AdamW decaying": (torch.optim.AdamW, {"lr": 0.02, "weight_decay": DECAY}),
}


@dataclass(frozen=True)
class Known:
    """A penalty and where its objective is least; without a `solver` any stationary point will do.

    The data loss is that of `diabetes`, ½‖y − Xw‖²/n, or of `breast_cancer`, a logistic one.
    """

    penalty: Penalty
    solver: Solver | None
    shape: tuple[int, ...] = (10,)
    smooth: bool = False  # gradients lead to the last digit
    steps: int = 1500
    logistic: bool = False
    joint: bool = False  # the weights are two parameters, whose units are the groups
    only: tuple[tuple[str, str], ...] = ()  # ways and optimizers that this is known for


def known() -> list[Known]:
    """Every penalty with what is known of its minimum."""
    return [*SQUARES, *LOGISTIC, *DECOUPLED]


def of_sparse_groups(penalty: SparseGroupLasso) -> np.ndarray:
    within, between = penalty.l1_ratio * penalty.lam, (1 - penalty.l1_ratio) * penalty.lam
    return minimum(L1(within) + GroupLasso(between, GROUPS))


def root_of_gradient(penalty: Penalty) -> np.ndarray:
    """Where the gradient of a smooth convex objective is 0, by BFGS and then MINPACK."""
    A, b = normal_equations()

    def gradient(w: np.ndarray) -> np.ndarray:
        return A @ w - b + oracles.gradient(penalty, w)

    start = minimize(lambda w: w @ A @ w / 2 - b @ w + oracles.value(penalty, w), np.zeros(10)).x
    found = root(gradient, start, tol=1e-14)
    assert np.abs(gradient(found.x)).max() < 1e-9
    return found.x


PAIRS = tuple((unit, unit + 5) for unit in range(5))
COLUMNS = PAIRS  # of 2 rows
SQUARES = [
    Known(L1(0.1), minimum),  # scikit-learn's Lasso
    Known(L2(0.05), minimum, smooth=True),  # scikit-learn's Ridge
    Known(ElasticNet(0.2), minimum),  # scikit-learn's ElasticNet
    Known(GroupLasso(0.17, GROUPS), minimum),
    Known(GroupLasso(0.12), lambda p: minimum(GroupLasso(p.lam, PAIRS)), joint=True),
    Known(SparseGroupLasso(0.18, 1 / 3, GROUPS), of_sparse_groups),
    Known(LInf(0.3, GROUPS), lambda p: largest_entries(p.lam, GROUPS)),
    Known(LInf(0.3, 1), lambda p: largest_entries(p.lam, COLUMNS), (2, 5)),
    Known(Huber(0.1, delta=0.05), root_of_gradient, smooth=True),
    Known(Lp(0.05, 1.5), root_of_gradient, smooth=True),
    Known(Lp(0.1, 3.0), root_of_gradient, smooth=True, steps=6000),
    Known(Weighted(WEIGHTS, L1(0.1)), lambda p: weighted_lasso(p.penalty.lam)),
    Known(Toward(START, L1(0.1)), lambda p: START + lasso_from(START, p.penalty.lam)),
    Known(Toward(START, L2(0.1)), lambda p: ridge_toward(p.penalty.lam), smooth=True),
    Known(NonNegative(), lambda p: bounded(0.0, np.inf)),
    Known(L1(0.1) + NonNegative(), lambda p: bounded(0.0, np.inf, lasso=0.1)),
    Known(Box(-0.1, 0.2), lambda p: bounded(-0.1, 0.2)),
    Known(L1Ball(0.8), lambda p: ball_of_absolutes(0.8)),
    Known(L2Ball(0.4), lambda p: ball(0.4)),
    Known(MaxNorm(0.2, GROUPS), lambda p: balls(0.2)),
    Known(Simplex(0.8), lambda p: simplex(0.8)),
    Known(NofM(1, 2), None),
    Known(NuclearNorm(0.15), lambda p: low_rank(p.lam), (2, 5)),
    Known(Orthogonality(0.5), None, (2, 5), smooth=True),
    Known(MCP(0.1, gamma=3.0), None),
    Known(MCP(0.1, gamma=300.0), None),  # with these data J is convex
    Known(SCAD(0.1), None),
    Known(CappedL1(0.1, theta=0.2), None),
    Known(LogSum(0.05, eps=0.5), None),
    Known(L0(0.005), None),
    Known(GroupL0(0.005, GROUPS), None, steps=6000),
    Known(Lp(0.02, 0.5), None),
]
LOGISTIC = [
    Known(L1(0.1), breast_cancer.minimum, (16,), steps=8000, logistic=True),
    Known(L2(0.02), breast_cancer.minimum, (16,), smooth=True, steps=6000, logistic=True),
    Known(ElasticNet(0.1), breast_cancer.minimum, (16,), steps=3000, logistic=True),
    Known(
        GroupLasso(0.05, breast_cancer.GROUPS),
        breast_cancer.minimum,
        (16,),
        steps=4000,
        logistic=True,
    ),
]
DECOUPLED = [
    # Adam's own step is the inverse of |gradient|, so a decoupled square is a box of 1/(2·lam).
    Known(L2(5.0), lambda p: bounded(-0.1, 0.1), steps=4000, only=(("decoupled", "Adam"),)),
    # Beside AdamW's own decay the lasso's slope grows with the weight.
    Known(
        L1(0.1),
        lambda p: barrier_lasso(p.lam),
        steps=24_000,
        only=(("proximal", "AdamW decaying"),),
    ),
]


def largest_entries(lam: float, groups: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """With a bound u_g ≥ ±w_i for each group in place of its maximum, by SLSQP."""
    A, b = normal_equations()
    which = np.zeros((10, len(groups)))
    for number, members in enumerate(groups):
        which[list(members), number] = 1.0
    inside = {
        "type": "ineq",
        "fun": lambda v: np.concatenate([which @ v[10:] - v[:10], which @ v[10:] + v[:10]]),
        "jac": lambda v: np.vstack(
            [np.hstack([-np.eye(10), which]), np.hstack([np.eye(10), which])]
        ),
    }
    found = minimize(
        lambda v: v[:10] @ A @ v[:10] / 2 - b @ v[:10] + lam * v[10:].sum(),
        np.full(10 + len(groups), 0.1),
        jac=lambda v: np.concatenate([A @ v[:10] - b, np.full(len(groups), lam)]),
        constraints=[inside],
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 2000},
    )
    return clean(found.x[:10])


def weighted_lasso(lam: float) -> np.ndarray:
    """scikit-learn's Lasso on columns divided by the weights."""
    X, y = standardized()
    model = Lasso(lam, fit_intercept=False, tol=1e-12, max_iter=100_000)
    return model.fit(X / WEIGHTS, y).coef_ / WEIGHTS


def lasso_from(start: np.ndarray, lam: float) -> np.ndarray:
    """scikit-learn's Lasso on what `start` leaves over."""
    X, y = standardized()
    model = Lasso(lam, fit_intercept=False, tol=1e-12, max_iter=100_000)
    return model.fit(X, y - X @ start).coef_


def ridge_toward(lam: float) -> np.ndarray:
    A, b = normal_equations()
    return np.linalg.solve(A + 2 * lam * np.eye(10), b + 2 * lam * START)


def bounded(low: float, high: float, lasso: float = 0.0) -> np.ndarray:
    """scipy's BVLS, on a factor of A; where w ≥ 0 the lasso is a linear term."""
    A, b = normal_equations()
    factor = np.linalg.cholesky(A).T
    right = np.linalg.solve(factor.T, b - lasso)
    return clean(lsq_linear(factor, right, (low, high), method="bvls", tol=1e-15).x)


def ball_of_absolutes(radius: float) -> np.ndarray:
    """The Lasso whose sum of absolute values is the radius."""
    zero = np.zeros(10)
    lam = brentq(lambda a: np.abs(lasso_from(zero, a)).sum() - radius, 1e-3, 1, xtol=1e-15)
    return lasso_from(zero, lam)


def ball(radius: float) -> np.ndarray:
    """The ridge whose length is the radius."""
    A, b = normal_equations()
    solve = lambda nu: np.linalg.solve(A + nu * np.eye(10), b)  # noqa: E731
    return solve(brentq(lambda nu: np.linalg.norm(solve(nu)) - radius, 0, 100, xtol=1e-15))


def balls(radius: float) -> np.ndarray:
    """By SLSQP, with a squared length for each group; the entry in no group is free."""
    inside = [{"type": "ineq", "fun": lambda w, g=list(g): radius**2 - w[g] @ w[g]} for g in GROUPS]
    return smooth_under(inside, np.zeros(10))


def simplex(total: float) -> np.ndarray:
    """By SLSQP."""
    inside = [
        {"type": "eq", "fun": lambda w: w.sum() - total},
        {"type": "ineq", "fun": lambda w: w, "jac": lambda w: np.eye(10)},
    ]
    return clean(smooth_under(inside, np.full(10, total / 10)))


def smooth_under(constraints: list[dict[str, object]], start: np.ndarray) -> np.ndarray:
    A, b = normal_equations()
    found = minimize(
        lambda w: w @ A @ w / 2 - b @ w,
        start,
        jac=lambda w: A @ w - b,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 2000},
    )
    return found.x


def low_rank(lam: float) -> np.ndarray:
    """As U·Vᵀ with lam/2·(‖U‖² + ‖V‖²), whose minimum is the same; by BFGS and MINPACK."""
    A, b = normal_equations()

    def derivative(parts: np.ndarray) -> np.ndarray:
        U, V = parts[:4].reshape(2, 2), parts[4:].reshape(5, 2)
        slope = (A @ (U @ V.T).ravel() - b).reshape(2, 5)
        return np.concatenate([(slope @ V + lam * U).ravel(), (slope.T @ U + lam * V).ravel()])

    def cost(parts: np.ndarray) -> float:
        w = (parts[:4].reshape(2, 2) @ parts[4:].reshape(5, 2).T).ravel()
        return float(w @ A @ w / 2 - b @ w + lam / 2 * parts @ parts)

    start = np.random.default_rng(0).normal(size=14)
    found = minimize(cost, start, jac=derivative, options={"gtol": 1e-13, "maxiter": 5000}).x
    return found[:4].reshape(2, 2) @ found[4:].reshape(5, 2).T


def clean(w: np.ndarray) -> np.ndarray:
    """Zeros in place of what a solver leaves of them."""
    return np.where(np.abs(w) < 1e-7, 0.0, w)


def barrier_lasso(lam: float) -> np.ndarray:
    """The least data loss − (lam/DECAY)·Σ log(1 − DECAY·|w|), by L-BFGS-B on its two signs."""
    A, b = normal_equations()

    def cost(parts: np.ndarray) -> tuple[float, np.ndarray]:
        w, left = parts[:10] - parts[10:], 1 - DECAY * (parts[:10] + parts[10:])
        slope, push = A @ w - b, lam / left
        value = w @ A @ w / 2 - b @ w - lam / DECAY * np.log(left).sum()
        return float(value), np.concatenate([slope + push, push - slope])

    found = minimize(
        cost,
        np.full(20, 0.01),
        jac=True,
        bounds=[(0, 0.49 / DECAY)] * 20,
        method="L-BFGS-B",
        options={"ftol": 0, "gtol": 1e-13, "maxiter": 10_000, "maxcor": 50},
    )
    return clean(found.x[:10] - found.x[10:])


def times(share: float, penalty: Penalty) -> Penalty:
    """The same penalty with another strength."""
    if isinstance(penalty, Toward | Weighted):
        return replace(penalty, penalty=times(share, penalty.penalty))
    return replace(penalty, lam=share * penalty.lam)


def violation(penalty: Penalty, w: np.ndarray, near: float, share: float) -> float:
    """How far w is from being stationary: share·Ω'(w) = −∇ of the data loss, within its slope at 0.

    Entries up to `near` count as 0, where a gradient leads no closer. Under `NofM` a point is
    stationary where it is allowed and the loss is flat in the entries that are not 0.
    """
    A, b = normal_equations()
    slope = (A @ w.ravel() - b).reshape(w.shape)
    if isinstance(penalty, NofM):
        allowed = bool(((w.reshape(-1, penalty.m) != 0).sum(axis=1) <= penalty.n).all())
        return float(np.abs(slope[w != 0]).max()) if allowed else np.inf
    excess = np.abs(slope + share * oracles.gradient(penalty, w))
    at_zero = {MCP: "lam", SCAD: "lam", CappedL1: "lam"}.get(type(penalty))
    most = getattr(penalty, at_zero) if at_zero else np.inf
    if isinstance(penalty, LogSum):
        most = penalty.lam / penalty.eps
    zero = np.maximum(np.abs(slope) - share * most, 0.0)
    is_zero = (np.abs(w) <= near) & (not isinstance(penalty, Orthogonality))
    return float(np.where(is_zero, zero, excess).max())


@lru_cache
def solved(number: int, share: float = 1.0) -> np.ndarray:
    """The minimum of that row of `known`, at that share of its strength."""
    case = known()[number]
    assert case.solver is not None
    penalty = case.penalty if share == 1.0 else times(share, case.penalty)
    return case.solver(penalty).reshape(case.shape)


@dataclass(frozen=True)
class Row:
    """One training, and how near it came to rest."""

    number: int
    how: str
    optimizer: str

    @property
    def case(self) -> Known:
        return known()[self.number]

    @property
    def tolerance(self) -> float:
        if self.how == "proximal" or self.case.smooth:
            return EXACT
        # Hops go farther on the flat logistic loss, and Adam comes to its box ever more slowly.
        return 10 * KINKED if self.case.logistic or self.case.only else KINKED

    @property
    def strength(self) -> float:
        """What is left of it at the rest: decoupled from it, momentum makes the gradient larger."""
        options = OPTIMIZERS[self.optimizer][1]
        if self.how != "decoupled" or "momentum" not in options:
            return 1.0
        return (1 - options["momentum"]) / (1 - options.get("dampening", 0.0))

    def run(self, share: float = 1.0, larger: float = 1.0) -> tuple[float, bool]:
        """The distance, and whether the zeros are the minimum's (where the way promises zeros).

        `share` is that of the steps which are taken, at an lr so many times `larger`.
        """
        case = self.case
        slow = 6 if self.tolerance > EXACT or self.optimizer in SLOW else 1
        if self.optimizer in SLOW and case.solver is None:
            slow = 36  # RMSprop cycles within lr/2 of its rest, and lr falls by the step
        kind, options = OPTIMIZERS[self.optimizer]
        parts = {"a": torch.zeros(5, 1).double(), "b": torch.zeros(1, 5).double()}
        with warnings.catch_warnings():
            if "weight_decay" in options:
                warnings.filterwarnings("ignore", "AdamW has weight_decay")
            w, _ = fit(
                partial(kind, **{**options, "lr": larger * options["lr"]}),
                {Joint("a", "b:1"): case.penalty} if case.joint else case.penalty,
                self.how,
                model=torch.nn.ParameterDict(parts) if case.joint else None,
                shape=case.shape,
                steps=int(share * slow * case.steps),
                slope=breast_cancer.logistic() if case.logistic else None,
            )
        if case.solver is None:
            near = 0.0 if self.how == "proximal" else KINKED
            return violation(case.penalty, w, near, self.strength), True
        target = solved(self.number, self.strength)
        promises = self.how == "proximal" and not isinstance(case.penalty, NuclearNorm)
        right = not promises or bool(((w == 0) == (target == 0)).all())
        return float(np.abs(w - target).max()), right

    def __str__(self) -> str:
        case = self.case
        data = "breast cancer" if case.logistic else "diabetes"
        joint = " joint" if case.joint else ""
        return f"{data} | {case.penalty!r}{joint} | {self.how} | {self.optimizer}"


SLOW = {"RAdam", "RMSprop", "RMSprop momentum"}  # near the minimum their steps shrink late


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Proximal under all optimizers, in the gradient where there is one, decoupled under SGD."""
    for number, case in enumerate(known()):
        penalty = case.penalty
        if case.only:
            yield from (Row(number, how, name) for how, name in case.only)
            continue
        for name in QUICK if quick else (*STEADY, *INSIDE):
            if case.joint and name in INSIDE:
                continue
            is_sgd = name.removeprefix("shrinkage ").startswith("SGD")
            if penalty.why_not("prox" if is_sgd else "metric") is None:
                yield Row(number, "proximal", name)
        if penalty.why_not("gradient") is None:
            for name in ("SGD momentum", "Adam", *([] if case.joint else OURS)):
                yield Row(number, "coupled", name)
            yield Row(number, "loss", "SGD")
            for name in ("SGD", "SGD halved", "SGD dampening"):
                yield Row(number, "decoupled", name)
            if not case.joint:
                yield Row(number, "decoupled", "shrinkage SGD")


def measured(row: Row) -> tuple[Row, float, bool]:
    return row, *row.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four optimizers in place of all")
    chosen = list(rows(quick=parser.parse_args().quick))
    out = 0
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=quietly) as pool:
        for row, distance, zeros in pool.map(measured, chosen):
            fine = distance < row.tolerance and zeros
            out += not fine
            said = f"{row!s:115s} {distance:8.1e}  zeros {'right' if zeros else 'WRONG'}"
            print(said + ("" if fine else "   OUT"), flush=True)
    print(f"{len(chosen)} rows, {out} out")
    sys.exit(bool(out))


def quietly() -> None:
    """In each process: one thread, and every warning an error."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")


if __name__ == "__main__":
    main()
