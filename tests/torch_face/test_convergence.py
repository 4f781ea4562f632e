"""Every way and optimizer converges to the minimum of the objective that it states.

SHRINKAGE_GRID=full runs more penalties and strengths under every optimizer.
"""

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from diabetes import GROUPS, fit, minimum, normal_equations
from fused_twins import torch_operations
from grid import FULL, covering
from optimizer_cases import INSIDE, STEADY, factory, hasty
from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty
from shrinkage.torch import Regularizer

MAKE = factory if FULL else hasty
# Without torch's variants, of which test_steps.py shows that their steps are the same.
OPTIMIZERS = [
    name for name in (*STEADY, *INSIDE) if FULL or not name.endswith(("foreach", "fused"))
]
FEW = OPTIMIZERS if FULL else ["SGD momentum", "Adam", "Adagrad"]  # one for each kind of step
# With compiled loops; of the others `fused` shows that their steps are those of torch operations.
OURS = list(INSIDE) if FULL else ["shrinkage SGD momentum", "shrinkage Adam"]
SINGLE = [L1(0.1), ElasticNet(0.2), L2(0.05)]
SPARSE_GROUPS = L1(0.06) + GroupLasso(0.12, GROUPS)
GROUPED = [(SPARSE_GROUPS, (10,)), (GroupLasso(0.17, 1), (2, 5))]
if FULL:
    SINGLE += [L1(0.03), L1(0.25), ElasticNet(0.05, 0.9), ElasticNet(0.5), L2(0.25)]
    GROUPED += [
        (GroupLasso(0.17, GROUPS), (10,)),
        (GroupLasso(0.35, GROUPS, weight="none"), (10,)),
        (ElasticNet(0.1) + GroupLasso(0.12, GROUPS), (10,)),
    ]
# Near the minimum their steps shrink late.
SLOW = {"RAdam": 400, "RMSprop": 400, "RMSprop momentum": 1000, "Adadelta": 600}


def assert_rests(weights: np.ndarray, target: np.ndarray, tolerance: float) -> None:
    assert np.abs(target).max() > 0.05  # a minimum at 0 would show nothing
    assert np.abs(weights - target).max() < tolerance


@pytest.mark.quick_where(optimizer=["SGD", "shrinkage Adam"])
@pytest.mark.parametrize(("optimizer", "penalty"), covering(OPTIMIZERS, SINGLE), ids=str)
def test_proximal_converges_to_scikit_learns_minimum(optimizer: str, penalty: Penalty) -> None:
    steps = 2400 if FULL else SLOW.get(optimizer, 250)
    steps = 3 * steps // 2 if isinstance(penalty, L2) else steps
    with nullcontext() if optimizer in OURS else torch_operations():
        weights, said = fit(MAKE(optimizer), penalty, "proximal", steps=steps)
    target = minimum(penalty)
    assert_rests(weights, target, 1e-6)
    assert ((weights == 0) == (target == 0)).all()
    assert (weights == 0).any() == (not isinstance(penalty, L2))
    assert "converges to the minimum of J = data loss + Ω; exact zeros" in said


@pytest.mark.slow
@pytest.mark.usefixtures("torch_operations")
def test_a_rate_that_adagrad_lets_fall_is_that_of_the_prox() -> None:
    optimizer = partial(torch.optim.Adagrad, lr=1.0, lr_decay=0.01)
    weights, _ = fit(optimizer, L1(0.1), "proximal", steps=600)
    assert_rests(weights, minimum(L1(0.1)), 1e-6)


@pytest.mark.quick_where(optimizer=["Adam"])
@pytest.mark.parametrize(("optimizer", "case"), covering(FEW, GROUPED), ids=str)
@pytest.mark.usefixtures("torch_operations")
def test_proximal_groups_converge_to_the_minimum(
    optimizer: str, case: tuple[Penalty, tuple[int, ...]]
) -> None:
    penalty, shape = case
    steps = 1500 if FULL else 250
    weights, _ = fit(MAKE(optimizer), penalty, "proximal", shape=shape, steps=steps)
    target = minimum(penalty, shape)
    assert_rests(weights, target, 1e-6)
    assert ((weights == 0) == (target == 0)).all()
    assert 0 < (weights == 0).sum() < weights.size


@pytest.mark.quick_where(optimizer=["SGD momentum"])
@pytest.mark.parametrize(
    ("optimizer", "how"), [*((name, "coupled") for name in FEW), ("SGD", "loss")]
)
@pytest.mark.usefixtures("torch_operations")
def test_squares_in_the_gradient_converge_to_the_ridge(optimizer: str, how: str) -> None:
    steps = 1500 if FULL else 550
    weights, _ = fit(MAKE(optimizer), L2(0.05), how, steps=steps)
    assert_rests(weights, minimum(L2(0.05)), 1e-6)


