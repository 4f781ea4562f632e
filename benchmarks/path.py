"""Paths beside LassoNet's: the score at 5, 10 and 20 inputs, and the seconds.

    pip install --no-deps --target lassonet lassonet==0.0.21
    PYTHONPATH=lassonet python benchmarks/path.py [--rounds 3]

LassoNet is no dependency of this project; with --no-deps it uses the torch and scikit-learn that
are there. Both have the same training, validation and test rows, 64 hidden units and one thread,
and take turns. The score is that on the test rows of the model that is best on the validation rows
among those with at most so many inputs; ours may be relaxed ones. Seconds are of the processor, as
they depend less on what else the machine does. "Ours, whole" is what `shrinkage path` fits: 5
splits, the model of all rows, and 20 resamples for the stability. The table is printed, and written
to `benchmarks/RESULTS-path.md` after each data set.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from sklearn.model_selection import train_test_split

from shrinkage.study.data.sources import read_source
from shrinkage.study.data.splits import RowSplit, fit_preprocessing
from shrinkage.study.data.table import Table, prepare_table
from shrinkage.study.path.fit_path import PENALTY, fit_path
from shrinkage.study.path.fitting import PathFitter
from shrinkage.study.path.networks import predict
from shrinkage.study.path.rows import PathRows
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study

COUNTS = (5, 10, 20)
HIDDEN = 64
RESULTS = Path(__file__).with_name("RESULTS-path.md")
PACKAGES = ("lassonet", "torch", "numpy", "scikit-learn")


class Candidate(NamedTuple):
    """A model of a path."""

    inputs: int
    validation: float
    test: float


class Walked(NamedTuple):
    """A path, and the seconds that it took."""

    candidates: list[Candidate]
    seconds: float


DATA: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "friedman, 30 inputs": lambda: make_friedman1(400, 30, noise=1.0, random_state=0),
    "breast_cancer, 30 inputs": lambda: load_breast_cancer(return_X_y=True),
    "digits, 64 inputs": lambda: load_digits(return_X_y=True),
}


def split(table: Table, seed: int) -> PathRows:
    """A quarter of the rows to test, a third of the others to validate, the rest to train."""
    labels = table.target if table.task == "classes" else None
    rest, test = train_test_split(
        np.arange(len(table.target)), test_size=0.25, random_state=seed, stratify=labels
    )
    preprocessing = fit_preprocessing(table, RowSplit(rest, rest[:0], test))
    places = np.arange(len(rest))
    train, validation = train_test_split(
        places,
        test_size=1 / 3,
        random_state=seed,
        stratify=None if labels is None else labels[rest],
    )
    return PathRows(
        rest=preprocessing.examples(table, rest),
        test=preprocessing.examples(table, test),
        fits=(train, train),  # the network that names the inputs, and the one that is validated
        validations=(validation,),
        encoding=preprocessing.encoding,
        note="",
    )


def walk_ours(rows: PathRows, table: Table, study: Study) -> Walked:
    started = time.process_time()
    fitted = PathFitter(rows, table, study, start="dense", adaptive=True).fit()
    seconds = time.process_time() - started
    metric = find_metric(None, table.task)
    candidates = []
    for point, weights in zip(fitted.points, fitted.weights, strict=True):
        X = torch.tensor(rows.test.X[:, fitted.order])
        outputs = predict([weight[1:2] for weight in weights], X[None])[0].numpy()
        test = metric.score(rows.test.y, predict_from_outputs(outputs, table.task))
        candidates.append(Candidate(point.counts[0], point.scores[0], test))
    return Walked(candidates, seconds)


def walk_lassonet(rows: PathRows, table: Table, seed: int) -> Walked:
    from lassonet import LassoNetClassifier, LassoNetRegressor

    kind = LassoNetRegressor if table.task == "numbers" else LassoNetClassifier
    model = kind(hidden_dims=(HIDDEN,), random_state=seed, torch_seed=seed, verbose=0)
    train, validation = rows.fits[0], rows.validations[0]
    X, y = rows.rest.X, rows.rest.y
    started = time.process_time()
    path = model.path(
        X[train], y[train], X_val=X[validation], y_val=y[validation], return_state_dicts=True
    )
    seconds = time.process_time() - started
    metric = find_metric(None, table.task)

    def score(X: np.ndarray, y: np.ndarray) -> float:
        answer = np.ravel(model.predict(X)) if table.task == "numbers" else model.predict_proba(X)
        return metric.score(y, np.asarray(answer))

    candidates = []
    for item in path:
        model.load(item.state_dict)
        scores = score(X[validation], y[validation]), score(rows.test.X, rows.test.y)
        candidates.append(Candidate(int(item.selected.sum()), *scores))
    return Walked(candidates, seconds)


def score_at(walked: Walked, most: int) -> float:
    near = [each for each in walked.candidates if each.inputs <= most]
    return max(near, key=lambda each: each.validation).test


def measure(name: str, rounds: int) -> Iterator[str]:
    """The lines of the table for one data set."""
    X, y = DATA[name]()
    labels = y if y.dtype.kind == "f" else np.array([f"class {label}" for label in y])
    study = Study(methods=(PENALTY,), seeds=1, model=f"mlp:{HIDDEN}")
    table = prepare_table(read_source((X, labels)), study)
    results: dict[str, list[Walked]] = {"LassoNet": [], "ours": []}
    for seed in range(rounds):
        rows = split(table, seed)
        results["LassoNet"].append(walk_lassonet(rows, table, seed))
        results["ours"].append(walk_ours(rows, table, study))
    started = time.process_time()
    fit_path((X, labels), quiet=True)
    whole = time.process_time() - started
    yield f"| **{name}** | | | | |"
    for label, walks in results.items():
        cells = [_spread([score_at(walked, most) for walked in walks], 3) for most in COUNTS]
        yield f"| {label} | {' | '.join(cells)} | {_spread([w.seconds for w in walks], 1)} |"
    ratios = [theirs.seconds / ours.seconds for theirs, ours in zip(*results.values(), strict=True)]
    yield f"| LassoNet's seconds over ours | | | | {_spread(ratios, 1)} |"
    yield f"| ours, whole | | | | {whole:.1f} |"


def _spread(values: list[float], digits: int) -> str:
    mean, low, high = (
        f"{v:.{digits}f}" for v in (statistics.fmean(values), min(values), max(values))
    )
    return f"{mean} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=list(DATA))
    arguments = parser.parse_args()
    try:
        import lassonet  # noqa: F401
    except ImportError:
        raise SystemExit(
            "LassoNet is not installed: pip install --no-deps --target lassonet lassonet==0.0.21, "
            "then PYTHONPATH=lassonet python benchmarks/path.py"
        ) from None
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="lassonet|sklearn|torch")
    heads = " | ".join(f"{most} inputs" for most in COUNTS)
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines = [
        "# Paths beside LassoNet's",
        "",
        "Written by `benchmarks/path.py`, which says what is compared. Each cell is a mean and, in "
        f"brackets, the least and the largest of {arguments.rounds} rounds with other splits each.",
        "",
        f"One thread of {platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        f"| test score | {heads} | processor seconds |",
        "|---|---|---|---|---|",
    ]
    for name in arguments.data:
        measured = list(measure(name, arguments.rounds))
        print("\n".join(measured), flush=True)
        lines += measured
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
