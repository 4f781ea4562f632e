"""Penalties on weights that a model computes: their values, gradients, names and refusals."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from shrinkage import L1, L2, Box, GroupLasso, NuclearNorm, Penalty, Toward
from shrinkage.torch import SGD, Effective, Regularizer


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter, laid out as peft does."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(4, 3)
        self.lora_A = nn.ModuleDict({name: nn.Linear(4, 2, bias=False) for name in ADAPTERS})
        self.lora_B = nn.ModuleDict({name: nn.Linear(2, 3, bias=False) for name in ADAPTERS})
        self.scaling = {"default": 2.0, "other": 0.5}


class Plain(nn.Module):
    """The same with parameters of its own, and no scaling."""

    def __init__(self) -> None:
        super().__init__()
        self.lora_a = nn.Parameter(torch.randn(2, 4))
        self.lora_b = nn.Parameter(torch.randn(3, 2))


class Symmetric(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w.triu() + w.triu(1).mT


ADAPTERS = ("default", "other")


def symmetric() -> nn.Module:
    layer = nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def low_rank(model: nn.Module, name: str = "default") -> Tensor:
    adapted: Adapted = model[0]  # type: ignore[index, assignment]
    weights = adapted.lora_B[name].weight, adapted.lora_A[name].weight
    return adapted.scaling[name] * weights[0] @ weights[1]  # type: ignore[operator, return-value]


CASES: dict[str, tuple[Callable[[], nn.Module], str, Callable[[nn.Module], Tensor]]] = {
    "peft": (lambda: nn.Sequential(Adapted()), "0.lora", low_rank),
    "another adapter": (
        lambda: nn.Sequential(Adapted()),
        "*.lora.other",
        lambda model: low_rank(model, "other"),
    ),
    "plain": (Plain, "lora", lambda model: model.lora_b @ model.lora_a),
    "a product": (
        lambda: nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3)),
        "1.weight @ 0.weight",
        lambda model: model[1].weight @ model[0].weight,  # type: ignore[index]
    ),
    "weight norm": (
        lambda: parametrizations.weight_norm(nn.Linear(4, 3)),
        "weight",
        lambda model: model.weight,
    ),
    "a convolution": (
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Conv1d(2, 3, 2))),
        "*.weight",
        lambda model: model[0].weight,  # type: ignore[index]
    ),
    "symmetric": (symmetric, "weight", lambda model: model.weight),
}


@pytest.mark.parametrize("penalty", [L1(0.3), NuclearNorm(0.2), GroupLasso(0.1)], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_those_of_the_computed_weight(name: str, penalty: Penalty) -> None:
    make, key, compute = CASES[name]
    torch.manual_seed(0)
    model = make().double()
    regularizer = Regularizer(model, {Effective(key): penalty})
    expected = compute(model)
    if isinstance(penalty, GroupLasso):
        rows = expected.flatten(1)
        value = 0.1 * math.sqrt(rows.shape[1]) * rows.norm(dim=1).sum()
    elif isinstance(penalty, L1):
        value = 0.3 * expected.abs().sum()
    else:
        value = 0.2 * torch.linalg.svdvals(expected.flatten(1)).sum()
    assert regularizer.value() == pytest.approx(value.item())
    assert regularizer.penalty().item() == pytest.approx(value.item())
    held = [w for _, w in regularizer.named_parameters()]
    gradients = torch.autograd.grad(value, held)
    assert any(gradient.abs().max() > 1e-3 for gradient in gradients)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [w.detach().clone() for w in held]
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    regularizer.attach(optimizer, how="coupled")
    optimizer.step()
    for w, start, gradient in zip(held, before, gradients, strict=True):
        torch.testing.assert_close(w.detach(), start - 0.1 * gradient)
    assert f"on effective {regularizer.bound.bindings[0].name.split()[1]}" in repr(regularizer)
    assert "through the effective weight" in repr(regularizer)


def test_the_penalty_of_other_parameters_reaches_them() -> None:
    model = parametrizations.weight_norm(nn.Linear(4, 3)).double()
    regularizer = Regularizer(model, {Effective("weight"): L1(0.3)})
    replaced = {name: 2.0 * w.detach() for name, w in model.named_parameters()}
    assert regularizer.penalty(replaced).item() == pytest.approx(2.0 * regularizer.value())


def test_the_buffers_of_spectral_norm_in_training_stay_as_they_are() -> None:
    model = parametrizations.spectral_norm(nn.Linear(4, 3))
    regularizer = Regularizer(model, {Effective("weight"): L1(0.3)})
    for w in model.parameters():
        w.data[0] *= 2.0
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert before
    regularizer.value()
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name])


def test_squares_on_both_factors_end_at_the_nuclear_norm() -> None:
    torch.manual_seed(1)
    target = torch.randn(3, 4).double()
    u, s, v = torch.linalg.svd(target, full_matrices=False)
    expected = u @ torch.diag((s - 1.0).clamp(min=0.0)) @ v
    model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(3, 3, bias=False)).double()
    regularizer = Regularizer(model, L2(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer.attach(optimizer, how="coupled")
    for _ in range(600):
        optimizer.zero_grad()
        (0.5 * (model[1].weight @ model[0].weight - target).square().sum()).backward()
        optimizer.step()
    torch.testing.assert_close(
        (model[1].weight @ model[0].weight).detach(), expected, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("how", ["proximal", "decoupled"])
def test_a_way_that_sets_weights_is_refused(how: str) -> None:
    model = nn.Sequential(Adapted())
    regularizer = Regularizer(model, {Effective("*.lora"): NuclearNorm(0.1)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"is computed from .*lora_B.* and .*lora_A.*coupled"):
        regularizer.attach(optimizer, how=how)
    with pytest.raises(ValueError, match="holding its zeros would have to set it"):
        regularizer.hold_zeros()


def test_no_way_is_offered_that_it_refuses() -> None:
    model = symmetric()
    regularizer = Regularizer(model, {Effective("weight"): L1(0.1)})
    regularizer.attach(torch.optim.SGD(model.parameters(), lr=0.1), how="coupled")
    assert "no exact zeros" in repr(regularizer)
    assert "proximal" not in repr(regularizer)


def test_optimizers_with_the_penalty_inside_refuse_it() -> None:
    model = symmetric()
    regularizer = Regularizer(model, {Effective("weight"): L1(0.1)})
    with pytest.raises(ValueError, match="effective weight"):
        SGD(model.parameters(), lr=0.1, penalty=regularizer, how="proximal")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({Effective("weigth"): L1(0.1)}, "matches no weight that the model computes.*0.lora"),
        ({"0.lora_A*": L1(0.1), Effective("0.lora"): L1(0.1)}, "earlier key takes one: one ma"),
        (
            {Effective("0.lora"): L1(0.1), "0.lora_A.d*": L2(1)},
            "takes 0.lora_A.*cannot penalize bo",
        ),
        ({Effective("0.lora"): Box(0.0, 1.0)}, "Effective"),
        ({Effective("0.lora"): Toward("start", L1(0.1))}, "is for one parameter"),
        ({Effective("0.lora"): GroupLasso(0.1, "heads:2")}, 'groups must be "out", "in"'),
        (
            {Effective("0.base_layer.weight @ 0.base_layer.weight2"): L1(0.1)},
            "there is no parameter 0.base_layer.weight2",
        ),
    ],
)
def test_bad_keys_get_a_sentence(keys: dict[object, Penalty], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Regularizer(nn.Sequential(Adapted()), keys)


def test_a_weight_and_its_factors_are_penalized_by_two_regularizers() -> None:
    model = nn.Sequential(Adapted())
    product, factor = (
        Regularizer(model, {key: L2(0.1)}) for key in (Effective("0.lora"), "0.lora_A.d*")
    )
    product.attach(torch.optim.SGD(model.parameters(), lr=0.1), how="coupled")
    factor.penalty().backward()
    assert model.get_parameter("0.lora_A.default.weight").grad is not None
