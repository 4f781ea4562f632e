"""The same networks in torch, and the plain loop over layers: what `scratch` is held equal to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from shrinkage import L1, L2, ElasticNet, GroupLasso
from shrinkage.scratch import (
    SGD,
    AdaGrad,
    Adam,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    RMSProp,
    Sigmoid,
    Softmax,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.layers import Layer
from shrinkage.scratch.network import Network


class Chosen(NamedTuple):
    """The engines of the trainings in a test, by name, and how close to the layers they are."""

    names: list[str]
    within: float


PENALTIES = [
    L1(0.02),
    L2(0.05),
    ElasticNet(0.05, l1_ratio=0.3),
    GroupLasso(0.05),
    GroupLasso(0.05, "in"),
    L1(0.01) + L2(0.02),
    L1(0.01) + GroupLasso(0.05),
]

# Ours, and torch's with the same numbers.
OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], Callable[..., torch.optim.Optimizer]]] = {
    "SGD": (
        lambda **more: SGD(lr=0.1, **more),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    ),
    "SGD momentum": (
        lambda **more: SGD(lr=0.05, momentum=0.9, **more),
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    ),
    "SGD Nesterov": (
        lambda **more: SGD(lr=0.05, momentum=0.8, nesterov=True, **more),
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.8, nesterov=True),
    ),
    "AdaGrad": (
        lambda **more: AdaGrad(lr=0.1, eps=1e-8, **more),
        lambda parameters: torch.optim.Adagrad(parameters, lr=0.1, eps=1e-8),
    ),
    "RMSProp": (
        lambda **more: RMSProp(lr=0.01, rho=0.9, eps=1e-8, **more),
        lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, alpha=0.9, eps=1e-8),
    ),
    "Adam": (
        lambda **more: Adam(lr=0.02, betas=(0.8, 0.99), eps=1e-7, **more),
        lambda parameters: torch.optim.Adam(parameters, lr=0.02, betas=(0.8, 0.99), eps=1e-7),
    ),
}

BCE, MSE, MAE = nn.BCELoss(), nn.MSELoss(), nn.L1Loss()
LOSSES: dict[type[Loss], Callable[[Tensor, Tensor], Tensor]] = {
    CategoricalCrossEntropy: lambda p, y: nn.functional.nll_loss(p.log(), y),
    SoftmaxCategoricalCrossEntropy: nn.functional.cross_entropy,
    BinaryCrossEntropy: lambda p, y: BCE(p, y.reshape(p.shape).to(p)),
    MeanSquaredError: lambda output, y: MSE(output, y.reshape(output.shape).to(output)),
    MeanAbsoluteError: lambda output, y: MAE(output, y.reshape(output.shape).to(output)),
}


def in_torch(layers: Sequence[Layer]) -> nn.Sequential:
    """The same layers in torch, with copies of the same weights."""
    return nn.Sequential(*[_in_torch(layer) for layer in layers])


def _in_torch(layer: Layer) -> nn.Module:
    if isinstance(layer, Dense):
        linear = nn.Linear(layer.n_in, layer.n_out, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weights.T.copy()))
            linear.bias.copy_(torch.from_numpy(layer.biases[0].copy()))
        return linear
    return {ReLU: nn.ReLU(), Sigmoid: nn.Sigmoid(), Softmax: nn.Softmax(dim=1)}[type(layer)]


def forward(layers: Sequence[Layer], X: np.ndarray) -> np.ndarray:
    """The output of the last layer."""
    output = X
    for layer in layers:
        layer.forward(output)
        output = layer.output
    return output


def backward(layers: Sequence[Layer], loss: Loss, output: np.ndarray, y: np.ndarray) -> None:
    """From the loss to the first layer. `output` is what the loss is to be given."""
    loss.backward(output, y)
    dvalues = loss.dinputs
    for layer in reversed(layers):
        layer.backward(dvalues)
        dvalues = layer.dinputs


def steps_by_hand(
    network: Network, X: np.ndarray, y: np.ndarray, steps: int, batches: Any = None
) -> dict[str, list[float]]:
    """The loop of the README, over the parts of a network; the history that `fit` would return.

    `batches` gives the rows of each step, for each epoch anew; by default all rows.
    """
    layers, loss, optimizer = network.layers, network.loss, network.optimizer
    names = (loss.score, "loss", "data_loss", "regularization_loss", "lr")
    history: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(steps):
        lr, sums = optimizer.current_lr, np.zeros(3)
        for rows in batches() if batches else [np.arange(len(X))]:
            output = forward(layers, X[rows])
            data_loss = loss.forward(output, y[rows])
            regularization_loss = loss.regularization_loss(*network.layers)
            if isinstance(loss, SoftmaxCategoricalCrossEntropy):
                output = loss.output
            targets = loss.targets(y[rows], output.shape[1])
            score = loss.score_sum(output, targets)
            sums += data_loss * len(rows), regularization_loss * len(rows), score
            backward(layers, loss, output, y[rows])
            optimizer.pre_update()
            for layer in layers:
                if isinstance(layer, Dense):
                    optimizer.update(layer)
            optimizer.post_update()
        data, penalty = sums[:2] / len(X)
        score = loss.score_of(sums[2], loss.targets(y, network.dense[-1].n_out))
        for name, value in zip(names, (score, data + penalty, data, penalty, lr), strict=True):
            history[name].append(value)
    return history


def parameters(layers: Sequence[Layer]) -> list[np.ndarray]:
    """Copies of the weights and biases of all layers that have them."""
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    return [array.copy() for layer in dense for array in (layer.weights, layer.biases)]


def apart(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """The largest difference, relative to the largest entry of its array."""
    assert [one.shape for one in ours] == [other.shape for other in theirs]
    return max(
        float(np.abs(one - other).max() / max(np.abs(other).max(), np.finfo(float).tiny))
        for one, other in zip(ours, theirs, strict=True)
    )


def torch_parameters(model: nn.Sequential) -> list[np.ndarray]:
    """Weights and biases as the layers here have them: (n_in, n_out) and (1, n_out)."""
    return [_as_ours(parameter.detach()) for parameter in model.parameters()]


def torch_gradients(model: nn.Sequential) -> list[np.ndarray]:
    """Their derivatives, likewise."""
    return [_as_ours(parameter.grad) for parameter in model.parameters()]


def _as_ours(tensor: Tensor) -> np.ndarray:
    array = tensor.numpy().copy()
    return array.T if array.ndim == 2 else array[None, :]
