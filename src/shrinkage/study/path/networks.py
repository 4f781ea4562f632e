"""Many small networks of one shape, each with rows of its own, calculated as one batch.

Every tensor has a first axis of S networks. A network's numbers depend on its own rows alone, so
a batch gives what S separate trainings would, in a fraction of the time: at this size the cost of
a step is the calls, not the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.training.models import build_model

Parameters = list[Tensor]  # weights (S, in, out) and biases (S, 1, out) in turn


@dataclass(frozen=True)
class Batch:
    """The rows that each network is fitted to; `share` is 0 where a network has fewer rows."""

    X: Tensor  # (S, rows, columns)
    y: Tensor  # (S, rows): class index int64, or number
    share: Tensor  # (S, rows, 1): of each row in its network's mean loss
    task: str

    def take(self, networks: slice) -> Batch:
        """The rows of some of the networks."""
        return Batch(self.X[networks], self.y[networks], self.share[networks], self.task)

    def drop_inputs(self, mask: Tensor) -> Batch:
        """The same rows with 0 in the columns that `mask`, (S, columns, 1), leaves out.

        Weights on such columns have no gradient, so what is 0 stays 0.
        """
        return Batch(self.X * mask.mT, self.y, self.share, self.task)


def gather_rows(
    X: np.ndarray, y: np.ndarray, rows: Sequence[np.ndarray], task: str, dtype: torch.dtype
) -> Batch:
    """The batch in which network s is fitted to `rows[s]` of X, (rows, columns), and y."""
    longest = max(map(len, rows))
    index = np.zeros((len(rows), longest), dtype=np.int64)
    share = np.zeros((len(rows), longest, 1))
    for network, own in enumerate(rows):
        index[network, : len(own)] = own
        share[network, : len(own)] = 1 / len(own)
    target = torch.tensor(y[index])
    return Batch(
        X=torch.tensor(X[index], dtype=dtype),
        y=target if task == "classes" else target.to(dtype),
        share=torch.tensor(share, dtype=dtype),
        task=task,
    )


def check_model(model: str) -> None:
    """Refuse a model that is neither "linear" nor an "mlp:...".

    Raises
    ------
    UsageError
    """
    if model != "linear" and not model.startswith("mlp:"):
        raise UsageError(
            f"model {model!r}{suggest(model, ('linear', 'mlp:64'))}: a path takes linear, mlp:64 "
            "or mlp:64,32"
        )
    with torch.random.fork_rng(devices=[]):
        build_model(model, 1, 1)  # refuses widths that are none


def initialize(
    model: str, order: np.ndarray, outputs: int, seeds: Sequence[int], dtype: torch.dtype
) -> Parameters:
    """The parameters of one network for each seed, as `compare` initializes them.

    `order` says which column of the encoded table each column is.
    """
    built: list[Parameters] = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            module = build_model(model, len(order), outputs)
            layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
            parameters = []
            for layer in layers:
                parameters += [layer.weight.detach().T, layer.bias.detach()[None]]
            parameters[0] = parameters[0][torch.tensor(order)]
            built.append(parameters)
    return [torch.stack(each).to(dtype).contiguous() for each in zip(*built, strict=True)]


def predict(parameters: Parameters, X: Tensor) -> Tensor:
    """The outputs (S, rows, outputs) for inputs X, (S, rows, columns)."""
    return _pass_forward(parameters, X)[-1]


def differentiate(parameters: Parameters, batch: Batch) -> Parameters:
    """The gradients of each network's mean data loss; ReLU lies between the layers."""
    signals = _pass_forward(parameters, batch.X)
    slope = _differentiate_loss(signals[-1], batch)
    gradients: Parameters = []
    for layer in reversed(range(len(parameters) // 2)):
        below = signals[layer]
        gradients += [slope.sum(dim=1, keepdim=True), below.mT @ slope]
        if layer:
            slope = (slope @ parameters[2 * layer].mT).mul_(below > 0)
    return gradients[::-1]


def _pass_forward(parameters: Parameters, X: Tensor) -> list[Tensor]:
    """The inputs of each layer, and the outputs of the last."""
    signals = [X]
    layers = len(parameters) // 2
    for layer in range(layers):
        weight, bias = parameters[2 * layer : 2 * layer + 2]
        outputs = torch.baddbmm(bias, signals[-1], weight)
        signals.append(outputs.relu_() if layer < layers - 1 else outputs)
    return signals


def _differentiate_loss(outputs: Tensor, batch: Batch) -> Tensor:
    """The slope by the outputs of each network's loss, scaled as in `shrinkage.study`.

    ½·mean((ŷ − y)²) for numbers, the mean log-loss for classes, of one logit for two of them.
    """
    if batch.task == "numbers":
        return batch.share * (outputs - batch.y[..., None])
    if outputs.shape[2] == 1:
        return batch.share * (torch.sigmoid(outputs) - batch.y[..., None])
    slope = batch.share * torch.softmax(outputs, dim=2)
    return slope.scatter_add_(2, batch.y[..., None], -batch.share)
