"""What trains the same steps of a small network: scikit-learn, torch by hand, the study's engines.

Every one is Adam on the same rows, in batches of the same size, with a learning rate of its own
choice: the numbers that come out differ, the work does not. The study's trials also score two
parts of the rows, some 40 times, as they do in a study.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.records import Trial
from shrinkage.study.spec import Study
from shrinkage.study.training import engines, fit_trial

LAM = 1e-4
SKLEARN, EAGER = "scikit-learn, L2", "torch by hand, L1 in the loss"
TORCH, OURS = "the study's torch engine, L1", "a trial, L1"
Run = Callable[[], object]


@dataclass(frozen=True)
class Problem:
    """Rows, a network and a number of steps."""

    name: str
    X: np.ndarray  # (rows, inputs), float32
    y: np.ndarray  # class indices int64, or numbers float32
    hidden: tuple[int, ...]
    batch: int
    steps: int

    @property
    def classes(self) -> int:
        """How many there are; 0 for numbers."""
        return int(self.y.max()) + 1 if self.y.dtype == np.int64 else 0

    @property
    def batches(self) -> int:
        """Steps in an epoch."""
        return math.ceil(len(self.X) / self.batch)

    @property
    def epochs(self) -> int:
        """As many as give the steps, roughly."""
        return max(1, round(self.steps / self.batches))

    @property
    def outputs(self) -> int:
        """Of the network."""
        return self.classes if self.classes > 2 else 1


def list_trainers(problem: Problem) -> dict[str, Run]:
    """What is timed, by its name."""
    study, parts = _make_study(problem)
    trial = Trial("l1@proximal", LAM, 0)
    return {
        SKLEARN: lambda: _fit_sklearn(problem),
        EAGER: lambda: _fit_eagerly(problem),
        TORCH: lambda: fit_trial.run_trial(study, trial, parts),
        OURS: lambda: engines.run_trial(study, trial, parts),
    }


def find_engine(problem: Problem) -> str:
    """The name of the engine that runs the study's trials."""
    study, parts = _make_study(problem)
    return engines.choose_engine(study, "l1@proximal", parts.outputs)


def _fit_sklearn(problem: Problem) -> None:
    kind = MLPClassifier if problem.classes else MLPRegressor
    model = kind(
        hidden_layer_sizes=problem.hidden,
        batch_size=min(problem.batch, len(problem.X)),
        learning_rate_init=0.01,
        max_iter=problem.epochs,
        n_iter_no_change=problem.epochs,
        tol=0.0,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(problem.X, problem.y)


def _fit_eagerly(problem: Problem) -> None:
    """A training loop with `loss + lam·Σ|w|`, as people write it."""
    torch.manual_seed(0)
    widths = [problem.X.shape[1], *problem.hidden, problem.outputs]
    layers = [
        module for pair in pairwise(widths) for module in (torch.nn.Linear(*pair), torch.nn.ReLU())
    ]
    model = torch.nn.Sequential(*layers[:-1])
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    X, y = torch.tensor(problem.X), torch.tensor(problem.y)
    lose: Callable[..., torch.Tensor] = torch.nn.functional.cross_entropy
    if not problem.classes:
        lose, y = torch.nn.functional.mse_loss, y[:, None]
    for _ in range(problem.epochs):
        for rows in torch.tensor_split(torch.randperm(len(X)), problem.batches):
            optimizer.zero_grad()
            loss = lose(model(X[rows]), y[rows]) + LAM * sum(w.abs().sum() for w in weights)
            loss.backward()
            optimizer.step()


def _make_study(problem: Problem) -> tuple[Study, Parts]:
    task = "classes" if problem.classes else "numbers"
    study = Study(
        methods=("l1@proximal",),
        strengths=(LAM,),
        seeds=1,
        task=task,
        model=f"mlp:{','.join(map(str, problem.hidden))}" if problem.hidden else "linear",
        lr=0.01,
        epochs=problem.epochs,
        batch=problem.batch,
    )
    third = Examples(problem.X[::3].copy(), problem.y[::3].copy())
    return study, Parts(Examples(problem.X, problem.y), third, task, problem.outputs)


def take_turns(
    runs: Mapping[str, Run], rounds: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Processor seconds of each: of the first time, which loads and compiles, and of the rounds."""
    first = {name: _measure(run) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(_measure(run))
    return first, seconds


def compare_medians(seconds: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """The median over rounds of how many times as long one takes as the other."""
    return statistics.median(s / f for s, f in zip(seconds[slow], seconds[fast], strict=True))


def _measure(run: Run) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started
