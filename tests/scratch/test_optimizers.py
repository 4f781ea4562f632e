"""Every optimizer is its torch twin over 50 steps, by hand and in `fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from diabetes import minimum, standardized
from grid import covering
from scratch.twins import (
    OPTIMIZERS,
    PENALTIES,
    apart,
    in_torch,
    parameters,
    steps_by_hand,
    torch_parameters,
)
from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty
from shrinkage.scratch import (
    SGD,
    AdaGrad,
    Adam,
    Dense,
    MeanSquaredError,
    Network,
    ReLU,
    RMSProp,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.torch import Regularizer

STEPS, DECAY = 50, 0.03
X = np.random.default_rng(0).standard_normal((40, 5))
Y = np.random.default_rng(1).integers(0, 3, 40)


def network(optimizer: Optimizer, penalty: Penalty | None = None, how: str = "coupled") -> Network:
    hidden = Dense(5, 7, weight_penalty=penalty, bias_penalty=penalty, how=how, scale=0.5, rng=1)
    hidden.biases[:] = np.random.default_rng(2).standard_normal((1, 7)) / 3
    last = Dense(7, 3, weight_penalty=penalty, how=how, scale=0.5, rng=3)
    return Network(
        [hidden, ReLU(), last], loss=SoftmaxCategoricalCrossEntropy(), optimizer=optimizer
    )


def train(ours: Network, way: str) -> list[np.ndarray]:
    """The parameters after `STEPS` steps."""
    if way == "fit":
        ours.fit(X, Y, epochs=STEPS)
    else:
        steps_by_hand(ours, X, Y, STEPS)
    return parameters(ours.layers)


def train_in_torch(
    ours: Network, name: str, penalty: Penalty | None = None, *, how: str = "", decay: float = 0.0
) -> list[np.ndarray]:
    """The same in torch, with the penalty attached if there is one."""
    model = in_torch(ours.layers)
    optimizer = OPTIMIZERS[name][1](model.parameters())
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + decay * step))
    if penalty is not None:
        on = {"0.weight": penalty, "0.bias": penalty, "2.weight": penalty}
        Regularizer(model, on).attach(optimizer, how=how)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(Y)).backward()
        optimizer.step()
        scheduler.step()
    return torch_parameters(model)


@cache
def train_without_penalty(name: str) -> list[np.ndarray]:
    return train_in_torch(network(OPTIMIZERS[name][0]()), name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps(name: str) -> None:
    for way in ("by hand", "fit"):
        ours = network(OPTIMIZERS[name][0](decay=DECAY))
        start, theirs = parameters(ours.layers), train_in_torch(ours, name, decay=DECAY)
        assert apart(train(ours, way), theirs) < 1e-10
        assert apart(start, theirs) > 0.01
        assert ours.optimizer.iterations == STEPS
        assert ours.optimizer.current_lr == ours.optimizer.lr / (1 + DECAY * (STEPS - 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    covering(product(OPTIMIZERS, ("coupled", "proximal")), PENALTIES),
    ids=str,
)
def test_fifty_penalized_steps_are_those_of_the_torch_face(
    optimizer: tuple[str, str], penalty: Penalty
) -> None:
    name, how = optimizer
    theirs = train_in_torch(network(OPTIMIZERS[name][0]()), name, penalty, how=how)
    without = train_without_penalty(name)
    for way in ("by hand", "fit"):
        after = train(network(OPTIMIZERS[name][0](), penalty, how), way)
        assert apart(after, theirs) < 1e-10
        zeros = [np.count_nonzero(one) for one in after]
        assert zeros == [np.count_nonzero(one) for one in theirs]
        assert apart(after, without) > 1e-3
        if how == "coupled":
            assert all(np.all(one) for one in after[:3])


# Rates at which they rest on the diabetes data within so many steps, as near as that.
STEADY: dict[str, tuple[Callable[[], Optimizer], int, float]] = {
    "SGD": (lambda: SGD(lr=0.1), 1000, 1e-6),
    "SGD momentum": (lambda: SGD(lr=0.03, momentum=0.9), 700, 1e-6),
    "SGD Nesterov": (lambda: SGD(lr=0.03, momentum=0.9, nesterov=True), 700, 1e-6),
    "AdaGrad": (lambda: AdaGrad(lr=2.0), 1000, 1e-6),
    "RMSProp": (lambda: RMSProp(lr=0.02, decay=0.05), 2400, 1e-4),  # cycles within lr/2
    "Adam": (lambda: Adam(lr=0.05, decay=0.003), 1000, 1e-6),  # later v vanishes, and it bursts
}


@pytest.mark.quick_where(name=["Adam"])
@pytest.mark.parametrize(
    ("name", "penalty"), covering(STEADY, [L1(0.05), L2(0.05), ElasticNet(0.1)]), ids=str
)
def test_converges_to_the_minimum_of_scikit_learn(name: str, penalty: Penalty) -> None:
    make, steps, near = STEADY[name]
    twice = replace(penalty, lam=2 * penalty.lam)  # as MeanSquaredError is twice theirs: no ½
    layer = Dense(10, 1, weight_penalty=twice, how="proximal", rng=0)
    network = Network([layer], loss=MeanSquaredError(), optimizer=make())
    network.fit(*standardized(), epochs=steps)
    rest, fitted = layer.weights[:, 0], minimum(penalty)
    assert np.abs(rest - fitted).max() < near
    assert abs(layer.biases[0, 0]) < near
    assert ((rest == 0) == (fitted == 0)).all()
    assert np.count_nonzero(rest == 0) >= (2 if isinstance(penalty, L1) else 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rates_fall_with_the_steps(name: str) -> None:
    optimizer = OPTIMIZERS[name][0](decay=0.5)
    lr, layer = optimizer.lr, Dense(1, 1, rng=0)
    layer.forward([[1.0]])
    for step in range(4):
        layer.backward([[1.0]])
        optimizer.pre_update()
        assert optimizer.current_lr == lr / (1 + 0.5 * step)
        optimizer.update(layer)
        assert optimizer.iterations == step
        optimizer.post_update()
    assert optimizer.iterations == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_whole_layer_dies_of_a_strength_beyond_all_derivatives(name: str) -> None:
    """Once a prox has moved an entry as far as its limit lets it, it ends at 0 and stays."""
    ours = network(OPTIMIZERS[name][0](), GroupLasso(1e3), "proximal")
    ours.fit(X, Y, epochs=100)
    assert not ours.dense[0].weights.any()
    assert not ours.dense[0].biases.any()
    assert ours.dense[1].biases.any()  # no penalty is on these
