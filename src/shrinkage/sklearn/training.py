"""Training a network by mini-batches, with the rules of scikit-learn's MLP: `train`."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, final

import numpy as np
from scipy import sparse

from shrinkage.mlp.availability import can_compile
from shrinkage.sklearn.numpy_engine import NumpyEngine
from shrinkage.sklearn.parameters import Array, Parameters
from shrinkage.sklearn.task import Task
from shrinkage.user_warning import warn_user

LEAST_WORK = 0.08  # seconds in NumPy; loading compiled loops takes one, compiling them many
STEP, PRODUCT = 3e-4, 5e-10  # seconds in NumPy: for a step, and for each weight and row in it


class Engine(Protocol):
    """Takes the steps of epochs, on parameters that it changes in place."""

    def run_epoch(self, order: Array, ranges: Array) -> float:
        """Take a step on the rows order[low:high] for each (low, high) of `ranges`.

        Returns the mean over the rows of the data loss before their step. Where that is not
        finite, steps may be left out.
        """

    def finish(self) -> None:
        """Leave the update rule in the state that it has come to."""


@final
@dataclass(frozen=True)
class Schedule:
    """How long to train, in which batches, and when to stop."""

    max_iter: int
    batch_size: int
    shuffle: bool
    tol: float
    n_iter_no_change: float
    verbose: bool


@final
@dataclass
class Progress:
    """What training has come to: it goes on from here."""

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best: float = -math.inf  # minus the least loss, or the best validation score
    best_values: Array | None = None  # the parameters at the best validation score
    stalled: int = 0  # epochs without progress
    samples_seen: int = 0
    n_iter: int = 0  # of the last call
    has_diverged: bool = False


def choose_engine(task: Task, schedule: Schedule) -> Engine:
    """Compiled loops where there are some and the work is worth loading them, else NumPy.

    The choice depends on nothing but the task, so that equal fits give equal models.
    """
    rows, weights = schedule.max_iter * len(task.data.targets), task.parameters.n_weights
    seconds = rows * (STEP / schedule.batch_size + PRODUCT * weights)
    if seconds >= LEAST_WORK and not sparse.issparse(task.data.X) and can_compile():
        from shrinkage.sklearn.compiled_engine import CompiledEngine, NoLoopError

        with suppress(NoLoopError):
            return CompiledEngine(task)
    return NumpyEngine(task)


def train(
    task: Task,
    schedule: Schedule,
    progress: Progress,
    rng: np.random.RandomState,
    validate: Callable[[], float] | None = None,
) -> bool:
    """Train the parameters of `task` for some epochs, and keep count in `progress`.

    Parameters
    ----------
    validate : function, optional
        The score by which training stops early and the best parameters are kept; without it the
        loss decides.

    Returns
    -------
    Whether it ended because there was no more progress.
    """
    progress.n_iter, is_done = 0, False
    rows, parameters, rule = len(task.data.targets), task.parameters, task.rule
    order, low = np.arange(rows), np.arange(0, rows, schedule.batch_size)
    ranges = np.column_stack([low, np.minimum(low + schedule.batch_size, rows)])
    engine = choose_engine(task, schedule)
    try:
        while progress.n_iter < schedule.max_iter and not is_done:
            if schedule.shuffle:
                order = order[rng.permutation(rows)]
            data_loss = engine.run_epoch(order, ranges)
            progress.n_iter += 1
            progress.samples_seen += rows
            _record_loss(progress, data_loss + task.penalty_value(), schedule)
            if not math.isfinite(data_loss):
                is_done = progress.has_diverged = True
                break
            if validate is None:
                _judge(progress, -progress.loss_curve[-1], schedule.tol)
            else:
                _validate(progress, validate(), schedule, parameters)
            rule.end_epoch(progress.samples_seen)
            if progress.stalled > schedule.n_iter_no_change:
                is_done = rule.ends_when_stalled()
                progress.stalled = 0
    except KeyboardInterrupt:
        warn_user("training was interrupted; the model is what it was then")
        is_done = True
    engine.finish()
    if progress.best_values is not None:
        parameters.values[...] = progress.best_values
        progress.has_diverged = False
    return is_done


def _record_loss(progress: Progress, loss: float, schedule: Schedule) -> None:
    progress.loss_curve.append(loss)
    if schedule.verbose:
        print(f"Iteration {progress.n_iter}, loss = {loss:.8f}")


def _validate(progress: Progress, score: float, schedule: Schedule, parameters: Parameters) -> None:
    """Keep the parameters with the best validation score."""
    progress.validation_scores.append(score)
    if schedule.verbose:
        print(f"Validation score: {score:f}")
    if score > progress.best:
        progress.best_values = parameters.values.copy()
    _judge(progress, score, schedule.tol)


def _judge(progress: Progress, score: float, tol: float) -> None:
    """Count an epoch whose score is not better than the best one by `tol`."""
    progress.stalled = 0 if score >= progress.best + tol else progress.stalled + 1
    progress.best = max(progress.best, score)
