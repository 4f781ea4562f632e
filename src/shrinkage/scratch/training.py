"""What `fit` does: data in batches and tiles, and one step of the optimizer for each batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from shrinkage.scratch.checks import Array, NotFiniteError
from shrinkage.scratch.flat import Flat, FlatPenalty
from shrinkage.scratch.passes import Pass, ones, tiles

if TYPE_CHECKING:
    from shrinkage.scratch.network import Network

Tile = tuple[Pass, Array, Array]  # with its inputs (features + 1, samples) and targets
COLUMNS = ("loss", "data_loss", "regularization_loss", "lr")


class Training:
    """One call of `fit`: the data in batches and tiles, and the parameters as one vector."""

    def __init__(
        self, network: Network, X: Array, targets: Array, batch_size: int, rng: np.random.Generator
    ) -> None:
        self.network, self.targets, self.batch_size, self.rng = network, targets, batch_size, rng
        self.inputs = np.ones((len(X), X.shape[1] + 1), X.dtype)  # the last feature is the 1 of b
        self.inputs[:, :-1] = X
        self.flat = Flat(network.dense)
        self.flat.read()
        self.memory = self.flat.read_memory(network.optimizer.memories)
        self.coupled = FlatPenalty(self.flat, "coupled")
        self.proximal = FlatPenalty(self.flat, "proximal")
        self.proximal.project_(self.flat.values)
        self.gradient, self.part = np.empty_like(self.flat.values), np.empty_like(self.flat.values)
        self.width = max(max(layer.n_in, layer.n_out) for layer in network.dense)
        self.passes: dict[int, Pass] = {}
        whole = batch_size == len(X)
        self.whole_batch = list(self._tiles(np.arange(len(X)), keep=True)) if whole else None

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite is said
    def epoch(self, number: int) -> dict[str, float]:
        """One step for each batch; the row of the history."""
        lr, samples = self.network.optimizer.current_lr, len(self.targets)
        data = score = penalty = 0.0
        for batch, size in self._batches():
            try:
                sums = self._step(batch, size)
            except NotFiniteError:  # somewhere between the layers: the data were looked at
                sums = (math.nan, 0.0, 0.0)
            data, score, penalty = data + sums[0], score + sums[1], penalty + sums[2] * size
            if not math.isfinite(data + penalty):
                raise self._astray(f"the loss is {data + penalty} at epoch {number}")
            if not self._remembers_numbers():  # √∞ would stop Adam in silence
                raise self._astray(f"the squares of the derivatives overflow at epoch {number}")
        data, penalty = data / samples, penalty / samples
        return {
            self.network.loss.score: self.network.loss.score_of(score, self.targets),
            "loss": data + penalty,
            "data_loss": data,
            "regularization_loss": penalty,
            "lr": lr,
        }

    def keep(self) -> None:
        """Give the layers and the optimizer what was learned.

        Raises
        ------
        FloatingPointError
            If the last step, whose loss nobody has seen, went astray.
        """
        if not np.isfinite(self.flat.values).all():
            raise self._astray("the last step led to infinite weights")
        self.flat.write()
        self.flat.write_memory(self.memory, self.network.optimizer.memories)

    def _remembers_numbers(self) -> bool:
        arrays = [one for one in self.memory.values() if isinstance(one, np.ndarray)]
        return all(math.isfinite(np.add.reduce(one)) for one in arrays)

    def _astray(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"{what}: training went astray; lower lr ({self.network.optimizer!r}) or the "
            "penalties, or scale the data. The network is as it was before"
        )

    def _step(self, batch: Iterable[Tile], size: int) -> tuple[float, ...]:
        """One step of the optimizer; the sums over the batch's samples, and the penalties."""
        theta, gradient, optimizer = self.flat.values, self.gradient, self.network.optimizer
        gradient.fill(0.0)
        data = score = 0.0
        for single, inputs, prepared in batch:
            sums = single.run(inputs, prepared, 1.0 / size)
            gradient += self.part
            data, score = data + sums[0], score + sums[1]
        penalty = self.coupled.value(theta) + self.proximal.value(theta)
        self.coupled.add_gradient_(theta, gradient)
        optimizer.pre_update()
        own = optimizer.move_(theta, gradient, self.memory)
        self.proximal.prox_(theta, own)
        optimizer.post_update()
        return data, score, penalty

    def _batches(self) -> Iterator[tuple[Iterable[Tile], int]]:
        if self.whole_batch is not None:
            yield self.whole_batch, len(self.targets)
            return
        order = self.rng.permutation(len(self.targets))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self._tiles(rows), len(rows)

    def _tiles(self, rows: Array, *, keep: bool = False) -> Iterator[Tile]:
        """These rows tile by tile; `keep` if all are to be at hand together."""
        for here in tiles(len(rows), self.width, self.inputs.itemsize):
            size = here.stop - here.start
            if size not in self.passes:
                network = self.network
                self.passes[size] = Pass(network.layers, network.loss, self.flat, self.part, size)
            single = self.passes[size]
            inputs = ones(single.inputs.shape, single.inputs.dtype) if keep else single.inputs
            inputs[...] = self.inputs[rows[here]].T
            yield single, inputs, single.prepare(self.targets[rows[here]])


def progress_line(epoch: int, row: dict[str, float], *, heading: bool) -> str:
    """One line of a table, with its heading before the first."""
    score = next(iter(row))
    line = (
        f"{epoch:7d} {row[score]:9.3f} {row['loss']:9.3f} {row['data_loss']:10.3f} "
        f"{row['regularization_loss']:20.3g} {row['lr']:#14.9g}"
    )
    if not heading:
        return line
    names = f"{'loss':>9} {'data loss':>10} {'regularization loss':>20} {'learning rate':>14}"
    return f"{'epoch':>7} {score:>9} {names}\n{line}"