@pytest.mark.quick_where(optimizer=["Adam"])
@pytest.mark.parametrize(
    ("optimizer", "how"),
    covering(["SGD momentum", "Adam", "Adagrad"], ["loss", "coupled"]),
)
@pytest.mark.usefixtures("torch_operations")
def test_the_subgradient_comes_near_the_lasso_without_a_zero(optimizer: str, how: str) -> None:
    weights, _ = fit(factory(optimizer), L1(0.1), how, steps=800)
    assert_rests(weights, minimum(L1(0.1)), 1e-3)  # weights hop across 0 by a step's length
    assert (weights != 0).all()


# lr and more -> by what the strength is multiplied, and what the attachment says of it
DECOUPLED: dict[str, tuple[dict[str, Any], float, str]] = {
    "plain": ({"lr": 0.4}, 1.0, "converges to the minimum of J = data loss + Ω"),
    "momentum": ({"lr": 0.3, "momentum": 0.5}, 0.5, "every strength times 0.5 (momentum)"),
    "dampening": (
        {"lr": 0.4, "momentum": 0.8, "dampening": 0.5},
        0.4,
        "every strength times 0.4 (momentum)",
    ),
    "Nesterov": ({"lr": 0.2, "momentum": 0.5, "nesterov": True}, 0.5, "times 0.5 (momentum)"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("torch_operations")
@pytest.mark.parametrize(
    ("name", "penalty"),
    covering(DECOUPLED, [L1(0.1), L2(0.05), ElasticNet(0.2), GroupLasso(0.17, GROUPS)]),
    ids=str,
)
def test_decoupled_sgd_converges_where_its_attachment_says(name: str, penalty: Penalty) -> None:
    options, share, said = DECOUPLED[name]
    optimizer = partial(torch.optim.SGD, **options)
    steps = 700 if isinstance(penalty, L2) else 300
    weights, sentence = fit(optimizer, penalty, "decoupled", steps=steps, scale="lr")
    assert sentence.endswith(said)
    target = minimum(times(penalty, share))
    assert_rests(weights, target, 1e-6)
    other = minimum(times(penalty, 1.0 if share < 1 else 0.5))
    assert np.abs(other - target).max() > 1e-3


def times(penalty: Penalty, share: float) -> Penalty:
    """The same penalty with another strength."""
    match penalty:
        case ElasticNet(lam, l1_ratio):
            return ElasticNet(share * lam, l1_ratio)
        case GroupLasso(lam, groups):
            return GroupLasso(share * lam, groups)
    return type(penalty)(share * penalty.lam)


@pytest.mark.slow
def test_adam_decoupled_claims_no_objective() -> None:
    weights, said = fit(factory("Adam"), L2(0.05), "decoupled", steps=500)
    assert said.endswith("no objective is claimed for what it converges to")
    assert np.abs(weights - minimum(L2(0.05))).max() > 0.01


@pytest.mark.slow
@pytest.mark.usefixtures("torch_operations")
def test_weight_decay_inside_adds_half_of_it_to_the_objective() -> None:
    for name in ("SGD momentum", "Adam", "NAdam", "Adagrad"):
        optimizer = partial(hasty(name), weight_decay=0.1)
        with pytest.warns(UserWarning, match=r"adds ½·0.1·Σw² to J"):
            weights, _ = fit(optimizer, L1(0.1), "proximal", steps=300)
        assert_rests(weights, minimum(ElasticNet(0.2, l1_ratio=0.5)), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("penalty", "target"),
    [(L1(0.1), L1(0.1)), (GroupLasso(0.2, "in"), L1(0.2)), (ElasticNet(0.2), ElasticNet(0.2))],
    ids=str,
)
def test_sparse_adam_converges_to_the_minimum(penalty: Penalty, target: Penalty) -> None:
    embedding = torch.nn.Embedding(10, 1, sparse=True, dtype=torch.float64)
    torch.nn.init.zeros_(embedding.weight)
    optimizer = torch.optim.SparseAdam(embedding.parameters(), lr=0.08)
    Regularizer(embedding, penalty).attach(optimizer, how="proximal")
    A, b = (torch.tensor(part) for part in normal_equations())
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.08 * min(1.0, 2 * (1 - step / 300))
        gradient = A @ embedding.weight.detach() - b[:, None]
        embedding.weight.grad = torch.sparse_coo_tensor(
            torch.arange(10)[None], gradient, check_invariants=True
        )
        optimizer.step()
    weights = embedding.weight.detach().numpy().ravel()
    assert_rests(weights, minimum(target), 1e-6)
    assert ((weights == 0) == (minimum(target) == 0)).all()


@pytest.mark.slow
def test_the_independent_solver_agrees_with_scikit_learn() -> None:
    """The oracle for groups, held against a known minimum: groups of one entry are the lasso."""
    ones = GroupLasso(0.1, tuple((i,) for i in range(10)))
    assert np.abs(minimum(ones) - minimum(L1(0.1))).max() < 1e-10
