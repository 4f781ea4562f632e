"""Solve a linear model to its minimum, in place of training it; torch is not needed.

In the ways "proximal", "loss" and "coupled" a method's objective is the data loss plus the penalty.
Where both are convex, that minimum is the answer, whatever the optimizer, its learning rate and the
number of epochs: a solver finds it to `TOL`. "decoupled" minimizes no stated objective, and is
trained.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import numpy as np

from shrinkage.linear.losses import LOSSES
from shrinkage.linear.solving import make_problem, minimize
from shrinkage.penalties import L2, Penalty
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.method import parse_method
from shrinkage.study.records import Record, Trial
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.training.blas_threads import use_one_blas_thread
from shrinkage.study.training.class_weights import balance_classes

TOL = 1e-6  # what a step of gradient descent still moves, as a share of the first one
MAX_ITER = 5_000  # steps of proximal gradient descent; training is faster than more of them


# Solvers take many short steps of NumPy, in which several threads would wait for each other.
_turn = threading.Lock()


class NotSolvedError(Exception):
    """No minimum was found to `TOL`."""


def serves(study: Study, method: str) -> bool:
    """Whether the trials of a method are convex problems of a linear model.

    Examples
    --------
    >>> study = Study(model="linear")
    >>> serves(study, "l1@proximal"), serves(study, "l1@decoupled"), serves(study, "mcp@proximal")
    (True, False, False)
    """
    if study.model != "linear":
        return False
    parsed = parse_method(method)
    if parsed.text == "none":
        return True
    penalty = parsed.make_penalty(1.0)
    if parsed.how == "decoupled" or not penalty.traits.is_convex or penalty.why_not("prox"):
        return False
    return parsed.how == "proximal" or penalty.why_not("gradient") is None


def run_trial(
    study: Study, trial: Trial, parts: Parts, stop: threading.Event | None = None
) -> Record:
    """Solve one model and measure it; the same arguments give the same record.

    The record has the parameters of ``torch.nn.Linear`` by name, and a history of one point, whose
    "epoch" is the number of the solver's iterations.

    Raises
    ------
    concurrent.futures.CancelledError
        If `stop` is set before the trial's turn comes; from then on it is not looked at.
    NotSolvedError
        If the solver does not come within `TOL` of the minimum, which may be infinitely far away.
    """
    with _turn, use_one_blas_thread():
        if stop is not None and stop.is_set():
            raise CancelledError
        return _solve_trial(study, trial, parts)


def _solve_trial(study: Study, trial: Trial, parts: Parts) -> Record:
    started = time.perf_counter()
    train, penalty = parts.train, _make_penalty(trial)
    loss, targets = _read_targets(train, parts)
    weights = _weigh_rows(train.y, parts.outputs) if study.balanced else None
    problem = make_problem(train.X, targets, penalty, loss, weights)
    solution = minimize(problem, tol=TOL, max_iter=MAX_ITER)
    if not solution.converged:
        raise NotSolvedError(
            f"{trial.method} at {trial.strength:g} was solved to {solution.optimality:.1g}, not "
            f"to {TOL:g}"
        )
    weight = np.ascontiguousarray(solution.weights.T, dtype=np.float32)
    if penalty.traits.is_constrained:
        weight = penalty.prox(weight, 0.0)  # rounding may have led outside
    bias = solution.intercepts.astype(np.float32)
    losses, _ = LOSSES[loss].evaluate(train.X @ weight.T.astype(np.float64) + bias, targets)
    train_score, validation_score = (
        _score(study, parts.task, part, part.X @ weight.T + bias)
        for part in (train, parts.validation)
    )
    return Record(
        trial=trial,
        status="ok",
        reason="",
        train_score=train_score,
        validation_score=validation_score,
        zeros=float(np.mean(weight == 0)) if weight.size else 0.0,
        weights=weight.size,
        dead_neurons=0,
        neurons=0,
        seconds=time.perf_counter() - started,
        history={
            "epoch": [solution.iterations],
            "data_loss": [float(np.average(losses, weights=weights))],
            "penalty": [float(penalty.value(weight))],
            "validation_score": [validation_score],
        },
        state={"weight": weight, "bias": bias},
        engine="solved",
    )


def _score(study: Study, task: str, examples: Examples, outputs: np.ndarray) -> float:
    prediction = predict_from_outputs(outputs, task)
    return find_metric(study.metric, task).score(examples.y, prediction, examples.scale)


def _weigh_rows(y: np.ndarray, outputs: int) -> np.ndarray:
    weights: np.ndarray = balance_classes(y, max(outputs, 2)).astype(np.float64)[y]
    return weights


def _make_penalty(trial: Trial) -> Penalty:
    if trial.method == "none":
        return L2(0.0)
    return parse_method(trial.method).make_penalty(trial.strength)


def _read_targets(examples: Examples, parts: Parts) -> tuple[str, np.ndarray]:
    """The name of the loss, and its targets (rows, outputs)."""
    if parts.task == "numbers":
        return "squared_error", examples.y.astype(np.float64)[:, None]
    if parts.outputs == 1:
        return "binary_log_loss", examples.y.astype(np.float64)[:, None]
    return "log_loss", np.eye(parts.outputs)[examples.y]
