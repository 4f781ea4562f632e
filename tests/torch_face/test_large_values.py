"""Values and gradients of weights that are large enough to be summed in one pass."""

import pytest
import torch
from torch import Tensor, nn

from shrinkage import L1, L2, ElasticNet, Penalty
from shrinkage.torch import Regularizer
from shrinkage.torch.values import LARGE, differentiable

PENALTIES = [L1(0.3), L2(0.3), ElasticNet(0.3, l1_ratio=0.25), L1(0.1) + L2(0.2)]


def weights(dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(0)
    w = torch.randn(200, 100, dtype=dtype)
    w[:3] = 0.0
    return w.t().requires_grad_()  # dense, not contiguous


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_value_and_gradient_are_the_formulas(penalty: Penalty, dtype: torch.dtype) -> None:
    w = weights(dtype)
    assert w.numel() >= LARGE
    value = differentiable(w, penalty)
    assert value is not None
    (gradient,) = torch.autograd.grad(3.0 * value, w, retain_graph=True)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype is torch.float32 else {}
    torch.testing.assert_close(value.detach(), penalty.value(w.detach()), **tolerance)
    expected = 3.0 * penalty.gradient(w.detach())
    torch.testing.assert_close(gradient, expected, **tolerance)
    assert gradient.abs().max() > 0.1
    (again,) = torch.autograd.grad(3.0 * value, w)
    assert torch.equal(again, gradient)


def test_it_can_be_differentiated_twice() -> None:
    w = weights()
    (gradient,) = torch.autograd.grad(differentiable(w, L2(0.3)), w, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), w)
    torch.testing.assert_close(second, torch.full_like(w, 0.6))


def test_it_adds_to_a_gradient_that_is_there() -> None:
    model = nn.Linear(200, 100)
    model.weight.grad = torch.ones_like(model.weight)
    Regularizer(model, L1(0.5)).penalty().backward()
    assert torch.equal(model.weight.grad, 1.0 + 0.5 * model.weight.detach().sign())


def test_transforms_over_something_else_go_on() -> None:
    model = nn.Linear(200, 100)
    regularizer = Regularizer(model, L1(0.5))
    slope = torch.func.grad(lambda x: x * regularizer.penalty())(torch.tensor(2.0))
    assert float(slope.detach()) == pytest.approx(regularizer.value(), rel=1e-5)
    together = torch.func.vmap(lambda x: x * regularizer.penalty())(torch.ones(2))
    assert together.detach().tolist() == pytest.approx([regularizer.value()] * 2, rel=1e-5)
    value = regularizer.penalty()
    several = torch.autograd.grad(
        value, model.weight, torch.tensor([1.0, 2.0]), is_grads_batched=True
    )[0]
    torch.testing.assert_close(several[1], model.weight.detach().sign())


def test_a_sum_of_squares_that_overflows_is_none_of_l1s_business() -> None:
    model = nn.Linear(200, 100)
    with torch.no_grad():
        model.weight[0, 0] = 1e20
    assert Regularizer(model, L1(0.5)).value() == pytest.approx(0.5e20, rel=1e-6)
