"""Epochs by the compiled loops of `shrinkage.mlp`, which hold no lock of Python's.

Parameters are written after each epoch. The state of the update rule is read at first and written
back at the end, so that the next call goes on from it, in either engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import final

import numpy as np

from shrinkage.mlp import optimizers, training
from shrinkage.mlp.optimizers import NoLoopError, plan_pieces
from shrinkage.mlp.records import Activation, Loss
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.task import Task
from shrinkage.sklearn.update_rules import Sgd, UpdateRule

__all__ = ["CompiledEngine", "NoLoopError"]


@final
class CompiledEngine:
    """Takes the steps of an epoch in one call.

    Raises
    ------
    NoLoopError
        If no compiled loop has the penalty.
    """

    def __init__(self, task: Task) -> None:
        self._parameters, self._rule = task.parameters, task.rule
        objective, dtype = task.objective, task.parameters.values.dtype
        loss, bound = Loss[objective.loss.upper()], objective.penalty
        sizes = tuple(task.parameters.sizes)
        self._training = training.Training(
            training.Architecture(sizes, Activation[objective.activation.upper()], loss),
            _find_rule(task.rule),
            plan_pieces(sizes, None, "none")
            if bound is None
            else plan_pieces(sizes, bound.penalty, bound.how, bound.on),
            dtype=str(dtype),
            alpha=objective.alpha,
        )
        data = task.data
        targets = data.targets.argmax(axis=1) if loss is Loss.LOG_LOSS else data.targets
        self._data = training.Data(
            np.ascontiguousarray(data.X), np.ascontiguousarray(targets), data.weights
        )
        self._lr = task.rule.lr  # which momentum's buffer belongs to
        self._write_to_engine(self._parameters.values, self._training.values)
        self._read_state()

    def run_epoch(self, order: Array, ranges: Array) -> float:
        rule, stepper = self._rule, self._training.stepper
        if isinstance(rule, Sgd) and rule.lr != self._lr:
            # scikit-learn's velocity is −lr·buffer, and is kept where lr changes.
            stepper.rescale_momentum(self._lr / rule.lr)
            self._lr = rule.lr
        losses, _ = self._training.run(self._data, order, ranges, np.full(len(ranges), rule.lr))
        self._read_parameters()
        sizes = ranges[:, 1] - ranges[:, 0]
        return float(losses @ sizes) / len(self._data.targets)

    def finish(self) -> None:
        rule, stepper = self._rule, self._training.stepper
        self._read_parameters()  # of an epoch in which Ctrl-C was pressed
        if isinstance(rule, Sgd):
            self._read_from_engine(stepper.first, rule.velocity)
            rule.velocity *= -self._lr
            rule.reach = self._lr * float(stepper.counts[0])
        else:
            self._read_from_engine(stepper.first, rule.mean)
            self._read_from_engine(stepper.second, rule.square)
            rule.count = int(stepper.counts[0])

    def _read_parameters(self) -> None:
        self._read_from_engine(self._training.values, self._parameters.values)

    def _read_state(self) -> None:
        rule, stepper = self._rule, self._training.stepper
        if isinstance(rule, Sgd):
            self._write_to_engine(rule.velocity / -self._lr, stepper.first)
            stepper.counts[:] = rule.reach / self._lr
        else:
            self._write_to_engine(rule.mean, stepper.first)
            self._write_to_engine(rule.square, stepper.second)
            stepper.counts[:] = rule.count

    def _write_to_engine(self, own: Array, vector: Array) -> None:
        """Copy a vector like the parameters to one of the engine's, which may transpose weights."""
        for source, target in self._pair_views(own, vector):
            target[...] = source

    def _read_from_engine(self, vector: Array, own: Array) -> None:
        for target, source in self._pair_views(own, vector):
            target[...] = source

    def _pair_views(self, own: Array, vector: Array) -> Iterator[tuple[Array, Array]]:
        views = chain(*self._parameters.views(own)), chain(*self._training.views(vector))
        return zip(*views, strict=True)


def _find_rule(rule: UpdateRule) -> optimizers.Rule:
    if isinstance(rule, Sgd):
        return optimizers.Sgd(rule.momentum, rule.nesterov)
    return optimizers.Adam(rule.beta_1, rule.beta_2, rule.epsilon, scales_eps=True)
