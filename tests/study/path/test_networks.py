"""A batch of networks against torch's own modules, and its prox against `shrinkage.torch`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shrinkage import GroupLasso, SparseGroupLasso
from shrinkage.study.path.inputs import Inputs, arrange_inputs
from shrinkage.study.path.networks import (
    Batch,
    Parameters,
    differentiate,
    gather_rows,
    initialize,
    predict,
)
from shrinkage.study.path.shrinking import Shrinker, parse_path_penalty
from shrinkage.study.training.fit_trial import data_loss
from shrinkage.study.training.models import build_model
from shrinkage.torch import Regularizer

COLUMNS = 6
SLICES = {"a": slice(0, 1), "town": slice(1, 4), "b": slice(4, 5), "c": slice(5, 6)}


def make_batch(task: str, outputs: int, networks: int = 2, rows: int = 40) -> Batch:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(rows, COLUMNS))
    y = generator.normal(size=rows) + X[:, 0]
    if task == "classes":
        y = generator.integers(max(outputs, 2), size=rows)
    halves = [np.arange(rows), *[generator.permutation(rows)[: rows // 2]] * (networks - 1)]
    return gather_rows(X, y, halves, task, torch.float64)


def build(model: str, outputs: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(model, COLUMNS, outputs).double()


def rows_of(batch: Batch, network: int) -> tuple[torch.Tensor, torch.Tensor]:
    real = batch.share[network, :, 0] > 0
    return batch.X[network][real], batch.y[network][real]


@pytest.mark.parametrize("model", ["linear", "mlp:5", "mlp:5,4"])
@pytest.mark.parametrize(("task", "outputs"), [("numbers", 1), ("classes", 1), ("classes", 3)])
def test_gradients_are_those_of_the_study_s_loss(model: str, task: str, outputs: int) -> None:
    batch = make_batch(task, outputs)
    order = np.arange(COLUMNS)
    parameters = initialize(model, order, outputs, [0, 1], torch.float64)
    gradients = differentiate(parameters, batch)
    for network in (0, 1):
        module = build(model, outputs, network)
        X, y = rows_of(batch, network)
        assert torch.allclose(
            module(X), predict([p[network : network + 1] for p in parameters], X[None])[0]
        )
        data_loss(module(X), y, task).backward()
        for place, parameter in enumerate(module.parameters()):
            mine = gradients[place][network]
            theirs = parameter.grad if place % 2 else parameter.grad.T
            assert torch.allclose(mine, theirs.reshape(mine.shape), atol=1e-12)


def take_steps(parameters: Parameters, batch: Batch, shrinker: Shrinker, lam: float) -> Parameters:
    penalty = shrinker.method.make_penalty(lam)
    step = torch.full((len(parameters[0]),), 0.1, dtype=torch.float64)
    factors = torch.ones(len(parameters[0]), len(shrinker.inputs.names), dtype=torch.float64)
    for _ in range(60):
        gradients = differentiate(parameters, batch)
        parameters = [p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)]
        shrinker.shrink_(parameters, step, penalty, factors)
    return parameters


def lists_of(inputs: Inputs, units: int) -> list[list[int]]:
    """The flat indices of each input in a weight of shape (units, columns in table order)."""
    assert inputs.names
    return [
        [unit * COLUMNS + column for unit in range(units) for column in range(s.start, s.stop)]
        for s in SLICES.values()
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("group_lasso:groups=in", GroupLasso),
        ("sparse_group_lasso:l1_ratio=0.5,groups=in", SparseGroupLasso),
    ],
)
def test_a_batch_of_one_follows_a_regularizer_under_sgd(text: str, kind: type) -> None:
    lam, units = 0.06, 5
    inputs = arrange_inputs(SLICES)
    batch = make_batch("numbers", 1, networks=1)
    module = build("mlp:5", 1, 0)
    extra = {} if kind is GroupLasso else {"l1_ratio": 0.5}
    regularizer = Regularizer(
        module,
        {
            "0.weight": kind(lam, groups=lists_of(inputs, units), **extra),
            "2.weight": kind(lam, groups="in", **extra),
        },
    )
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    regularizer.attach(optimizer, how="proximal")
    X, y = batch.X[0], batch.y[0]
    for _ in range(60):
        optimizer.zero_grad()
        data_loss(module(X), y, "numbers").backward()
        optimizer.step()

    permuted = Batch(batch.X[:, :, inputs.order], batch.y, batch.share, batch.task)
    initial = initialize("mlp:5", inputs.order, 1, [0], torch.float64)
    shrinker = Shrinker(parse_path_penalty(text), inputs)
    parameters = take_steps(initial, permuted, shrinker, lam)
    first = module[0].weight.detach()[:, inputs.order].T
    assert bool((first == 0).any())
    assert not torch.allclose(initial[0][0], first, atol=1e-2)  # it moved
    assert torch.allclose(parameters[0][0], first, atol=1e-10)
    assert torch.allclose(parameters[2][0], module[2].weight.detach().T, atol=1e-10)


def test_a_network_of_a_batch_is_what_it_would_be_alone() -> None:
    inputs = arrange_inputs({str(place): slice(place, place + 1) for place in range(COLUMNS)})
    batch = make_batch("numbers", 1, networks=3)
    initial = initialize("mlp:5", inputs.order, 1, [0, 1, 2], torch.float64)
    shrinker = Shrinker(parse_path_penalty("group_lasso:groups=in"), inputs)
    together = take_steps(initial, batch, shrinker, 0.02)
    for network in range(3):
        one = slice(network, network + 1)
        alone = take_steps([p[one] for p in initial], batch.take(one), shrinker, 0.02)
        for mine, theirs in zip(together, alone, strict=True):
            assert torch.allclose(mine[one], theirs, atol=1e-12)
