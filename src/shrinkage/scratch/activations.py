"""Layers without weights: what bends the straight lines of `Dense`, or makes probabilities."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.checks import check_dvalues, check_inputs
from shrinkage.scratch.layers import Layer


@final
class ReLU(Layer):
    """The rectified linear unit, ``max(input, 0)``: derivative 1 above 0, and 0 elsewhere.

    >>> relu = ReLU()
    >>> relu.forward([[1.0, -2.0, 3.0]])
    >>> relu.output
    array([[1., 0., 3.]])
    >>> relu.backward([[10.0, 10.0, 10.0]])
    >>> relu.dinputs
    array([[10.,  0., 10.]])
    """

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = check_inputs(inputs)
        self.output = np.maximum(self.inputs, 0)

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = check_dvalues(dvalues, self.output)
        assert self.inputs is not None
        self.dinputs = dvalues * (self.inputs > 0)

    def __repr__(self) -> str:
        return "ReLU()"


@final
class Sigmoid(Layer):
    """The logistic function, ``σ(x) = 1/(1 + e^−x)``: derivative σ·(1 − σ).

    The output stays strictly between 0 and 1, where rounding alone would reach them: a sample
    that is wrong with full confidence still has a derivative to learn from.

    >>> sigmoid = Sigmoid()
    >>> sigmoid.forward([[0.0, np.log(3.0), 1000.0]])
    >>> sigmoid.output
    array([[0.5 , 0.75, 1.  ]])
    >>> bool(sigmoid.output[0, 2] < 1.0)
    True
    """

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = check_inputs(inputs)
        small = np.exp(-np.abs(self.inputs))  # at most 1: never overflows
        output = np.where(self.inputs >= 0, 1.0, small) / (1.0 + small)
        precision = np.finfo(output.dtype)
        self.output = np.clip(output, precision.tiny, 1.0 - precision.epsneg)

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = check_dvalues(dvalues, self.output)
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

    >>> softmax = Softmax()
    >>> softmax.forward([[0.0, np.log(3.0)], [1000.0, 1000.0]])
    >>> softmax.output
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """

    def forward(self, inputs: ArrayLike) -> None:
        self.inputs = check_inputs(inputs)
        powers = np.exp(self.inputs - self.inputs.max(axis=1, keepdims=True))
        output = powers / powers.sum(axis=1, keepdims=True)
        self.output = np.maximum(output, np.finfo(output.dtype).tiny)

    def backward(self, dvalues: ArrayLike) -> None:
        dvalues = check_dvalues(dvalues, self.output)
        assert self.output is not None
        inner = (dvalues * self.output).sum(axis=1, keepdims=True)
        self.dinputs = self.output * (dvalues - inner)

    def __repr__(self) -> str:
        return "Softmax()"
