"""What a study costs, beside scikit-learn and torch: trials, whole commands, estimators, growth.

    python benchmarks/study.py [--quick] [--only trials commands estimators growth]

Trials, estimators and growth are processor seconds of one thread, medians of interleaved rounds,
which depend less on what else the machine does. The first time of each, which loads or compiles
loops, is stated apart. Commands are processes of their own with all processors, and their
seconds are those on the clock. The tables are printed, and written to
`benchmarks/RESULTS-study.md`; growth is drawn as `benchmarks/study.svg`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import shrinkage.sklearn
from line_chart import draw, stack
from shrinkage.study.data.generated import make_spiral
from trainers import (
    EAGER,
    OURS,
    SKLEARN,
    TORCH,
    Problem,
    Run,
    compare_medians,
    find_engine,
    list_trainers,
    take_turns,
)

RESULTS = Path(__file__).with_name("RESULTS-study.md")
PICTURE = Path(__file__).with_name("study.svg")
PACKAGES = ("torch", "scikit-learn", "numpy", "numba")
COMMANDS = {
    "`shrinkage compare`, three seeds (192 trials)": ("--seeds", "3"),
    "`shrinkage compare digits`, three seeds (192 trials)": ("digits", "--seeds", "3"),
}
QUICK_COMMANDS = {
    "`shrinkage compare`, one seed, two strengths (15 trials)": (
        "--seeds",
        "1",
        "--strengths",
        "1e-3,1e-2",
    )
}


def make_rows(rows: int, inputs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal inputs, and a number that depends on them by a sine."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, inputs)).astype(np.float32)
    y = np.sin(X @ generator.normal(size=inputs)) + 0.1 * generator.normal(size=rows)
    return X, y.astype(np.float32)


def list_problems(steps: int) -> list[Problem]:
    """The networks of the table."""
    spiral = make_spiral(rows=150)
    points = spiral[["x", "y"]].to_numpy(np.float32)
    arms = np.unique(spiral["target"], return_inverse=True)[1].astype(np.int64)
    images, numbers = load_digits(return_X_y=True)
    pixels = (images[:1400] / 16).astype(np.float32)
    return [
        Problem("spiral, 150 rows, 2-64-3, whole", points, arms, (64,), 150, steps),
        Problem("digits, 1400 rows, 64-64-10, by 200", pixels, numbers[:1400], (64,), 200, steps),
        Problem("20 000 rows, 50-128-64-1, by 512", *make_rows(20_000, 50), (128, 64), 512, steps),
    ]


def compare_trials(is_quick: bool) -> Iterator[str]:
    steps, rounds = (40, 2) if is_quick else (400, 7)
    yield f"## A trial: {steps} steps or so of Adam, one thread"
    yield ""
    heads = (SKLEARN, EAGER, TORCH, OURS, "engine", "scikit-learn / a trial", "by hand / a trial")
    yield f"| | {' | '.join(heads)} | first trial |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for problem in list_problems(steps):
        first, seconds = take_turns(list_trainers(problem), rounds)
        cells = [f"{1e3 * statistics.median(own):.1f} ms" for own in seconds.values()]
        ratios = [f"**{compare_medians(seconds, slow, OURS):.1f}**" for slow in (SKLEARN, EAGER)]
        yield (
            f"| {problem.name} | {' | '.join(cells)} | {find_engine(problem)} | "
            f"{' | '.join(ratios)} | {first[OURS]:.2f} s |"
        )


def compare_commands(is_quick: bool) -> Iterator[str]:
    commands, rounds = (QUICK_COMMANDS, 1) if is_quick else (COMMANDS, 3)
    yield "## Whole commands: the page, the tables and the model included, loops cached"
    yield ""
    yield "| | anew | run again, all trials recorded |"
    yield "|---|---|---|"
    for name, arguments in commands.items():
        anew, again = [], []
        for number in range(rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                seconds = [_run_command(arguments, folder) for _ in range(2)]
            if number or is_quick:  # the first time fills the caches
                anew.append(seconds[0])
                again.append(seconds[1])
        yield f"| {name} | {_median(anew)} | {_median(again)} |"


def _run_command(arguments: tuple[str, ...], folder: str) -> float:
    start = "from shrinkage.cli import main; main()"
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", start, "compare", *arguments, "--out", f"{folder}/study"],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def _median(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"


def compare_estimators(is_quick: bool) -> Iterator[str]:
    iterations, rounds = (5, 1) if is_quick else (50, 5)
    yield f"## Estimators: {iterations} iterations with the same arguments, one thread"
    yield ""
    yield "| | scikit-learn's | ours | scikit-learn's / ours | ours, first time |"
    yield "|---|---|---|---|---|"
    rows, numbers = make_rows(20_000, 50)
    digits, cancer = load_digits(return_X_y=True), load_breast_cancer(return_X_y=True)
    cases = {
        "MLPClassifier, digits": ("MLPClassifier", digits[0] / 16, digits[1]),
        "MLPClassifier, breast_cancer": ("MLPClassifier", _scale(cancer[0]), cancer[1]),
        "MLPRegressor, 20 000 × 50": ("MLPRegressor", rows, numbers),
    }
    for name, (kind, X, y) in cases.items():
        rooms = {"theirs": neural_network, "ours": shrinkage.sklearn}
        runs = {key: _fitting(getattr(room, kind), X, y, iterations) for key, room in rooms.items()}
        first, seconds = take_turns(runs, rounds)
        cells = [f"{statistics.median(own):.3f} s" for own in seconds.values()]
        ratio = compare_medians(seconds, "theirs", "ours")
        yield f"| {name} | {' | '.join(cells)} | **{ratio:.1f}** | {first['ours']:.2f} s |"


def _scale(X: np.ndarray) -> np.ndarray:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))


def _fitting(kind: Callable[..., object], X: np.ndarray, y: np.ndarray, iterations: int) -> Run:
    settings = {"max_iter": iterations, "n_iter_no_change": iterations, "tol": 0.0}
    return lambda: kind(random_state=0, **settings).fit(X, y)  # type: ignore[attr-defined]


def compare_growth(is_quick: bool) -> Iterator[str]:
    steps, rounds = (10, 1) if is_quick else (100, 3)
    few = slice(0, 2) if is_quick else slice(None)
    plans: dict[str, tuple[list[int], Callable[[int], Problem]]] = {
        "rows": (
            [100, 1000, 10_000, 100_000][few],
            lambda rows: Problem("", *make_rows(rows, 20), (64,), 512, steps),
        ),
        "units in the hidden layer": (
            [8, 32, 128, 512][few],
            lambda width: Problem("", *make_rows(1000, 20), (width,), 200, steps),
        ),
        "hidden layers of 64": (
            [1, 2, 3, 4][few],
            lambda depth: Problem("", *make_rows(1000, 20), (64,) * depth, 200, steps),
        ),
    }
    charts = []
    yield f"## Growth: milliseconds of {steps} steps or so, one thread"
    yield ""
    yield "![How the cost grows](study.svg)"
    for axis, (sizes, make) in plans.items():
        medians: dict[str, list[float]] = {}
        for size in sizes:
            for name, own in take_turns(list_trainers(make(size)), rounds)[1].items():
                medians.setdefault(name, []).append(1e3 * statistics.median(own))
        charts.append(draw(sizes, medians, f"Milliseconds of {steps} steps, by {axis}", axis))
        yield from _tabulate(axis, sizes, medians)
    grids = [1, 3][few] if is_quick else [1, 3, 9, 27]
    trials = [3 * (1 + 7 * grid) for grid in grids]
    seconds = [_time_trials(grid) for grid in grids]
    name = "shrinkage compare"
    charts.append(draw(trials, {name: seconds}, "Seconds of a study, by trials", "trials"))
    yield from _tabulate("trials (seconds of a study)", trials, {name: seconds})
    if not is_quick:
        PICTURE.write_text(stack(charts))


def _time_trials(grid: int) -> float:
    strengths = ",".join(f"{strength:.6g}" for strength in np.geomspace(1e-5, 1e-1, grid))
    with tempfile.TemporaryDirectory() as folder:
        return _run_command(("--seeds", "3", "--strengths", strengths), folder)


def _tabulate(axis: str, sizes: list[int], series: dict[str, list[float]]) -> Iterator[str]:
    yield ""
    yield f"| {axis} | {' | '.join(f'{size:,}' for size in sizes)} |"
    yield f"|---{'|---' * len(sizes)}|"
    for name, values in series.items():
        yield f"| {name} | {' | '.join(f'{value:.3g}' for value in values)} |"


PARTS: dict[str, Callable[[bool], Iterator[str]]] = {
    "trials": compare_trials,
    "commands": compare_commands,
    "estimators": compare_estimators,
    "growth": compare_growth,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a first look, which writes nothing")
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=list(PARTS))
    plan = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines = [
        "# What a study costs",
        "",
        "Written by `benchmarks/study.py`, which says what is compared and how.",
        "",
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"{versions}.",
    ]
    print("\n".join(lines))
    with threadpool_limits(1):
        for name in plan.only:
            lines.append("")
            print()
            for line in PARTS[name](plan.quick):
                print(line, flush=True)
                lines.append(line)
            if not plan.quick:
                RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
