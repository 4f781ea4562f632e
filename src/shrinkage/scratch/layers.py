"""The layers of a network: how numbers flow forward, and gradients backward.

Each layer is a function of the numbers that come in, one row a sample. `forward` computes the
`output` and keeps what the way back will need. `backward` is given ``dvalues``, the derivative of
the loss by each number of the output, and works out by the chain rule

- ``dinputs``, the derivative by each number that came in: the ``dvalues`` of the layer before,
- and in `Dense`, the only layer that learns, ``dweights`` and ``dbiases``.

So a network is trained by calling `forward` from the first layer to the last, `backward` from the
last to the first, and then moving weights and biases against their derivatives.

>>> import numpy as np
>>> from shrinkage.scratch import ReLU
>>> layer = ReLU()
>>> layer.forward(np.array([[1.0, -2.0, 3.0]]))
>>> layer.output
array([[1., 0., 3.]])
>>> layer.backward(np.array([[10.0, 10.0, 10.0]]))
>>> layer.dinputs
array([[10.,  0., 10.]])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from shrinkage.penalties import Penalty
from shrinkage.scratch.checks import (
    Array,
    Seed,
    check_dtype,
    check_dvalues,
    check_how,
    check_inputs,
    check_number,
    check_penalty,
    check_size,
    make_rng,
)


class Layer(ABC):
    """A function of the numbers that come in, with its derivatives.

    Each sample on its own: in `Network.fit` samples come in parts.
    """

    inputs: Array | None = None  # (samples, features), as `forward` was given them
    output: Array | None = None  # (samples, features of the output)
    dinputs: Array | None = None  # the derivative of the loss by `inputs`

    @abstractmethod
    def forward(self, inputs: ArrayLike) -> None:
        """Set `output`."""

    @abstractmethod
    def backward(self, dvalues: ArrayLike) -> None:
        """Set `dinputs`, given the derivative of the loss by `output`."""


@final
class Dense(Layer):
    """A layer in which every output depends on every input: ``output = inputs·W + b``.

    Backward, with ``d`` for the derivative of the loss by the output:
    ``dweights = inputsᵀ·d + ∂Ω_w(W)``, ``dbiases = Σ over samples of d + ∂Ω_b(b)`` and
    ``dinputs = d·Wᵀ``.

    A penalty Ω adds a cost for large weights to the loss. It knows its value and its derivative:
    ``L2(lam)`` is lam·Σw², with the derivative 2·lam·w; ``L1(lam)`` is lam·Σ|w|, with the
    derivative lam·sign(w), where sign(0) = 0, so that a weight that is zero is not pushed away.
    Penalties add up: ``L1(1e-4) + L2(1e-3)``.

    Parameters
    ----------
    n_in, n_out : int
        Features that come in, and features of the output; at least 1.
    weight_penalty, bias_penalty : Penalty, optional
        What large weights and large biases cost; by default nothing.
    how : {"coupled", "proximal"}, default "coupled"
        "coupled": the derivative of the penalty joins `dweights` and `dbiases`, as if it stood in
        the loss. "proximal": it does not; the optimizer shrinks the weights after each step
        instead, and weights become exactly zero where the penalty says so.
    scale : float, default 0.01
        The standard deviation of the normal numbers that the weights start from. ``(2/n_in)**0.5``
        suits deep networks of ReLU (He et al., 2015). Biases start from 0.
    dtype : default float64
        float32 is faster and has 7 digits instead of 16.
    rng : Generator, int or None
        Where the random numbers come from. The same whole number gives the same weights.

    Attributes
    ----------
    weights : array (n_in, n_out)
    biases : array (1, n_out)
    dweights, dbiases : arrays of the same shapes, None before the first `backward`

    Raises
    ------
    TypeError, ValueError
        For sizes below 1, a penalty that is not a `Penalty`, and one that has no prox where `how`
        needs it.

    Examples
    --------
    >>> from shrinkage import L2
    >>> layer = Dense(2, 3, weight_penalty=L2(0.5), rng=0)
    >>> layer
    Dense(2, 3, weight_penalty=L2(lam=0.5))
    >>> layer.forward(np.ones((4, 2)))
    >>> layer.output.shape
    (4, 3)
    >>> layer.backward(np.zeros((4, 3)))  # no loss but the penalty's
    >>> bool(np.all(layer.dweights == 2 * 0.5 * layer.weights))
    True
    >>> [parameter.name for parameter in layer.parameters()]
    ['weights', 'biases']
    >>> bool(layer.regularization_loss() == 0.5 * np.sum(layer.weights**2))
    True
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        weight_penalty: Penalty | None = None,
        bias_penalty: Penalty | None = None,
        how: str = "coupled",
        scale: float = 0.01,
        dtype: DTypeLike = np.float64,
        rng: Seed = None,
    ) -> None:
        self.n_in, self.n_out = check_size("n_in", n_in), check_size("n_out", n_out)
        self.weight_penalty: Penalty | None = None  # so that there is something to check with `how`
        self.bias_penalty: Penalty | None = None
        self.how = how
        self.weight_penalty, self.bias_penalty = weight_penalty, bias_penalty
        self.dtype = check_dtype(dtype)
        start = check_number("scale", scale) * make_rng(rng).standard_normal(
            (self.n_in, self.n_out)
        )
        self.weights: Array = start.astype(self.dtype)
        self.biases: Array = np.zeros((1, self.n_out), self.dtype)
        self.dweights: Array | None = None
        self.dbiases: Array | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Check penalties and `how` as the constructor does, whenever they are changed."""
        if name == "how":
            value = check_how(value)
            for penalty in ("weight_penalty", "bias_penalty"):
                check_penalty(penalty, getattr(self, penalty), value)
        elif name in ("weight_penalty", "bias_penalty"):
            value = check_penalty(name, value, getattr(self, "how", "coupled"))
        super().__setattr__(name, value)

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = check_inputs(inputs, features=self.n_in, dtype=self.dtype)
        self.output = self.inputs @ self.weights + self.biases

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = check_dvalues(dvalues, self.output)
        assert self.inputs is not None
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        if self.how == "coupled":
            if self.weight_penalty is not None:
                self.dweights += self.weight_penalty.gradient(self.weights)
            if self.bias_penalty is not None:
                self.dbiases += self.bias_penalty.gradient(self.biases)
        self.dinputs = dvalues @ self.weights.T

    def regularization_loss(self) -> float:
        """Ω_w(weights) + Ω_b(biases): what the penalties add to the loss."""
        parts = [float(penalty(w)) for _, _, w, penalty in self.parameters() if penalty is not None]
        return sum(parts, 0.0)

    def parameters(self) -> tuple[Parameter, Parameter]:
        """Its weights, and its biases."""
        return (
            Parameter(self, "weights", self.weights, self.weight_penalty),
            Parameter(self, "biases", self.biases, self.bias_penalty),
        )

    def __repr__(self) -> str:
        arguments = [str(self.n_in), str(self.n_out)]
        for name in ("weight_penalty", "bias_penalty"):
            penalty = getattr(self, name)
            if penalty is not None:
                arguments.append(f"{name}={repr(penalty).removesuffix(f': {penalty.formula}')}")
        if self.how != "coupled":
            arguments.append(f"how={self.how!r}")
        if self.dtype != np.float64:
            arguments.append(f"dtype={self.dtype.name}")
        return f"Dense({', '.join(arguments)})"


class Parameter(NamedTuple):
    """An array that a layer learns, and its penalty."""

    layer: Dense
    name: str  # "weights" or "biases"
    values: Array
    penalty: Penalty | None


def dense_layers(layers: Iterable[Layer]) -> list[Dense]:
    """Those of the layers that learn."""
    return [layer for layer in layers if isinstance(layer, Dense)]


@final
class Dropout(Layer):
    """Sets each number to 0 with probability `rate` during training.

    The next layer then cannot rely on any single number. What is kept is divided by 1 − rate, so
    that the expected output is the input. Outside of training, with
    ``forward(inputs, training=False)``, nothing is dropped. (Srivastava et al., 2014.)

    Parameters
    ----------
    rate : float
        The share that is dropped, from 0 up to but not including 1.
    rng : Generator, int or None
        Where the random numbers come from.

    Examples
    --------
    >>> dropout = Dropout(0.5, rng=0)
    >>> dropout.forward(np.ones((1, 1000)))
    >>> sorted(set(dropout.output[0].tolist()))
    [0.0, 2.0]
    >>> dropout.forward(np.ones((1, 3)), training=False)
    >>> dropout.output
    array([[1., 1., 1.]])
    """

    def __init__(self, rate: float, *, rng: Seed = None) -> None:
        self.rate = check_number("rate", rate, below=1.0)
        # A generator of its own, which a saved network can restore without touching the others.
        self.rng = np.random.default_rng(make_rng(rng).integers(1 << 63))
        self._kept: Array | None = None  # 0 or 1/(1 − rate) for each number

    def forward(self, inputs: ArrayLike, training: bool = True) -> None:
        self.inputs = check_inputs(inputs)
        kept = np.ones(self.inputs.shape)
        if training:
            kept = (self.rng.random(self.inputs.shape) >= self.rate) / (1.0 - self.rate)
        self._kept = kept.astype(self.inputs.dtype)
        self.output = self.inputs * self._kept

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = check_dvalues(dvalues, self.output)
        assert self._kept is not None
        self.dinputs = dvalues * self._kept

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
