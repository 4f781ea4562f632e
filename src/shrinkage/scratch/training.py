"""What `fit` does: data in batches and tiles, and one step of the optimizer for each batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.checks import Array, NotFiniteError
from shrinkage.scratch.flat import FlatParameters, FlatPenalty
from shrinkage.scratch.layers import Layer, dense_layers
from shrinkage.scratch.passes import Pass, aligned_ones, split_into_tiles

Tile = tuple[Pass, Array, Array]  # with its inputs (features + 1, samples) and its targets
HISTORY_COLUMNS = ("loss", "data_loss", "regularization_loss", "lr")


class Training:
    """One call of `fit`: the data in batches and tiles, and the parameters as one vector."""

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        optimizer: Optimizer,
        X: Array,  # (samples, features)
        targets: Array,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        self.layers, self.loss, self.optimizer = layers, loss, optimizer
        self.targets, self.batch_size, self.rng = targets, batch_size, rng
        self.inputs = np.ones((len(X), X.shape[1] + 1), X.dtype)  # the last feature is the 1 of b
        self.inputs[:, :-1] = X
        dense = dense_layers(layers)
        self.parameters = FlatParameters(dense)
        self.parameters.read()
        self.memory = self.parameters.read_memory(optimizer.memories)
        self.coupled = FlatPenalty(self.parameters, "coupled")
        self.proximal = FlatPenalty(self.parameters, "proximal")
        self.proximal.project_(self.parameters.values)
        self.gradient = np.empty_like(self.parameters.values)  # of the whole batch
        self.tile_gradient = np.empty_like(self.gradient)  # which each pass overwrites
        self.width = max(max(layer.n_in, layer.n_out) for layer in dense)
        self.passes: dict[int, Pass] = {}  # by the number of samples
        is_whole = batch_size == len(X)
        self.whole_batch = list(self._tiles(np.arange(len(X)), keep=True)) if is_whole else None

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # checked after each batch
    def run_epoch(self, number: int) -> dict[str, float]:
        """Take one step for each batch, and return the row of the history."""
        lr, samples = self.optimizer.current_lr, len(self.targets)
        data = score = penalty = 0.0
        for batch, size in self._batches():
            try:
                sums = self._step(batch, size)
            except NotFiniteError:  # arose between the layers: the data were checked before
                sums = (math.nan, 0.0, 0.0)
            data, score, penalty = data + sums[0], score + sums[1], penalty + sums[2] * size
            if not math.isfinite(data + penalty):
                raise self._divergence(f"the loss is {data + penalty} at epoch {number}")
            # Adam divides by √v: where v is infinite, it would stop without a word.
            arrays = [value for value in self.memory.values() if isinstance(value, np.ndarray)]
            if not all(math.isfinite(np.add.reduce(array)) for array in arrays):
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
        if not np.isfinite(self.parameters.values).all():
            raise self._divergence("the last step led to infinite weights")
        self.parameters.write()
        self.parameters.write_memory(self.memory, self.optimizer.memories)

    def _divergence(self, reason: str) -> FloatingPointError:
        return FloatingPointError(
            f"{reason}: training diverged; lower lr ({self.optimizer!r}) or the penalties, or "
            "scale the data. The network is as it was before"
        )

    def _step(self, batch: Iterable[Tile], size: int) -> tuple[float, float, float]:
        """Take one step; return the sums of loss and score over the samples, and the penalties."""
        theta, gradient = self.parameters.values, self.gradient
        gradient.fill(0.0)
        data = score = 0.0
        for tile, inputs, prepared in batch:
            tile_data, tile_score = tile.run(inputs, prepared, 1.0 / size)
            gradient += self.tile_gradient
            data, score = data + tile_data, score + tile_score
        penalty = self.coupled.value(theta) + self.proximal.value(theta)
        self.coupled.add_gradient_(theta, gradient)
        self.optimizer.pre_update()
        own_step = self.optimizer.move_(theta, gradient, self.memory)
        self.proximal.prox_(theta, own_step)
        self.optimizer.post_update()
        return data, score, penalty

    def _batches(self) -> Iterator[tuple[Iterable[Tile], int]]:
        """The tiles of each batch, and how many samples it has."""
        if self.whole_batch is not None:
            yield self.whole_batch, len(self.targets)
            return
        order = self.rng.permutation(len(self.targets))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self._tiles(rows), len(rows)

    def _tiles(self, rows: Array, *, keep: bool = False) -> Iterator[Tile]:
        """These rows tile by tile; with `keep` each tile has memory of its own for its inputs."""
        for tile in split_into_tiles(len(rows), self.width, self.inputs.itemsize):
            size = tile.stop - tile.start
            if size not in self.passes:
                self.passes[size] = Pass(
                    self.layers, self.loss, self.parameters, self.tile_gradient, size
                )
            one_pass = self.passes[size]
            inputs = one_pass.inputs
            if keep:
                inputs = aligned_ones(inputs.shape, inputs.dtype)
            inputs[...] = self.inputs[rows[tile]].T
            yield one_pass, inputs, one_pass.prepare(self.targets[rows[tile]])


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
