"""Dual averaging: the formula, and the zeros that proximal steps do not show under noise."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import oracles
from diabetes import minimum, normal_equations, standardized
from shrinkage import L1, MCP, ElasticNet, GroupLasso, NuclearNorm, Penalty, Toward
from shrinkage.torch import RDA, Regularizer


@pytest.mark.parametrize("penalty", [L1(0.3), ElasticNet(0.4), GroupLasso(0.3)], ids=str)
def test_every_step_is_its_formula(penalty: Penalty) -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=(3, 4))
    w = nn.Parameter(torch.tensor(start))
    optimizer = RDA([w], lr=0.7, penalty=penalty)
    gradients = []
    for count in range(1, 11):
        gradients.append(random.normal(size=(3, 4)))
        w.grad = torch.tensor(gradients[-1])
        optimizer.step()
        own = 0.7 / (np.sqrt(np.sum(np.square(gradients), axis=0)) + 1e-10)
        z = start - own * np.sum(gradients, axis=0)
        expected = oracles.prox(penalty, z, count * own)
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def train(kind: str, lam: float, seed: int) -> np.ndarray:
    """3 000 steps on mini-batches of 16 from zero."""
    X, y = (torch.tensor(part) for part in standardized())
    model = nn.Linear(10, 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    regularizer = Regularizer(model, L1(lam))
    if kind == "RDA":
        optimizer = RDA(model.parameters(), lr=0.2, penalty=regularizer)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        regularizer.attach(optimizer, how="proximal")
    rows = torch.tensor(np.random.default_rng(seed).integers(0, len(y), (3_000, 16)))
    for batch in rows:
        residual = X[batch] @ model.weight[0].detach() - y[batch]
        model.weight.grad = (residual @ X[batch] / 16)[None]
        optimizer.step()
    return model.weight.detach().numpy()[0]


@pytest.mark.slow
def test_it_finds_the_zeros_that_the_proximal_iterate_does_not() -> None:
    lam, seed = 0.03, 0
    target = minimum(L1(lam)) == 0
    assert target.sum() == 3
    assert ((train("RDA", lam, seed) == 0) == target).all()
    assert ((train("Adam", lam, seed) == 0) != target).any()


def test_it_comes_to_the_minimum() -> None:
    A, b = (torch.tensor(part) for part in normal_equations())
    w = nn.Parameter(torch.zeros(10, dtype=torch.float64))
    optimizer = RDA([w], lr=1.0, penalty=L1(0.1))
    for _ in range(500):
        w.grad = A @ w.detach() - b
        optimizer.step()
    target = minimum(L1(0.1))
    assert np.abs(w.detach().numpy() - target).max() < 1e-3  # it nears by 1/√t
    assert ((w.detach().numpy() == 0) == (target == 0)).all()


def test_a_regularizer_selects_and_scales() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, L1(100.0), schedule=lambda step: 0.0)
    optimizer = RDA(model.parameters(), lr=0.1, penalty=regularizer)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert (model.weight != 0).all()  # the factor is 0
    regularizer.schedule = None
    regularizer.factor = 1.0
    optimizer.step()
    assert (model.weight == 0).all()
    assert (model.bias != 0).all()  # no weight


def test_a_schedule_moves_on() -> None:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, L1(0.1), schedule=lambda step: step / 10)
    optimizer = RDA(model.parameters(), penalty=regularizer)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for _ in range(5):
        optimizer.step()
    assert regularizer.factor == 0.5


def test_16_bit_weights_are_refused() -> None:
    w = nn.Parameter(torch.ones(2, dtype=torch.float16))
    w.grad = torch.ones_like(w)
    with pytest.raises(TypeError, match=r"which torch.float16 cannot hold: keep float32 weights"):
        RDA([w], penalty=L1(0.1)).step()


def test_what_it_does_not_hold_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    with pytest.raises(ValueError, match=r"RDA does not hold 1.weight, which is penalized"):
        RDA(model[0].parameters(), penalty=Regularizer(model, L1(0.1)))
    with pytest.raises(ValueError, match="a reference by name needs a Regularizer around it"):
        RDA(model.parameters(), penalty=Toward("start", L1(0.1)))


def test_it_goes_on_from_a_checkpoint() -> None:
    def steps(optimizer: RDA, w: nn.Parameter, count: int) -> None:
        for number in range(count):
            w.grad = torch.tensor([1.0, -0.5]) * (1 + number % 3)
            optimizer.step()

    w, v = (nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    whole, half = (RDA([p], lr=0.3, penalty=L1(0.01)) for p in (w, v))
    steps(whole, w, 6)
    steps(half, v, 3)
    u = nn.Parameter(v.detach().clone())
    resumed = RDA([u], lr=0.3, penalty=L1(0.01))
    resumed.load_state_dict(half.state_dict())
    steps(resumed, u, 3)
    assert torch.equal(u, w)


def test_parameters_without_a_gradient_stay_and_closures_are_called() -> None:
    w, v = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = RDA([w, v], penalty=L1(0.1))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert torch.equal(v, torch.ones(2))
    assert (w < 1).all()


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"penalty": 0.1}, TypeError, "penalty must be a Penalty or a Regularizer, got 0.1"),
        ({"penalty": L1(0.1), "lr": 0.0}, ValueError, "lr must be > 0 and finite, got 0.0"),
        ({"penalty": L1(0.1), "eps": -1.0}, ValueError, "eps must be > 0 and finite, got -1.0"),
        (
            {"penalty": NuclearNorm(0.1)},
            ValueError,
            "penalty: NuclearNorm.* no prox in closed",
        ),
        (
            {"penalty": GroupLasso(1) + GroupLasso(1, "in")},
            ValueError,
            "penalty: .* has no prox in closed form",
        ),
    ],
)
def test_bad_arguments(options: dict, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        RDA([nn.Parameter(torch.ones(2, 2))], **options)


def test_sparse_gradients_are_refused() -> None:
    embedding = nn.Embedding(3, 2, sparse=True)
    optimizer = RDA(embedding.parameters(), penalty=MCP(0.1))
    embedding(torch.tensor([0])).sum().backward()
    with pytest.raises(RuntimeError, match="averages dense gradients"):
        optimizer.step()


def test_a_norm_of_one_group_is_refused() -> None:
    w, v = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="a group has none: give it to RDA"):
        RDA([{"params": [w], "max_norm": 1.0}], penalty=L1(0.1))
    optimizer = RDA([w], penalty=L1(0.1), max_norm=1.0)
    optimizer.add_param_group({"params": [v]})
    assert not any("max_norm" in group for group in optimizer.param_groups)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("selects", [False, True])
def test_copies_go_on_with_the_penalty(copied: Callable[[object], RDA], selects: bool) -> None:
    # w₀ = 1, lr 1, a gradient of 1 clipped to 1/2 at each step, which counts as half a one in t:
    # Σg = 1, h = √(2/4) and t = 1 after two, so 1 − 1/h = −0.41 is pulled by 0.25/h to −0.06.
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(model.weight)
    penalty = Regularizer(model, L1(0.25)) if selects else L1(0.25)
    optimizer = RDA(model.parameters(), lr=1.0, penalty=penalty, max_norm=0.5)
    model.weight.grad = torch.ones(1, 1, dtype=torch.float64)
    optimizer.step()
    other = copied(optimizer)
    (w,) = other.param_groups[0]["params"]
    w.grad = torch.ones_like(w)
    other.step()
    h = 0.5**0.5
    assert w.item() == pytest.approx(1 - 1 / h + 0.25 / h, abs=1e-5)  # torch adds 1e-6 to the norm
    assert w is not model.weight
    if isinstance(other.penalty, Regularizer):
        assert other.penalty.named_parameters()[0][1] is w


def test_a_second_penalty_is_refused() -> None:
    model = nn.Linear(2, 1)
    inside = Regularizer(model, L1(0.1))
    optimizer = RDA(model.parameters(), penalty=inside)
    for one in (inside, Regularizer(model, L1(0.2))):
        with pytest.raises(ValueError, match="inside for the same parameters"):
            one.attach(optimizer, "coupled")
    plain = RDA(model.parameters(), penalty=L1(0.1))
    with pytest.raises(ValueError, match="inside for the same parameters"):
        Regularizer(model, L1(0.2)).attach(plain, "coupled")
    Regularizer(model, L1(0.2), on="bias").attach(optimizer, "coupled")
