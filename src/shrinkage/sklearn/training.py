"""Training a network by mini-batches, with the rules of scikit-learn's MLP: `train`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from scipy import sparse
from scipy.special import expit

from shrinkage.linear.losses import LOSSES
from shrinkage.sklearn.parameters import Array, BoundPenalty, Parameters
from shrinkage.sklearn.update_rules import UpdateRule

ACTIVATIONS: dict[str, Callable[..., Any]] = {  # in place
    "identity": lambda values, out: out,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda values, out: np.maximum(values, 0, out=out),
}
DERIVATIVES: dict[str, Callable[[Array], Array | float]] = {  # from the activation's output
    "identity": lambda outputs: 1.0,
    "logistic": lambda outputs: outputs * (1 - outputs),
    "tanh": lambda outputs: 1 - outputs * outputs,
    "relu": lambda outputs: outputs > 0,
}


@final
@dataclass(frozen=True)
class Data:
    """What a network learns from.

    Attributes
    ----------
    X : array or CSR matrix (samples, inputs)
    targets : array (samples, outputs)
        Of the type of X, as the loss takes them.
    weights : array (samples,) or None
        At least 0, and not all 0.
    """

    X: Any
    targets: Array
    weights: Array | None

    def batch(self, rows: Array) -> Data:
        """These rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Data(self.X[rows], self.targets[rows], weights)

    @property
    def total_weight(self) -> float:
        """The sum of the weights; without weights the number of samples."""
        return float(len(self.targets) if self.weights is None else self.weights.sum())

    def with_mean_weight(self) -> Data:
        """The same with weights whose mean is 1, in the type of X."""
        if self.weights is None:
            return self
        weights = (self.weights / self.weights.mean()).astype(self.X.dtype)
        return Data(self.X, self.targets, weights)


@final
@dataclass(frozen=True)
class Objective:
    """The mean of weight·loss over a batch, ``alpha/2·Σw²`` over its rows, and Ω.

    Where samples have weights, `alpha` is already divided by their mean.
    """

    loss: str
    activation: str
    alpha: float
    penalty: BoundPenalty | None


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


def forward(coefs: list[Array], intercepts: list[Array], X: Any, activation: str) -> list[Array]:
    """The outputs of each layer: X, those of the hidden layers, and last the scores."""
    outputs = [X]
    for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True), start=1):
        values = np.asarray(outputs[-1] @ coef)
        values += intercept
        if layer < len(coefs):
            ACTIVATIONS[activation](values, out=values)
        outputs.append(values)
    return outputs


def loss_and_gradient(
    parameters: Parameters, data: Data, objective: Objective, gradient: Array
) -> float:
    """The data loss with its `alpha` part; `gradient`, like the parameters, becomes its derivative.

    That is the mean of weight·loss over the samples, and ``alpha/(2·samples)·Σw²``.
    """
    n_samples, weights = len(data.targets), data.weights
    coefs, intercepts = parameters.coefs, parameters.intercepts
    outputs = forward(coefs, intercepts, data.X, objective.activation)
    losses, delta = LOSSES[objective.loss].evaluate(outputs[-1], data.targets)
    if weights is None:
        mean = float(losses.sum()) / n_samples
        delta *= 1.0 / n_samples
    else:
        mean = float(weights @ losses) / n_samples
        delta *= (weights / n_samples)[:, None]
    by_coefs, by_intercepts = parameters.views(gradient)
    for layer in reversed(range(len(coefs))):
        source = outputs[layer]
        if sparse.issparse(source):
            by_coefs[layer][...] = source.T @ delta
        else:
            np.matmul(source.T, delta, out=by_coefs[layer])
        delta.sum(axis=0, out=by_intercepts[layer])
        if layer:
            delta = delta @ coefs[layer].T
            delta *= DERIVATIVES[objective.activation](source)
    if objective.alpha:
        decay, end = objective.alpha / n_samples, parameters.n_weights
        flat = parameters.values[:end]
        gradient[:end] += decay * flat
        mean += 0.5 * decay * float(flat @ flat)
    return mean


@np.errstate(over="ignore", invalid="ignore")  # the caller looks at the parameters
def train(
    parameters: Parameters,
    data: Data,
    objective: Objective,
    rule: UpdateRule,
    schedule: Schedule,
    progress: Progress,
    rng: np.random.RandomState,
    validate: Callable[[], float] | None = None,
) -> bool:
    """Train `parameters` in place for some epochs, and keep count in `progress`.

    Parameters
    ----------
    data : Data
        With weights whose mean is 1, so that batches of any rows have the same objective on
        average. (scikit-learn divides by the weights of the batch.)
    validate : function, optional
        The score by which training stops early and the best parameters are kept; without it the
        loss decides.

    Returns
    -------
    Whether it ended because there was no more progress.
    """
    progress.n_iter, is_done = 0, False
    order = np.arange(len(data.targets))
    try:
        while progress.n_iter < schedule.max_iter and not is_done:
            if schedule.shuffle:
                order = order[rng.permutation(len(order))]
            batches = [
                order[start : start + schedule.batch_size]
                for start in range(0, len(order), schedule.batch_size)
            ]
            loss = _run_epoch(parameters, data, batches, objective, rule)
            progress.n_iter += 1
            progress.samples_seen += len(data.targets)
            progress.loss_curve.append(loss)
            if schedule.verbose:
                print(f"Iteration {progress.n_iter}, loss = {loss:.8f}")
            if validate is None:
                _judge(progress, -loss, schedule.tol)
            else:
                _validate(progress, validate(), schedule, parameters)
            rule.end_epoch(progress.samples_seen)
            if progress.stalled > schedule.n_iter_no_change:
                is_done = rule.ends_when_stalled()
                progress.stalled = 0
    except KeyboardInterrupt:
        warnings.warn("training was interrupted; the model is what it was then", stacklevel=2)
        is_done = True
    if progress.best_values is not None:
        parameters.values[...] = progress.best_values
    return is_done


def _run_epoch(
    parameters: Parameters,
    data: Data,
    batches: list[Array],
    objective: Objective,
    rule: UpdateRule,
) -> float:
    """One step for each batch of rows; the mean of the objective before the steps."""
    theta, penalty = parameters.values, objective.penalty
    gradient, total = np.empty_like(theta), 0.0
    for rows in batches:
        value = loss_and_gradient(parameters, data.batch(rows), objective, gradient)
        if penalty is not None:
            value += penalty.value(theta)
            if penalty.how == "coupled":
                penalty.add_gradient_(theta, gradient)
        own_step = rule.step_(theta, gradient)
        if penalty is not None and penalty.how == "proximal":
            penalty.prox_(theta, own_step)
        total += value * len(rows)
    return total / len(data.targets)


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
