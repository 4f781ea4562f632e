"""Epochs in NumPy: the slow twin of the compiled loops, which trains where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from scipy import sparse
from scipy.special import expit

from shrinkage.linear.losses import LOSSES
from shrinkage.sklearn.parameters import Array, Parameters
from shrinkage.sklearn.task import Data, Objective, Task

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


@final
class NumpyEngine:
    """Takes the steps of an epoch one by one."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._gradient = np.empty_like(task.parameters.values)

    @np.errstate(over="ignore", invalid="ignore")  # training looks at the loss
    def run_epoch(self, order: Array, ranges: Array) -> float:
        task, gradient = self._task, self._gradient
        theta, penalty = task.parameters.values, task.objective.penalty
        total = 0.0
        for low, high in ranges.tolist():
            batch = task.data.batch(order[low:high])
            loss = loss_and_gradient(task.parameters, batch, task.objective, gradient)
            total += loss * (high - low)
            if penalty is not None and penalty.how == "coupled":
                penalty.add_gradient_(theta, gradient)
            own_step = task.rule.step_(theta, gradient)
            if penalty is not None and penalty.how == "proximal":
                penalty.prox_(theta, own_step)
        return total / len(task.data.targets)

    def finish(self) -> None:
        pass
