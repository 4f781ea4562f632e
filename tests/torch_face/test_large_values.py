"""Values and gradients of weights that are large enough to be summed in one pass."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from grid import covering
from shrinkage import L1, L2, ElasticNet, Penalty
from shrinkage.torch import Regularizer
from shrinkage.torch.tensors.values import LARGE, differentiable, number

# torch scripts its decompositions when the first dual number is made.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated")

PENALTIES = [L1(0.3), L2(0.3), ElasticNet(0.3, l1_ratio=0.25), L1(0.1) + L2(0.2)]
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda w: w,
    "transposed": lambda w: w.t(),
    "channels last": lambda w: w.view(50, 40, 5, 2).contiguous(memory_format=torch.channels_last),
    "a part": lambda w: torch.cat([w.flatten(), w.new_full((9,), 7.0)])[5 : 5 + w.numel()],
}
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}


def weights(dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(0)
    w = torch.randn(200, 100, dtype=dtype)
    w[:3] = 0.0
    return w.t().requires_grad_()  # dense, not contiguous


def formula(penalty: Penalty, w: Tensor) -> tuple[float, Tensor]:
    """Ω and ∂Ω, written out in float64."""
    a, b = {"L1": (0.3, 0.0), "L2": (0.0, 0.3), "ElasticNet": (0.075, 0.1125)}.get(
        type(penalty).__name__, (0.1, 0.2)
    )
    wide = w.detach().double()
    value = a * wide.abs().sum() + b * wide.square().sum()
    return float(value), a * wide.sign() + 2.0 * b * wide


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "penalty"), covering(product(LAYOUTS, TOLERANCES), PENALTIES), ids=str
)
def test_value_and_gradient_are_the_formulas(
    kind: tuple[str, torch.dtype], penalty: Penalty
) -> None:
    layout, dtype = kind
    w = LAYOUTS[layout](weights(dtype).detach().t()).requires_grad_()
    assert w.numel() >= LARGE
    assert w.is_contiguous() == (layout in ("contiguous", "a part"))
    value, tolerance = differentiable(w, penalty), TOLERANCES[dtype]
    assert value is not None
    assert type(value.grad_fn).__name__ == "_ValueBackward"
    (gradient,) = torch.autograd.grad(3.0 * value, w, retain_graph=True)
    expected, slope = formula(penalty, w)
    assert (value.dtype, gradient.dtype, gradient.shape) == (dtype, dtype, w.shape)
    assert value.item() == pytest.approx(expected, rel=tolerance)
    assert number(w, penalty) == pytest.approx(expected, rel=tolerance)
    torch.testing.assert_close(gradient.double(), 3.0 * slope, rtol=tolerance, atol=tolerance)
    array = penalty.gradient(w.detach())
    torch.testing.assert_close(gradient, 3.0 * array, rtol=tolerance, atol=tolerance)
    assert gradient.abs().max() > 0.1
    assert (gradient[w == 0] == 0).all()
    (again,) = torch.autograd.grad(value, w, torch.tensor(3.0, dtype=dtype))
    assert torch.equal(again, gradient)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(value, w)


@pytest.mark.quick_where(penalty=PENALTIES[:1])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_gradient_that_is_there_is_added_to_and_none_is_kept(penalty: Penalty) -> None:
    w = weights()
    value = differentiable(w, penalty)
    assert value is not None
    slope = formula(penalty, w)[1]
    value.backward(retain_graph=True)
    first = w.grad
    assert first is not None
    torch.testing.assert_close(first, slope)
    (2.0 * value).backward()
    assert w.grad is first
    torch.testing.assert_close(first, 3.0 * slope)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_gradient_with_a_graph(penalty: Penalty) -> None:
    """Its own gradient is that of the formula: of above·∂Ω, by above and by w."""
    w, above = weights(), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    value = differentiable(w, penalty)
    (gradient,) = torch.autograd.grad(above * value, w, create_graph=True)
    slope = formula(penalty, w)[1]
    torch.testing.assert_close(gradient.detach(), 2.0 * slope)
    by_above, by_w = torch.autograd.grad(gradient.square().sum(), [above, w])
    torch.testing.assert_close(by_above, 4.0 * slope.square().sum())
    curvature = 2.0 * (formula(penalty, 2.0 * w)[1] - slope) / w.detach()  # of the squares alone
    expected = torch.where(w == 0, 0.0, 2.0 * 2.0 * slope * curvature)
    torch.testing.assert_close(by_w, expected)


def test_weights_that_changed_since_are_an_error() -> None:
    w = weights()
    value = differentiable(w, L1(0.3))
    with torch.no_grad():
        w.mul_(2.0)
    assert value is not None
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


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


MODEL = nn.Linear(200, 100).double()
MODEL.weight.data = weights().detach()
BOTH = L1(0.1) + L2(0.2)
Transform = Callable[[Callable[[Tensor], Tensor]], Any]


def dual(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    with forward_ad.dual_level():
        x = forward_ad.make_dual(torch.tensor(2.0), torch.tensor(3.0))
        primal, tangent = forward_ad.unpack_dual(function(x))
        assert tangent is not None
        return primal.detach(), tangent.detach()


TRANSFORMS: dict[str, Transform] = {
    "grad": lambda function: torch.func.grad(function)(torch.tensor(2.0)),
    "vmap": lambda function: torch.func.vmap(function)(torch.tensor([1.0, -2.0])),
    "vmap of grad": lambda function: torch.func.vmap(torch.func.grad(function))(torch.ones(2)),
    "jacrev": lambda function: torch.func.jacrev(function)(torch.tensor(2.0)),
    "jacfwd": lambda function: torch.func.jacfwd(function)(torch.tensor(2.0)),
    "jvp": lambda function: torch.func.jvp(function, (torch.tensor(2.0),), (torch.tensor(3.0),)),
    "dual": dual,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_over_something_else_take_it_for_a_number(transform: str) -> None:
    regularizer = Regularizer(MODEL, BOTH)
    expected = formula(BOTH, MODEL.weight)[0]
    found = TRANSFORMS[transform](lambda x: x.square() * regularizer.penalty())
    wanted = TRANSFORMS[transform](lambda x: x.square() * expected)
    pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
    for one, other in pairs:
        torch.testing.assert_close(one.detach().double(), other.double(), rtol=1e-6, atol=1e-6)
        assert one.abs().max() > 1.0


def test_transforms_over_the_weights_take_the_formula() -> None:
    regularizer = Regularizer(MODEL, BOTH)
    w = MODEL.weight.detach()
    (value, slope), direction = formula(BOTH, w), torch.ones_like(w)

    def total(w: Tensor) -> Tensor:
        return regularizer.penalty({"weight": w})

    torch.testing.assert_close(torch.func.grad(total)(w), slope)
    stacked = torch.stack([w, 2.0 * w])
    values = torch.func.vmap(total)(stacked)
    assert values.tolist() == pytest.approx([value, formula(BOTH, 2.0 * w)[0]], rel=1e-10)
    torch.testing.assert_close(
        torch.func.vmap(torch.func.grad(total))(stacked)[1], formula(BOTH, 2.0 * w)[1]
    )
    for _, tangent in (
        torch.func.jvp(total, (w,), (direction,)),
        torch.autograd.functional.jvp(total, w, direction),
    ):
        torch.testing.assert_close(tangent, slope.sum())
    with forward_ad.dual_level():
        given = forward_ad.make_dual(w, direction)
        _, tangent = forward_ad.unpack_dual(total(given))
        torch.testing.assert_close(tangent, slope.sum())
        function = differentiable(given, BOTH)
        assert function is None
    _, product = torch.func.jvp(torch.func.grad(total), (w,), (direction,))
    torch.testing.assert_close(product, torch.full_like(w, 0.4))
    _, product = torch.autograd.functional.hvp(total, w, direction)
    torch.testing.assert_close(product, torch.full_like(w, 0.4))


@pytest.mark.parametrize("graph", [False, True], ids=["no graph", "graph"])
def test_several_gradients_at_a_time(graph: bool) -> None:
    value, w = Regularizer(MODEL, BOTH).penalty(), MODEL.weight
    above = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)
    (several,) = torch.autograd.grad(value, w, above, is_grads_batched=True, create_graph=graph)
    slope = formula(BOTH, w)[1]
    torch.testing.assert_close(several.detach(), above[:, None, None] * slope)
    if graph:
        (second,) = torch.autograd.grad(several[1].sum(), w)
        torch.testing.assert_close(second, torch.full_like(w, -2.0 * 0.4))


@pytest.mark.parametrize("graph", [False, True], ids=["no graph", "graph"])
def test_a_dual_number_above_a_value_from_before(graph: bool) -> None:
    """The gradient is linear in what stands above it, whose tangent it takes along."""
    value, w = Regularizer(MODEL, BOTH).penalty(), MODEL.weight
    slope = formula(BOTH, w)[1]
    above = torch.tensor([2.0, 3.0], dtype=torch.float64)
    with forward_ad.dual_level():
        given = forward_ad.make_dual(above[0], above[1])
        (gradient,) = torch.autograd.grad(value, w, given, create_graph=graph)
        primal, tangent = forward_ad.unpack_dual(gradient)
        torch.testing.assert_close(primal.detach(), 2.0 * slope)
        assert tangent is not None
        torch.testing.assert_close(tangent.detach(), 3.0 * slope)


def test_a_sum_of_squares_that_overflows_is_none_of_l1s_business() -> None:
    model = nn.Linear(200, 100)
    with torch.no_grad():
        model.weight[0, 0] = 1e20
    assert Regularizer(model, L1(0.5)).value() == pytest.approx(0.5e20, rel=1e-6)
