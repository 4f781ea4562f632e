"""Layers, a loss and an optimizer put together: fit, predict, evaluate, save, load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.checks import Array, Seed, checked_inputs, checked_rng, checked_size
from shrinkage.scratch.layers import Dense, Dropout, Layer, Softmax
from shrinkage.scratch.losses import (
    Loss,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.optimizers import Optimizer
from shrinkage.scratch.parts import check_parts
from shrinkage.scratch.targets import check_samples
from shrinkage.scratch.training import COLUMNS, Training, progress_line

History = dict[str, list[float]]


@final
class Network:
    """A network that trains itself: layers in their order, a loss, and an optimizer.

    What `fit` minimizes is the data loss plus the penalties of the layers.

    Parameters
    ----------
    layers : sequence of layers
        Each `Dense` takes as many features as come out before it.
    loss : Loss
        `SoftmaxCategoricalCrossEntropy` after a `Dense`, `CategoricalCrossEntropy` after
        `Softmax`, `BinaryCrossEntropy` after `Sigmoid`, the errors after anything.
    optimizer : Optimizer
        One of its own: it counts the steps.

    Raises
    ------
    TypeError, ValueError
        If the parts do not fit together, with what does not fit.

    Examples
    --------
    >>> from shrinkage import L2
    >>> from shrinkage.scratch import Adam, ReLU, vertical
    >>> X, y = vertical(100, 3)
    >>> network = Network(
    ...     [Dense(2, 16, weight_penalty=L2(1e-4), rng=0), ReLU(), Dense(16, 3, rng=1)],
    ...     loss=SoftmaxCategoricalCrossEntropy(),
    ...     optimizer=Adam(lr=0.05),
    ... )
    >>> history = network.fit(X, y, epochs=200)
    >>> history["accuracy"][-1] > 0.9
    True
    >>> network.predict(np.array([[0.0, 0.5], [0.66, 0.5]])).tolist()
    [0, 2]
    """

    def __init__(self, layers: Sequence[Layer], *, loss: Loss, optimizer: Optimizer) -> None:
        self.layers = tuple(layers)
        self.loss, self.optimizer = loss, optimizer
        check_parts(self.layers, loss, optimizer)

    @property
    def dense(self) -> list[Dense]:
        """The layers that learn."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int,
        batch_size: int | None = None,
        rng: Seed = None,
        progress: int = 0,
    ) -> History:
        """Train, going on from where the network stands, or from the nearest point in a constraint.

        Parameters
        ----------
        X : array (samples, features)
        y : array
            As the loss takes it: class indices or one-hot rows, or numbers.
        epochs : int
            How often all samples are gone through.
        batch_size : int, optional
            Samples a step, drawn in a new order each epoch; by default all, in their own order.
        rng : Generator, int or None
            Where the order of mini-batches comes from.
        progress : int, default 0
            Print a line every so many epochs, and for the last; 0 prints nothing.

        Returns
        -------
        History: for each epoch "accuracy" (or "r2"), "loss", "data_loss", "regularization_loss",
        all before the epoch's steps, or with mini-batches their mean over these; and "lr", the rate
        of the latest step before.

        Raises
        ------
        FloatingPointError
            If the loss is no finite number any more. The network is then as it was before.
        KeyboardInterrupt
            What was learned is kept; the step under way may be done in part.
        """
        epochs = checked_size("epochs", epochs)
        progress = checked_size("progress", progress, least=0)
        check_parts(self.layers, self.loss, self.optimizer)
        X, targets = self._checked_data(X, y)
        size = len(X) if batch_size is None else checked_size("batch_size", batch_size)
        training = Training(self, X, targets, min(size, len(X)), checked_rng(rng))
        history: History = {name: [] for name in (self.loss.score, *COLUMNS)}
        restore = self._remembered()
        try:
            for epoch in range(epochs):
                row = training.epoch(epoch)
                for name, value in row.items():
                    history[name].append(value)
                if progress and (epoch % progress == 0 or epoch == epochs - 1):
                    print(progress_line(epoch, row, heading=epoch == 0), flush=True)
            training.keep()
        except KeyboardInterrupt:
            self.optimizer._updated = None
            training.keep()
            raise
        except Exception:
            restore()
            raise
        return history

    def _remembered(self) -> Callable[[], None]:
        """What puts all but the weights back to where it is now."""
        optimizer = self.optimizer
        iterations, lr = optimizer.iterations, optimizer.current_lr
        generators = [
            layer.rng.bit_generator for layer in self.layers if isinstance(layer, Dropout)
        ]
        states = [generator.state for generator in generators]

        def restore() -> None:
            optimizer.iterations, optimizer.current_lr, optimizer._updated = iterations, lr, None
            for generator, state in zip(generators, states, strict=True):
                generator.state = state

        return restore

    def predict(self, X: ArrayLike) -> Array:
        """The class index of each sample, (samples,); or numbers, (samples, outputs).

        With `BinaryCrossEntropy` 0 or 1, (samples, outputs).
        """
        return self.loss.predictions(self._outputs(X))

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class, (samples, classes); of 1 with `BinaryCrossEntropy`."""
        if self.loss.score != "accuracy":
            raise TypeError(f"a network with {self.loss!r} predicts numbers: use predict")
        output = self._outputs(X)
        if isinstance(self.loss, SoftmaxCategoricalCrossEntropy):
            softmax = Softmax()
            softmax.forward(output)
            assert softmax.output is not None
            return softmax.output
        return output

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """ "accuracy" (or "r2") and "data_loss" on other data, with nothing dropped out."""
        X, targets = self._checked_data(X, y)
        with np.errstate(over="ignore", invalid="ignore"):  # the checks between layers say so
            output = self._outputs(X)
        score = self.loss.score_of(self.loss.score_sum(output, targets), targets)
        return {self.loss.score: score, "data_loss": self.loss.forward(output, targets)}

    def regularization_loss(self) -> float:
        """What the penalties add to the loss."""
        return self.loss.regularization_loss(*self.layers)

    def save(self, path: str | Path) -> None:
        """Write the network to one file, which appears whole or not at all.

        With all that training needs to go on as if it had not stopped. No pickle is involved.

        Raises
        ------
        ValueError
            If a penalty has no text form (index lists), or a layer is not of this library.
        """
        from shrinkage.scratch.storage import save

        save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """The network that `save` wrote.

        Raises
        ------
        ValueError
            If the file holds no network.
        """
        from shrinkage.scratch.storage import load

        return load(Path(path))

    def _outputs(self, X: ArrayLike) -> Array:
        """What comes out of the last layer."""
        output = np.asarray(X)
        for layer in self.layers:
            if not isinstance(layer, Dropout):
                layer.forward(output)
                assert layer.output is not None
                output = layer.output
        return output

    def _checked_data(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        first, last = self.dense[0], self.dense[-1]
        X = checked_inputs(X, features=first.n_in, dtype=first.dtype)
        targets = self.loss.targets(y, last.n_out)
        check_samples(X, targets)
        if targets.dtype.kind in "iu":
            return X, targets
        with np.errstate(over="ignore"):
            numbers = targets.astype(first.dtype)
        if not np.isfinite(numbers).all():
            most = np.abs(targets).max()
            raise ValueError(f"y must fit into {first.dtype}, but holds {most:g}: scale it")
        return X, numbers

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Network(\n{lines}    loss={self.loss!r},\n    optimizer={self.optimizer!r},\n)"
