"""What `fit` does: one step of the optimizer for each batch, and a row of the history an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from shrinkage.mlp.availability import can_compile
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.checks import Array, NotFiniteError
from shrinkage.scratch.layer_engine import LayerEngine
from shrinkage.scratch.layers import Layer, Parameter, dense_layers

HISTORY_COLUMNS = ("loss", "data_loss", "regularization_loss", "lr")
LEAST_WORK = 2.0  # seconds in the layers; loading compiled loops takes one, compiling them many
# Seconds in the layers: for a step, and for each output and each weight of a layer and sample.
STEP, OUTPUT, PRODUCT = 9e-4, 2e-8, 5e-10


class Engine(Protocol):
    """Takes steps on samples that it was given."""

    def step(self, rows: Array | None) -> tuple[float, float, float]:
        """Take one step on these samples, or on all.

        Returns the sum of the samples' losses, their `score_sum`, and the penalties, as they were
        before the step. Where the first is not finite, the step may be left out.
        """

    def memory(self) -> list[Array]:
        """The arrays that the optimizer remembers."""

    def finish(self) -> None:
        """Leave in the layers and the optimizer what was learned."""


def choose_engine(
    layers: Sequence[Layer], loss: Loss, optimizer: Optimizer, X: Array, targets: Array, work: float
) -> Engine:
    """Compiled loops where there are some and the work is worth loading them, else the layers.

    The choice depends on nothing but the arguments, so that equal trainings give equal networks.
    """
    if work >= LEAST_WORK and can_compile():
        from shrinkage.scratch.compiled_engine import CompiledEngine, NoLoopError

        with suppress(NoLoopError):
            return CompiledEngine(layers, loss, optimizer, X, targets)
    return LayerEngine(layers, loss, optimizer, X, targets)


def project_(parameter: Parameter) -> None:
    """Move weights to the nearest ones within a constraint that a prox will keep."""
    layer, _, values, penalty = parameter
    if penalty is not None and layer.how == "proximal" and penalty.traits.is_constrained:
        values[...] = penalty.prox(values, 0.0)


class Training:
    """One call of `fit`: the batches, the steps on them, and the history."""

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        optimizer: Optimizer,
        X: Array,  # (samples, features)
        targets: Array,
        *,
        epochs: int,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        self.loss, self.optimizer, self.targets = loss, optimizer, targets
        self.batch_size, self.rng = batch_size, rng
        self.dense = dense_layers(layers)
        for layer in self.dense:
            for parameter in layer.parameters():
                project_(parameter)
        # The steps before count as well: `fit` may be called again and again for an epoch.
        steps = optimizer.iterations + epochs * math.ceil(len(X) / batch_size)
        sample = sum(layer.n_out * (OUTPUT + layer.n_in * PRODUCT) for layer in self.dense)
        work = steps * (STEP + batch_size * sample)
        self.engine = choose_engine(layers, loss, optimizer, X, targets, work)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # checked after each batch
    def run_epoch(self, number: int) -> dict[str, float]:
        """Take one step for each batch, and return the row of the history."""
        lr, samples = self.optimizer.current_lr, len(self.targets)
        data = score = penalty = 0.0
        for rows in self._batches():
            try:
                sums = self.engine.step(rows)
            except NotFiniteError:  # arose between the layers: the data were checked before
                sums = (math.nan, 0.0, 0.0)
            size = samples if rows is None else len(rows)
            data, score, penalty = data + sums[0], score + sums[1], penalty + sums[2] * size
            if not math.isfinite(data + penalty):
                raise self._divergence(f"the loss is {data + penalty} at epoch {number}")
            # Adam divides by √v: where v is infinite, it would stop without a word.
            if not all(math.isfinite(np.add.reduce(array, None)) for array in self.engine.memory()):
                raise self._divergence(f"the squares of the derivatives overflow at epoch {number}")
        data, penalty = data / samples, penalty / samples
        return {
            self.loss.score: self.loss.score_of(score, self.targets),
            "loss": data + penalty,
            "data_loss": data,
            "regularization_loss": penalty,
            "lr": lr,
        }

    def write_back(self) -> None:
        """Give the layers and the optimizer what was learned.

        Raises
        ------
        FloatingPointError
            If the last step, after which no loss was computed, led to infinite weights.
        """
        self.engine.finish()
        for layer in self.dense:
            if not all(np.isfinite(parameter.values).all() for parameter in layer.parameters()):
                raise self._divergence("the last step led to infinite weights")

    def _divergence(self, reason: str) -> FloatingPointError:
        return FloatingPointError(
            f"{reason}: training diverged; lower lr ({self.optimizer!r}) or the penalties, or "
            "scale the data. The network is as it was before"
        )

    def _batches(self) -> Iterable[Array | None]:
        """The rows of each batch; None stands for all."""
        samples = len(self.targets)
        if self.batch_size == samples:
            return [None]
        order = self.rng.permutation(samples)
        return [order[low : low + self.batch_size] for low in range(0, samples, self.batch_size)]


def format_progress(epoch: int, row: dict[str, float], *, heading: bool) -> str:
    """One line of the table that `fit` prints, with the heading above the first."""
    score = next(iter(row))
    line = (
        f"{epoch:7d} {row[score]:9.3f} {row['loss']:9.3f} {row['data_loss']:10.3f} "
        f"{row['regularization_loss']:20.3g} {row['lr']:#14.9g}"
    )
    if not heading:
        return line
    names = f"{'loss':>9} {'data loss':>10} {'regularization loss':>20} {'learning rate':>14}"
    return f"{'epoch':>7} {score:>9} {names}\n{line}"
