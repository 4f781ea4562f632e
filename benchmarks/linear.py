"""Linear paths beside celer, skglm and scikit-learn: seconds to the same objective, on one thread.

    python benchmarks/linear.py [--rounds 5] [--shape 1000x200 ...]

Each solver goes through the same 20 strengths, from that at which the first weight enters down to a
hundredth of it, each begun at the one before. Tolerances mean something else in each package: each
gets the loosest power of ten at which its objective is, at every strength, within 1e-6 of the least
known one, as a share of the objective without weights. What compiles is compiled before. The
solvers take turns; the table has medians, of processor seconds, as they depend less on what else
the machine does. celer's logistic regression has no intercept, and is held against its own minimum;
scikit-learn's (saga) is measured on the first shape alone, as the others take it minutes. The table
is printed, and written to `benchmarks/RESULTS-linear.md` after each row.
"""

from __future__ import annotations

import argparse
import functools
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from celer import celer_path
from skglm.datafits import Logistic, Quadratic, QuadraticGroup
from skglm.penalties import L1_plus_L2, WeightedGroupL2
from skglm.solvers import AndersonCD, GroupBCD, ProxNewton
from skglm.utils.data import grp_converter
from skglm.utils.jit_compilation import compiled_clone
from sklearn.linear_model import LogisticRegression, enet_path
from threadpoolctl import threadpool_limits

from shrinkage import L1, ElasticNet, GroupLasso, Penalty
from shrinkage.linear import solve_path, strongest

SHAPES = ("1000x200", "200x2000", "20000x100")
STRENGTHS, LEAST = 20, 0.01
GROUP = 5  # inputs
EXCESS, EXACT = 1e-6, 1e-8
LADDER = tuple(10.0**-power for power in range(2, 13))
RESULTS = Path(__file__).with_name("RESULTS-linear.md")
PACKAGES = ("celer", "skglm", "scikit-learn", "numpy")

WeightPath = tuple[np.ndarray, np.ndarray]  # weights (inputs, strengths), intercepts (strengths,)
Solver = Callable[["Task", float], WeightPath]


@dataclass(frozen=True)
class Task:
    """One table row's problem."""

    kind: str
    X: np.ndarray  # (rows, inputs), centered, in Fortran's order
    y: np.ndarray  # centered numbers, or 0 and 1
    ratio: float = 1.0  # of L1 in the elastic net

    def penalty_at(self, lam: float) -> Penalty:
        if self.kind == "group lasso":
            return GroupLasso(lam, groups=self.groups, weight="none")
        return ElasticNet(lam, self.ratio) if self.ratio < 1 else L1(lam)

    @functools.cached_property
    def groups(self) -> list[list[int]]:
        return [list(range(j, j + GROUP)) for j in range(0, self.X.shape[1], GROUP)]

    @property
    def loss(self) -> str:
        return "binary_log_loss" if self.kind == "logistic lasso" else "squared_error"

    @functools.cached_property
    def strengths(self) -> np.ndarray:
        top = strongest(self.X, self.y, self.penalty_at, self.loss)
        return np.geomspace(top, LEAST * top, STRENGTHS)

    def values(self, path: WeightPath) -> np.ndarray:
        """The objective at each strength."""
        scores = self.X @ path[0] + path[1]
        if self.loss == "squared_error":
            data = 0.5 * np.mean((scores - self.y[:, None]) ** 2, axis=0)
        else:
            data = np.mean(np.logaddexp(0, scores) - self.y[:, None] * scores, axis=0)
        sizes = [
            float(self.penalty_at(lam).value(weights[None]))
            for lam, weights in zip(self.strengths, path[0].T, strict=True)
        ]
        return data + np.array(sizes)


def solve_ours(task: Task, tol: float) -> WeightPath:
    solutions = solve_path(task.X, task.y, task.penalty_at, task.strengths, task.loss, tol=tol)
    weights = np.column_stack([solution.weights[:, 0] for solution in solutions])
    return weights, np.array([solution.intercepts[0] for solution in solutions])


def solve_with_celer(task: Task, tol: float) -> WeightPath:
    alphas, y, options, kind = task.strengths, task.y, {}, "lasso"
    if task.kind == "group lasso":
        kind, options = "grouplasso", {"groups": GROUP}
    elif task.kind == "logistic lasso":  # a sum over rows, and classes −1 and 1
        kind, y, alphas = "logreg", 2.0 * y - 1.0, alphas * len(y)
        options = {"use_PN": True}
    else:
        options = {"l1_ratio": task.ratio}
    _, weights, _ = celer_path(task.X, y, kind, alphas=alphas, tol=tol, **options)
    return weights, np.zeros(len(alphas))


@functools.cache
def compiled(kind: type, *arguments: Any) -> Any:
    return compiled_clone(kind(*arguments))


def solve_with_skglm(task: Task, tol: float) -> WeightPath:
    """Its tolerance is of a derivative: a share of the strongest penalty's."""
    tol *= task.strengths[0]
    has_intercept = task.kind == "logistic lasso"
    if task.kind == "group lasso":
        indices, ends = grp_converter(GROUP, task.X.shape[1])
        datafit = compiled_clone(QuadraticGroup(ends, indices))
        unit = np.ones(len(ends) - 1)
        penalty = compiled_clone(WeightedGroupL2(1.0, unit, ends, indices))
        solver = GroupBCD(tol=tol, fit_intercept=False, warm_start=True)
    elif has_intercept:
        datafit, penalty = compiled(Logistic), compiled(L1_plus_L2, 1.0, 1.0)
        solver = ProxNewton(tol=tol, fit_intercept=True, max_iter=100, warm_start=True)
    else:
        datafit, penalty = compiled(Quadratic), compiled(L1_plus_L2, 1.0, task.ratio)
        solver = AndersonCD(tol=tol, fit_intercept=False, warm_start=True)
    y = 2.0 * task.y - 1.0 if has_intercept else task.y
    datafit.initialize(task.X, y)
    weights = np.zeros(task.X.shape[1] + has_intercept)
    scores = np.zeros(len(y))
    found = []
    for lam in task.strengths:
        penalty.alpha = lam
        weights = solver.solve(task.X, y, datafit, penalty, weights.copy(), scores)[0]
        scores = task.X @ weights[: task.X.shape[1]] + (weights[-1] if has_intercept else 0.0)
        found.append(weights)
    path = np.column_stack(found)
    return (path[:-1], path[-1]) if has_intercept else (path, np.zeros(len(found)))


