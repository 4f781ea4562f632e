"""The layers of a network: how numbers flow forward, and gradients backward.

Each layer is a function of the numbers that come in, one row a sample. `forward` computes the
`output` and keeps what the way back will need. `backward` is given ``dvalues``, the derivative of
the loss by each number of the output, and works out by the chain rule

- ``dinputs``, the derivative by each number that came in: the ``dvalues`` of the layer before,
- and in `Dense`, the only layer that learns, ``dweights`` and ``dbiases``.

So a network is trained by calling `forward` from the first layer to the last, `backward` from the
last to the first, and then moving weights and biases against their derivatives.

>>> import numpy as np
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
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from shrinkage.penalties import Penalty
from shrinkage.scratch.checks import (
    Array,
    Seed,
    checked_dtype,
    checked_dvalues,
    checked_how,
    checked_inputs,
    checked_number,
    checked_penalty,
    checked_rng,
    checked_size,
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
        For sizes below 1, a penalty that is none, and one that has no prox where `how` needs it.

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
        self.n_in, self.n_out = checked_size("n_in", n_in), checked_size("n_out", n_out)
        self.weight_penalty: Penalty | None = None
        self.bias_penalty: Penalty | None = None
        self.how = how
        self.weight_penalty, self.bias_penalty = weight_penalty, bias_penalty
        self.dtype = checked_dtype(dtype)
        start = checked_number("scale", scale) * checked_rng(rng).standard_normal(
            (self.n_in, self.n_out)
        )
        self.weights: Array = start.astype(self.dtype)
        self.biases: Array = np.zeros((1, self.n_out), self.dtype)
        self.dweights: Array | None = None
        self.dbiases: Array | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Penalties and their way may be changed, and are then checked as they were at first."""
        if name == "how":
            value = checked_how(value)
            for which in ("weight_penalty", "bias_penalty"):
                checked_penalty(which, getattr(self, which), value)
        elif name in ("weight_penalty", "bias_penalty"):
            value = checked_penalty(name, value, getattr(self, "how", "coupled"))
        super().__setattr__(name, value)

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = checked_inputs(inputs, features=self.n_in, dtype=self.dtype)
        self.output = self.inputs @ self.weights + self.biases

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = checked_dvalues(dvalues, self.output)
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
        total = 0.0
        if self.weight_penalty is not None:
            total += float(self.weight_penalty(self.weights))
        if self.bias_penalty is not None:
            total += float(self.bias_penalty(self.biases))
        return total

    def __repr__(self) -> str:
        said = [str(self.n_in), str(self.n_out)]
        for name in ("weight_penalty", "bias_penalty"):
            penalty = getattr(self, name)
            if penalty is not None:
                said.append(f"{name}={repr(penalty).removesuffix(f': {penalty.formula}')}")
        if self.how != "coupled":
            said.append(f"how={self.how!r}")
        if self.dtype != np.float64:
            said.append(f"dtype={self.dtype.name}")
        return f"Dense({', '.join(said)})"


@final
class ReLU(Layer):
    """The rectified linear unit, ``max(input, 0)``: derivative 1 above 0, and 0 elsewhere."""

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = checked_inputs(inputs)
        self.output = np.maximum(self.inputs, 0)

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = checked_dvalues(dvalues, self.output)
        assert self.inputs is not None
        self.dinputs = dvalues * (self.inputs > 0)

    def __repr__(self) -> str:
        return "ReLU()"


@final
class Sigmoid(Layer):
    """The logistic function, ``σ(x) = 1/(1 + e^−x)``: derivative σ·(1 − σ).

    The output stays strictly between 0 and 1, where rounding alone would reach them: a sample
    that is wrong with full confidence still has a derivative to learn from.
    """

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = checked_inputs(inputs)
        small = np.exp(-np.abs(self.inputs))  # at most 1, so that nothing overflows
        output = np.where(self.inputs >= 0, 1.0, small) / (1.0 + small)
        precision = np.finfo(output.dtype)
        self.output = np.clip(output, precision.tiny, 1.0 - precision.epsneg)

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = checked_dvalues(dvalues, self.output)
        assert self.output is not None
        self.dinputs = dvalues * (self.output * (1.0 - self.output))

    def __repr__(self) -> str:
        return "Sigmoid()"


@final
class Softmax(Layer):
    """Probabilities from scores: ``p_i = e^(x_i) / Σ_j e^(x_j)`` for each sample.

    The derivative of p_i by x_j is p_i·(1 − p_i) for i = j and −p_i·p_j elsewhere, hence
    ``dinputs_j = p_j·(d_j − Σ_i d_i·p_i)``. The largest score of a sample is subtracted first: it
    changes no probability, and nothing overflows. No probability is rounded to 0.
    """

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = checked_inputs(inputs)
        raised = np.exp(self.inputs - self.inputs.max(axis=1, keepdims=True))
        output = raised / raised.sum(axis=1, keepdims=True)
        self.output = np.maximum(output, np.finfo(output.dtype).tiny)

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = checked_dvalues(dvalues, self.output)
        assert self.output is not None
        inner = (dvalues * self.output).sum(axis=1, keepdims=True)
        self.dinputs = self.output * (dvalues - inner)

    def __repr__(self) -> str:
        return "Softmax()"


@final
class Dropout(Layer):
    """Sets each number to 0 with probability `rate` during training, so that none is relied upon.

    What is kept is divided by 1 − rate: the expected output is the input. Outside of training, with
    ``forward(inputs, training=False)``, nothing is dropped. (Srivastava et al., 2014.)

    Parameters
    ----------
    rate : float
        The share that is dropped, from 0 up to but not including 1.
    rng : Generator, int or None
        Where the random numbers come from.
    """

    def __init__(self, rate: float, *, rng: Seed = None) -> None:
        self.rate = checked_number("rate", rate, below=1.0)
        self.rng = np.random.default_rng(checked_rng(rng).integers(1 << 63))  # nobody else's
        self._kept: Array | None = None  # 0 or 1/(1 − rate) for each number

    def forward(self, inputs: ArrayLike, training: bool = True) -> None:
        self.inputs = checked_inputs(inputs)
        kept = self.draw(self.inputs.shape) if training else np.ones(self.inputs.shape)
        self._kept = kept.astype(self.inputs.dtype)
        self.output = self.inputs * self._kept

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = checked_dvalues(dvalues, self.output)
        assert self._kept is not None
        self.dinputs = dvalues * self._kept

    def draw(self, shape: tuple[int, ...]) -> Array:
        """What to multiply by: 0 with probability `rate`, else 1/(1 − rate)."""
        kept: Array = (self.rng.random(shape) >= self.rate) / (1.0 - self.rate)
        return kept

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
