"""Layers, a loss and an optimizer put together: fit, predict, evaluate, save, load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.activations import Softmax
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.checks import Array, Seed, check_inputs, check_size, make_rng
from shrinkage.scratch.compacting import compact_
from shrinkage.scratch.compatibility import check_parameters, check_parts
from shrinkage.scratch.layers import Dense, Dropout, Layer, dense_layers
from shrinkage.scratch.losses import SoftmaxCategoricalCrossEntropy
from shrinkage.scratch.storage import Parts, read_parts, write_parts
from shrinkage.scratch.targets import check_samples
from shrinkage.scratch.training import HISTORY_COLUMNS, Training, format_progress

History = dict[str, list[float]]


@final
class Network:
    """Layers in their order, a loss, and an optimizer, which `fit` trains.

    It minimizes the data loss plus the penalties of the layers.

    Parameters
    ----------
    layers : sequence of layers
        Each `Dense` takes as many features as the `Dense` before it puts out.
    loss : Loss
        `SoftmaxCategoricalCrossEntropy` after a `Dense`, `CategoricalCrossEntropy` after
        `Softmax`, `BinaryCrossEntropy` after `Sigmoid`, the errors after anything.
    optimizer : Optimizer
        Not shared with another network: it counts the steps.

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
    >>> centers = np.array([[0.0, 0.5], [0.66, 0.5]])
    >>> network.predict(centers).tolist()
    [0, 2]
    >>> probabilities = network.predict_proba(centers)  # (2, 3), each row with the sum 1
    >>> probabilities.argmax(axis=1).tolist()
    [0, 2]
    >>> network.evaluate(*vertical(100, 3, rng=1))["accuracy"] > 0.9
    True
    >>> 0 < network.regularization_loss() < 0.1
    True

    A saved network predicts the same, and its training continues as if it had not stopped:

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     network.save(f"{folder}/network.npz")
    ...     again = Network.load(f"{folder}/network.npz")
    >>> bool((again.predict(X) == network.predict(X)).all())
    True
    """

    def __init__(self, layers: Sequence[Layer], *, loss: Loss, optimizer: Optimizer) -> None:
        self.layers = tuple(layers)
        self.loss, self.optimizer = loss, optimizer
        check_parts(self.layers, loss, optimizer)

    @property
    def dense(self) -> list[Dense]:
        """The layers that learn."""
        return dense_layers(self.layers)

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
        """Train from the present weights, or from the nearest ones within the constraints.

        Parameters
        ----------
        X : array (samples, features)
        y : array
            As the loss takes it: class indices or one-hot rows, or numbers.
        epochs : int
            How many times to go through all samples.
        batch_size : int, optional
            Samples a step, drawn in a new order each epoch; by default all, in their own order.
        rng : Generator, int or None
            Where the order of mini-batches comes from.
        progress : int, default 0
            Print a line every so many epochs, and for the last; 0 prints nothing.

        Returns
        -------
        History: for each epoch "accuracy" (or "r2"), "loss", "data_loss" and
        "regularization_loss", as they were before the epoch's step, or with mini-batches their
        mean over the steps; and "lr", the learning rate of the last step before the epoch.

        Raises
        ------
        FloatingPointError
            If the loss is no longer finite. The network is then as it was before.
        KeyboardInterrupt
            The network keeps what it learned; the last step may be incomplete.

        Notes
        -----
        Where Numba is installed, compiled loops take the steps of a long training, equal to those
        of the layers to rounding: under `SGD` or `Adam`, with `ReLU`, `Sigmoid` or nothing between
        all `Dense` layers, for `MeanSquaredError` or the cross-entropy of a softmax, and for the
        penalties of single entries and of groups.
        """
        epochs = check_size("epochs", epochs)
        progress = check_size("progress", progress, least=0)
        check_parts(self.layers, self.loss, self.optimizer)
        for layer in self.dense:
            check_parameters(layer)
        X, targets = self._check_data(X, y)
        size = len(X) if batch_size is None else check_size("batch_size", batch_size)
        history: History = {name: [] for name in (self.loss.score, *HISTORY_COLUMNS)}
        restore = self._remember_state()
        try:
            training = Training(
                *(self.layers, self.loss, self.optimizer, X, targets),
                epochs=epochs,
                batch_size=min(size, len(X)),
                rng=make_rng(rng),
            )
            try:
                for epoch in range(epochs):
                    row = training.run_epoch(epoch)
                    for name, value in row.items():
                        history[name].append(value)
                    if progress and (epoch % progress == 0 or epoch == epochs - 1):
                        print(format_progress(epoch, row, heading=epoch == 0), flush=True)
            except KeyboardInterrupt:
                self.optimizer.cancel_update()
                training.write_back()
                raise
            training.write_back()
        except Exception:
            restore()
            raise
        return history

    def _remember_state(self) -> Callable[[], None]:
        """Return a function that puts everything back to how it is now."""
        optimizer = self.optimizer
        iterations, lr = optimizer.iterations, optimizer.current_lr
        memories = {layer: deepcopy(memory) for layer, memory in optimizer.memories.items()}
        arrays = [one.values for layer in self.dense for one in layer.parameters()]
        before = [array.copy() for array in arrays]
        generators = [
            layer.rng.bit_generator for layer in self.layers if isinstance(layer, Dropout)
        ]
        states = [generator.state for generator in generators]

        def restore() -> None:
            optimizer.iterations, optimizer.current_lr = iterations, lr
            optimizer.memories = memories
            optimizer.cancel_update()
            for array, values in zip(arrays, before, strict=True):
                array[...] = values
            for generator, state in zip(generators, states, strict=True):
                generator.state = state

        return restore

    def predict(self, X: ArrayLike) -> Array:
        """The class index of each sample, (samples,); or numbers, (samples, outputs).

        With `BinaryCrossEntropy` the numbers are 0 or 1.
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
        """The "accuracy" (or "r2") and the "data_loss" on other data, without dropout."""
        X, targets = self._check_data(X, y)
        with np.errstate(over="ignore", invalid="ignore"):  # the layers check their inputs
            output = self._outputs(X)
        score = self.loss.score_of(self.loss.score_sum(output, targets), targets)
        return {self.loss.score: score, "data_loss": self.loss.forward(output, targets)}

    def regularization_loss(self) -> float:
        """The sum of all penalties, which `fit` adds to the data loss."""
        return self.loss.regularization_loss(*self.layers)

    def save(self, path: str | Path) -> None:
        """Write the network, with all that training needs to continue, to one file without pickle.

        The file appears whole or not at all.

        Raises
        ------
        ValueError
            If a penalty has no text form (index lists), or a layer is not from this library.
        """
        write_parts(Parts(self.layers, self.loss, self.optimizer), Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """The network that `save` wrote.

        Raises
        ------
        ValueError
            If the file holds no network that `save` wrote.
        """
        layers, loss, optimizer = read_parts(Path(path))
        return cls(layers, loss=loss, optimizer=optimizer)

    def compact(self) -> Network:
        """The same predictions from a network without the hidden units that change no output.

        Penalties on groups set all weights of a unit to 0. What the optimizer remembers goes along,
        so that training continues from the new network. This one stays as it is.

        Raises
        ------
        ValueError
            If a unit would go of which a penalty knows by its index.

        Examples
        --------
        >>> from shrinkage.scratch import SGD, MeanSquaredError, ReLU
        >>> layers = [Dense(2, 64, rng=0), ReLU(), Dense(64, 1, rng=1)]
        >>> network = Network(layers, loss=MeanSquaredError(), optimizer=SGD())
        >>> network.layers[0].weights[:, 11:] = 0.0
        >>> network.compact().layers[0]
        Dense(2, 11)
        """
        small = deepcopy(self)
        compact_(small.layers, small.optimizer)
        return small

    def _outputs(self, X: ArrayLike) -> Array:
        """The output of the last layer, without dropout."""
        output = np.asarray(X)
        for layer in self.layers:
            if not isinstance(layer, Dropout):
                layer.forward(output)
                assert layer.output is not None
                output = layer.output
        return output

    def _check_data(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        first, last = self.dense[0], self.dense[-1]
        X = check_inputs(X, features=first.n_in, dtype=first.dtype)
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