def solve_with_sklearn(task: Task, tol: float) -> WeightPath:
    if task.kind == "logistic lasso":
        model = LogisticRegression(
            l1_ratio=1, solver="saga", tol=tol, max_iter=300, warm_start=True, random_state=0
        )
        found = []
        for lam in task.strengths:
            model.set_params(C=1.0 / (lam * len(task.y))).fit(task.X, task.y)
            found.append((model.coef_[0].copy(), model.intercept_[0]))
        return np.column_stack([w for w, _ in found]), np.array([b for _, b in found])
    _, weights, _ = enet_path(
        task.X, task.y, l1_ratio=task.ratio, alphas=task.strengths, tol=tol, max_iter=100_000
    )
    return weights, np.zeros(len(task.strengths))


SOLVERS: dict[str, Solver] = {
    "ours": solve_ours,
    "celer": solve_with_celer,
    "skglm": solve_with_skglm,
    "scikit-learn": solve_with_sklearn,
}


def make_task(kind: str, shape: str) -> Task:
    """Correlated inputs, of which 20 matter."""
    rows, inputs = map(int, shape.split("x"))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, inputs)) + 0.7 * rng.normal(size=(rows, 1))
    weights = np.zeros(inputs)
    weights[rng.choice(inputs, 20, replace=False)] = rng.normal(size=20)
    y = X @ weights
    y += 0.3 * y.std() * rng.normal(size=rows)
    X = np.asfortranarray(X - X.mean(axis=0))
    y = (y > 0).astype(float) if kind == "logistic lasso" else y - y.mean()
    return Task(kind, X, y, 0.5 if kind == "elastic net" else 1.0)


KINDS = ("lasso", "elastic net", "logistic lasso", "group lasso")


def has(kind: str, solver: str, shape: str) -> bool:
    """scikit-learn has no group lasso; its logistic lasso takes minutes for the larger shapes."""
    if solver != "scikit-learn" or kind in ("lasso", "elastic net"):
        return True
    return kind == "logistic lasso" and shape == SHAPES[0]


def choose_tolerance(task: Task, solver: str, least: np.ndarray, unit: float) -> float | None:
    """The loosest tolerance that is tight enough; None where none of the ladder is."""
    for tol in LADDER:
        if ((task.values(SOLVERS[solver](task, tol)) - least) / unit).max() <= EXCESS:
            return tol
    return None


def measure(kind: str, shape: str, rounds: int) -> str:
    task = make_task(kind, shape)
    solvers = [solver for solver in SOLVERS if has(kind, solver, shape)]
    own = {"celer"} if kind == "logistic lasso" else set()
    exact = {solver: task.values(SOLVERS[solver](task, EXACT)) for solver in ("ours", "celer")}
    shared = [values for solver, values in exact.items() if solver not in own]
    least = np.min(shared, axis=0)
    zeros = np.zeros((task.X.shape[1], STRENGTHS)), np.zeros(STRENGTHS)
    unit = float(task.values(zeros)[0])
    tolerances = {
        solver: choose_tolerance(task, solver, exact[solver] if solver in own else least, unit)
        for solver in solvers
    }
    reaching = [solver for solver in solvers if tolerances[solver] is not None]
    seconds: dict[str, list[float]] = {solver: [] for solver in reaching}
    for _ in range(rounds):
        for solver in reaching:
            started = time.process_time()
            SOLVERS[solver](task, tolerances[solver])
            seconds[solver].append(time.process_time() - started)
    cells = []
    for solver in SOLVERS:
        if solver not in solvers:
            cells.append("")
        elif solver not in reaching:
            cells.append("not reached")
        else:
            cells.append(f"{1e3 * statistics.median(seconds[solver]):.0f}")
    others = [seconds[solver] for solver in ("celer", "skglm") if solver in reaching]
    fastest = [min(turn) for turn in zip(*others, strict=True)]
    ratio = statistics.median(o / f for o, f in zip(seconds["ours"], fastest, strict=True))
    return f"| {kind} | {shape.replace('x', ' × ')} | {' | '.join(cells)} | {ratio:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", nargs="*", default=list(SHAPES))
    parser.add_argument("--kind", nargs="*", default=list(KINDS), choices=KINDS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines = [
        "# Linear paths beside celer, skglm and scikit-learn",
        "",
        "Written by `benchmarks/linear.py`, which says what is compared: milliseconds of the "
        f"processor for {STRENGTHS} strengths, medians of {arguments.rounds} interleaved rounds; "
        f"all come within {EXCESS:g} of the same objective. The last column is our time over "
        "that of the faster of celer and skglm.",
        "",
        f"One thread of {platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        f"| problem | rows × inputs | {' | '.join(SOLVERS)} | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with threadpool_limits(1):
        for kind in arguments.kind:
            for shape in arguments.shape:
                lines.append(measure(kind, shape, arguments.rounds))
                print(lines[-1], flush=True)
                RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
