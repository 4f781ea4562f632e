"""Every derivative is torch's: of each layer, loss and penalty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from oracles import gradient as slow_gradient
from oracles import value as slow_value
from scratch.twins import (
    LOSSES,
    PENALTIES,
    apart,
    backward,
    forward,
    in_torch,
    torch_gradients,
)
from shrinkage import L1, Penalty
from shrinkage.scratch import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.layers import Layer
from shrinkage.torch import Regularizer

SAMPLES, FEATURES, CLASSES = 11, 4, 3
CLASS = np.random.default_rng(5).integers(0, CLASSES, SAMPLES)
NUMBERS = np.random.default_rng(6).standard_normal((SAMPLES, CLASSES))

# What ends a network, the loss after it, and targets for that.
ENDS: dict[str, tuple[Callable[[], list[Layer]], type[Loss], np.ndarray]] = {
    "scores": (list, SoftmaxCategoricalCrossEntropy, CLASS),
    "probabilities": (lambda: [Softmax()], CategoricalCrossEntropy, CLASS),
    "yes or no": (lambda: [Sigmoid()], BinaryCrossEntropy, (NUMBERS > 0).astype(float)),
    "yes or no of one": (lambda: [Softmax()], BinaryCrossEntropy, np.eye(CLASSES)[CLASS]),
    "squares": (list, MeanSquaredError, NUMBERS),
    "absolutes": (list, MeanAbsoluteError, NUMBERS),
    "squares of probabilities": (lambda: [Softmax()], MeanSquaredError, NUMBERS),
    "absolutes of sigmoids": (lambda: [Sigmoid()], MeanAbsoluteError, NUMBERS),
}
BETWEEN: dict[str, Callable[[], Layer]] = {"ReLU": ReLU, "Sigmoid": Sigmoid, "Softmax": Softmax}


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("kind", [ReLU, Sigmoid, Softmax])
def test_a_layer_alone(kind: type[Layer]) -> None:
    layer, X, dvalues = kind(), 3 * drawn(0, 7, 5), drawn(1, 7, 5)
    layer.forward(X)
    layer.backward(dvalues)
    inputs = torch.tensor(X, requires_grad=True)
    output = in_torch([layer])(inputs)
    output.backward(torch.tensor(dvalues))
    assert apart([layer.output], [output.detach().numpy()]) < 1e-15
    assert apart([layer.dinputs], [inputs.grad.numpy()]) < 1e-10


def test_dropout_alone() -> None:
    layer, X, dvalues = Dropout(0.4, rng=0), drawn(0, 50, 5), drawn(1, 50, 5)
    layer.forward(X)
    kept = layer.output / X
    assert sorted(set(kept.ravel().round(12))) == [0, round(1 / 0.6, 12)]
    layer.backward(dvalues)
    assert apart([layer.dinputs], [dvalues * kept]) < 1e-15


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("end", ENDS)
def test_a_network(end: str, between: str) -> None:
    last, kind, y = ENDS[end]
    layers = [
        Dense(FEATURES, 6, scale=0.7, rng=1),
        BETWEEN[between](),
        Dense(6, CLASSES, scale=0.7, rng=2),
        *last(),
    ]
    for layer in (layers[0], layers[2]):
        layer.biases[:] = drawn(3, 1, layer.n_out)
    loss, X = kind(), drawn(4, SAMPLES, FEATURES)
    output = forward(layers, X)
    data_loss = loss.forward(output, y)
    backward(layers, loss, loss.output if end == "scores" else output, y)

    model, inputs = in_torch(layers), torch.tensor(X, requires_grad=True)
    theirs = LOSSES[kind](model(inputs), torch.tensor(y))
    theirs.backward()
    assert data_loss == pytest.approx(theirs.item(), rel=1e-12)
    ours = [g for layer in (layers[0], layers[2]) for g in (layer.dweights, layer.dbiases)]
    assert apart(ours, torch_gradients(model)) < 1e-10
    assert apart([layers[0].dinputs], [inputs.grad.numpy()]) < 1e-10


@pytest.mark.parametrize("end", ENDS)
def test_a_loss_alone(end: str) -> None:
    last, kind, y = ENDS[end]
    output = forward(last(), 2 * drawn(7, SAMPLES, CLASSES))
    loss = kind()
    value = loss.forward(output, y)
    loss.backward(loss.output if end == "scores" else output, y)
    inputs = torch.tensor(output, requires_grad=True)
    theirs = LOSSES[kind](inputs, torch.tensor(y))
    theirs.backward()
    assert value == pytest.approx(theirs.item(), rel=1e-12)
    assert apart([loss.dinputs], [inputs.grad.numpy()]) < 1e-10


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_penalties_are_those_of_the_torch_face(penalty: Penalty) -> None:
    layers = penalized(penalty, "coupled")
    model, y = in_torch(layers), drawn(8, SAMPLES, 2)
    regularizer = Regularizer(model, {"0.weight": penalty, "0.bias": penalty, "2.weight": penalty})
    loss, X = MeanSquaredError(), drawn(4, SAMPLES, FEATURES)
    output = forward(layers, X)
    total = loss.forward(output, y) + loss.regularization_loss(*layers)
    backward(layers, loss, output, y)
    theirs = LOSSES[MeanSquaredError](model(torch.tensor(X)), torch.tensor(y))
    theirs = theirs + regularizer.penalty()
    theirs.backward()
    assert loss.regularization_loss(*layers) == pytest.approx(regularizer.value(), rel=1e-12)
    assert total == pytest.approx(theirs.item(), rel=1e-12)
    ours = [g for layer in layers[::2] for g in (layer.dweights, layer.dbiases)]
    assert apart(ours, torch_gradients(model)) < 1e-10


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_penalties_are_their_formulas(penalty: Penalty) -> None:
    layer = penalized(penalty, "coupled")[0]
    layer.weights[1, :] = layer.weights[:, 2] = 0.0  # kinks: the subgradient there is 0
    layer.forward(drawn(4, SAMPLES, FEATURES))
    layer.backward(np.zeros((SAMPLES, 6)))
    for_weights, for_biases = layer.weight_penalty, layer.bias_penalty
    value = slow_value(for_weights, layer.weights) + slow_value(for_biases, layer.biases)
    assert layer.regularization_loss() == pytest.approx(value, rel=1e-12)
    assert apart([layer.dweights], [slow_gradient(for_weights, layer.weights)]) < 1e-10
    assert apart([layer.dbiases], [slow_gradient(for_biases, layer.biases)]) < 1e-10
    assert np.abs(layer.dweights).max() > 0.01


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_proximal_penalty_is_in_the_loss_and_not_in_the_derivatives(penalty: Penalty) -> None:
    coupled, proximal = (penalized(penalty, how)[0] for how in ("coupled", "proximal"))
    for layer in (coupled, proximal):
        layer.forward(drawn(4, SAMPLES, FEATURES))
        layer.backward(np.zeros((SAMPLES, 6)))
    assert proximal.regularization_loss() == coupled.regularization_loss() > 0
    assert not proximal.dweights.any()
    assert not proximal.dbiases.any()


def test_only_layers_with_weights_add_to_the_loss() -> None:
    loss, layer = MeanSquaredError(), Dense(2, 2, weight_penalty=L1(1.0), rng=0)
    assert loss.regularization_loss() == 0.0
    assert loss.regularization_loss(ReLU(), Dense(2, 3)) == 0.0
    expected = float(np.abs(layer.weights).sum())
    assert loss.regularization_loss(layer, ReLU()) == pytest.approx(expected, rel=1e-12)


def penalized(penalty: Penalty, how: str) -> list[Layer]:
    """Dense, ReLU, Dense, with the penalty on all but the last biases."""
    first = Dense(
        FEATURES, 6, weight_penalty=penalty, bias_penalty=penalty, how=how, scale=0.7, rng=1
    )
    first.biases[:] = drawn(3, 1, 6)
    return [first, ReLU(), Dense(6, 2, weight_penalty=penalty, how=how, scale=0.7, rng=2)]
