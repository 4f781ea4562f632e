"""A tutorial's network in plain NumPy, samples first: the obvious form, and the peer to beat.

The structure is that of the chapter on L1 and L2 in *Neural Networks from Scratch in Python*
(Kinsley and Kukieła, 2020): a layer with four strengths, softmax and cross-entropy combined, Adam.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class DenseLayer:
    def __init__(
        self,
        n_inputs: int,
        n_neurons: int,
        rng: np.random.Generator,
        weight_l1: float = 0.0,
        weight_l2: float = 0.0,
        bias_l1: float = 0.0,
        bias_l2: float = 0.0,
    ) -> None:
        self.weights = 0.01 * rng.standard_normal((n_inputs, n_neurons))
        self.biases = np.zeros((1, n_neurons))
        self.weight_l1, self.weight_l2 = weight_l1, weight_l2
        self.bias_l1, self.bias_l2 = bias_l1, bias_l2
        self.weight_momentums, self.weight_cache = np.zeros_like(self.weights), 0.0
        self.bias_momentums, self.bias_cache = np.zeros_like(self.biases), 0.0

    def forward(self, inputs: Array) -> None:
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues: Array) -> None:
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        if self.weight_l1 > 0:
            dl1 = np.ones_like(self.weights)
            dl1[self.weights < 0] = -1
            self.dweights += self.weight_l1 * dl1
        if self.bias_l1 > 0:
            dl1 = np.ones_like(self.biases)
            dl1[self.biases < 0] = -1
            self.dbiases += self.bias_l1 * dl1
        if self.weight_l2 > 0:
            self.dweights += 2 * self.weight_l2 * self.weights
        if self.bias_l2 > 0:
            self.dbiases += 2 * self.bias_l2 * self.biases
        self.dinputs = np.dot(dvalues, self.weights.T)


class ReLU:
    def forward(self, inputs: Array) -> None:
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues: Array) -> None:
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class SoftMaxCategoricalCrossEntropy:
    def forward(self, inputs: Array, y: Array) -> Any:
        exponentials = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exponentials / np.sum(exponentials, axis=1, keepdims=True)
        clipped = np.clip(self.output, 1e-7, 1 - 1e-7)
        confidences = clipped[range(len(clipped)), y]
        return np.mean(-np.log(confidences))

    def regularization_loss(self, layer: DenseLayer) -> Any:
        loss = 0.0
        if layer.weight_l1 > 0:
            loss += layer.weight_l1 * np.sum(np.abs(layer.weights))
        if layer.bias_l1 > 0:
            loss += layer.bias_l1 * np.sum(np.abs(layer.biases))
        if layer.weight_l2 > 0:
            loss += layer.weight_l2 * np.sum(layer.weights**2)
        if layer.bias_l2 > 0:
            loss += layer.bias_l2 * np.sum(layer.biases**2)
        return loss

    def backward(self, dvalues: Array, y: Array) -> None:
        samples = len(dvalues)
        self.dinputs = dvalues.copy()
        self.dinputs[range(samples), y] -= 1
        self.dinputs = self.dinputs / samples


class Adam:
    def __init__(self, lr: float, decay: float) -> None:
        self.lr, self.current_lr, self.decay, self.iterations = lr, lr, decay, 0

    def pre_update(self) -> None:
        self.current_lr = self.lr * (1.0 / (1.0 + self.decay * self.iterations))

    def update(self, layer: DenseLayer) -> None:
        layer.weight_momentums = 0.9 * layer.weight_momentums + 0.1 * layer.dweights
        layer.bias_momentums = 0.9 * layer.bias_momentums + 0.1 * layer.dbiases
        weight_momentums = layer.weight_momentums / (1 - 0.9 ** (self.iterations + 1))
        bias_momentums = layer.bias_momentums / (1 - 0.9 ** (self.iterations + 1))
        layer.weight_cache = 0.999 * layer.weight_cache + 0.001 * layer.dweights**2
        layer.bias_cache = 0.999 * layer.bias_cache + 0.001 * layer.dbiases**2
        weight_cache = layer.weight_cache / (1 - 0.999 ** (self.iterations + 1))
        bias_cache = layer.bias_cache / (1 - 0.999 ** (self.iterations + 1))
        layer.weights += -self.current_lr * weight_momentums / (np.sqrt(weight_cache) + 1e-7)
        layer.biases += -self.current_lr * bias_momentums / (np.sqrt(bias_cache) + 1e-7)

    def post_update(self) -> None:
        self.iterations += 1


def tutorial_loop(X: Array, y: Array, widths: Sequence[int]) -> Callable[[int], object]:
    """The tutorial's loop over so many epochs, for a network of these widths."""
    rng = np.random.default_rng(0)
    dense = [DenseLayer(n_in, n_out, rng) for n_in, n_out in itertools.pairwise(widths)]
    dense[0].weight_l2 = dense[0].bias_l2 = 5e-4
    activations = [ReLU() for _ in dense[1:]]
    loss_activation, optimizer = SoftMaxCategoricalCrossEntropy(), Adam(lr=0.05, decay=5e-7)

    def run(epochs: int) -> object:
        history = []
        for _ in range(epochs):
            values = X
            for layer, activation in zip(dense, activations, strict=False):
                layer.forward(values)
                activation.forward(layer.output)
                values = activation.output
            dense[-1].forward(values)
            data_loss = loss_activation.forward(dense[-1].output, y)
            penalty = sum(loss_activation.regularization_loss(layer) for layer in dense)
            predictions = np.argmax(loss_activation.output, axis=1)
            accuracy = np.mean(predictions == y)
            history.append((accuracy, data_loss + penalty, data_loss, penalty))

            loss_activation.backward(loss_activation.output, y)
            dense[-1].backward(loss_activation.dinputs)
            for layer, activation, after in reversed(
                list(zip(dense, activations, dense[1:], strict=False))
            ):
                activation.backward(after.dinputs)
                layer.backward(activation.dinputs)
            optimizer.pre_update()
            for layer in dense:
                optimizer.update(layer)
            optimizer.post_update()
        return history

    return run
