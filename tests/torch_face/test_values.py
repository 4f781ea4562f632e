"""penalty(), value() and sparsity(): graphs, types, accuracy, transforms."""

import math

import pytest
import torch
from torch import Tensor, nn

import oracles
from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty
from shrinkage.torch import Regularizer

PENALTIES = [
    L1(0.5),
    L2(0.5),
    ElasticNet(0.5),
    GroupLasso(0.5),
    GroupLasso(0.5, [[0, 3], [5]]),
    L1(0.2) + L2(0.3) + GroupLasso(0.4, "in"),
]


def network(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).to(dtype)


def by_formula(model: nn.Module, penalty: Penalty) -> float:
    """Ω from the slow twins."""
    weights = [p.detach().double().numpy() for p in model.parameters() if p.ndim > 1]
    return sum(oracles.value(penalty, w) for w in weights)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_penalty_and_value_are_the_formula_and_its_gradient(penalty: Penalty) -> None:
    model = network()
    regularizer = Regularizer(model, penalty)
    assert regularizer.value() == pytest.approx(by_formula(model, penalty), rel=1e-12)
    total = regularizer.penalty()
    assert total.ndim == 0
    assert total.item() == pytest.approx(regularizer.value(), rel=1e-12)
    total.backward()
    w = model[0].weight
    expected = torch.tensor(oracles.gradient(penalty, w.detach().numpy()))
    assert torch.allclose(w.grad, expected, atol=1e-10, rtol=0)
    assert model[0].bias.grad is None


def test_each_call_has_a_graph_of_its_own_and_follows_the_weights() -> None:
    model = network()
    regularizer = Regularizer(model, L1(1.0))
    first = regularizer.penalty()
    first.backward()
    with torch.no_grad():
        model[0].weight.mul_(2.0)
    second = regularizer.penalty()
    second.backward()
    assert second > first
    assert torch.equal(model[0].weight.grad, 2 * model[0].weight.sign())
    assert not torch.is_grad_enabled() or second.requires_grad
    with torch.no_grad():
        assert not regularizer.penalty().requires_grad


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_nothing_but_the_weights_is_changed_and_they_are_not_either(penalty: Penalty) -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    regularizer = Regularizer(model, penalty)
    regularizer.value(), regularizer.sparsity(), repr(regularizer), regularizer.penalty()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype: torch.dtype) -> None:
    model = network(dtype)
    regularizer = Regularizer(model, L1(0.5) + GroupLasso(0.1))
    assert regularizer.penalty().dtype == dtype
    assert regularizer.penalty(like=torch.zeros((), dtype=torch.float64)).dtype == torch.float64
    exact = by_formula(model, L1(0.5) + GroupLasso(0.1))
    assert regularizer.value() == pytest.approx(exact, rel=1e-6)  # summed in float32
    regularizer.penalty().backward()
    assert model[0].weight.grad.dtype == dtype


def test_like_gives_the_loss_its_type_and_device() -> None:
    regularizer = Regularizer(network(torch.float32), L1(0.5))
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        loss = torch.ones((), dtype=dtype)
        assert (loss + regularizer.penalty(like=loss)).dtype == dtype
    assert regularizer.penalty(like=torch.ones((), device="meta")).device.type == "meta"


def test_types_may_be_mixed_in_one_model() -> None:
    model = nn.Sequential(nn.Linear(3, 4).half(), nn.Linear(4, 3).double())
    regularizer = Regularizer(model, L1(1.0))
    assert regularizer.penalty().dtype == torch.float64
    assert regularizer.value() == pytest.approx(by_formula(model, L1(1.0)), rel=1e-6)


def test_complex_weights_count_by_their_modulus() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.tensor([[3 + 4j, 0j], [0j, 6 - 8j]]))})
    assert Regularizer(model, L1(1.0)).penalty().item() == 15.0
    assert Regularizer(model, L2(1.0)).value() == 125.0
    assert Regularizer(model, GroupLasso(1.0, weight="none")).value() == 15.0
    Regularizer(model, L1(1.0)).penalty().backward()
    assert torch.allclose(model["w"].grad, torch.tensor([[0.6 + 0.8j, 0], [0, 0.6 - 0.8j]]))


@pytest.mark.quick_where(penalty=[L1(1e-4)])
@pytest.mark.parametrize("penalty", [L1(1e-4), L2(1e-4), GroupLasso(1e-4), GroupLasso(1e-4, "in")])
def test_accuracy_over_millions_of_entries(penalty: Penalty) -> None:
    model = nn.Linear(2500, 2000, bias=False)
    nn.init.uniform_(model.weight, 0.0, 1.0, generator=torch.Generator().manual_seed(0))
    exact = penalty.value(model.weight.detach().double()).item()
    assert Regularizer(model, penalty).value() == pytest.approx(exact, rel=1e-6)
    assert Regularizer(model, penalty).penalty().item() == pytest.approx(exact, rel=1e-6)


@pytest.mark.quick_where(penalty=PENALTIES[:2])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.usefixtures("torch_operations")
def test_zeros_have_no_nan(penalty: Penalty) -> None:
    model = network()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    regularizer = Regularizer(model, penalty, on="weights")
    total = regularizer.penalty()
    total.backward()
    assert total.item() == regularizer.value() == 0.0
    assert all((p.grad == 0).all() for p in model.parameters() if p.ndim > 1)
    for how in ("coupled", "decoupled", "proximal"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        with Regularizer(model, penalty).attach(optimizer, how=how):
            optimizer.step()
        assert all((p == 0).all() for p in model.parameters())


# Index lists are kept in a cache, which the compiler mentions and rightly looks through.
@pytest.mark.quick_where(penalty=[PENALTIES[0]])
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize("penalty", [PENALTIES[0], *PENALTIES[-2:]], ids=str)
def test_compiled_code_gives_the_same_without_a_graph_break(penalty: Penalty) -> None:
    model = network()
    regularizer = Regularizer(model, penalty)

    def loss(x: Tensor) -> Tensor:
        return model(x).square().mean() + regularizer.penalty()

    x = torch.ones(2, 3, dtype=torch.float64)
    backend = "aot_eager" if penalty is PENALTIES[-1] else "eager"  # the first takes longer
    torch.compile(loss, fullgraph=True, backend=backend)(x).backward()
    compiled = model[0].weight.grad.clone()
    model.zero_grad()
    loss(x).backward()
    assert torch.allclose(model[0].weight.grad, compiled, atol=1e-12)


@pytest.mark.quick_where(penalty=PENALTIES[:2])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_double_backward(penalty: Penalty) -> None:
    model = network()
    regularizer = Regularizer(model, penalty)
    parameters = dict(regularizer.named_parameters())

    def total(*weights: Tensor) -> Tensor:
        return regularizer.penalty(dict(zip(parameters, weights, strict=True)))

    assert torch.autograd.gradgradcheck(total, tuple(parameters.values()))


def test_functional_transforms_take_a_mapping_of_parameters() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.5) + L2(0.25))
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    x = torch.ones(2, 3, dtype=torch.float64)

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        output = torch.func.functional_call(model, parameters, (x,))
        return output.square().mean() + regularizer.penalty(parameters)

    gradients = torch.func.grad(loss)(parameters)
    (model(x).square().mean() + regularizer.penalty()).backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad, atol=1e-12)
    stacked = {name: torch.stack([p, 2 * p]) for name, p in parameters.items()}
    values = torch.func.vmap(regularizer.penalty)(stacked)
    assert values[0].item() == pytest.approx(regularizer.value())
    with pytest.raises(ValueError, match=r"parameters holds no 2\.weight, which is penalized"):
        regularizer.penalty({"0.weight": parameters["0.weight"]})


def test_inside_functional_call_the_model_shows_the_replaced_parameters() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2, bias=False)

        def forward(self, regularizer: Regularizer) -> Tensor:
            return regularizer.penalty()

    model = Own()
    regularizer = Regularizer(model, L1(1.0))
    nn.init.ones_(model.inner.weight)
    replaced = {"inner.weight": torch.full((2, 2), 3.0, requires_grad=True)}
    assert torch.func.functional_call(model, replaced, (regularizer,)).item() == 12.0
    assert regularizer.value() == 4.0


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e30])
def test_an_explosion_names_the_parameter_the_strength_and_the_step(number: float) -> None:
    model = network(torch.float32)
    regularizer = Regularizer(model, {"0*": L1(0.5), "2*": L2(0.25)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with regularizer.attach(optimizer, how="coupled"):
        optimizer.step()
    with torch.no_grad():
        model[2].weight[0, 0] = number
    message = r"not finite at step 1: 2\.weight under L2\(lam=0\.25\): 0\.25·Σw² \(largest \|w\|: "
    with pytest.raises(FloatingPointError, match=message):
        regularizer.penalty()
    with pytest.raises(FloatingPointError, match=message):
        regularizer.value()


def test_sparsity_counts_exact_zeros_and_dead_groups() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Conv2d(2, 2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -0.0]]))
        model[1].weight.fill_(1e-30)
    found = Regularizer(model, {"0*": GroupLasso(0.1), "1*": L1(0.1)}).sparsity()
    assert found.parameters["0.weight"] == (5, 6, 1, 2)
    assert found.parameters["1.weight"] == (0, 4, 0, 0)
    assert (found.zeros, found.entries, found.share) == (5, 10, 0.5)
    assert "0.weight: 5 of 6, 1 of 2 groups" in repr(found)
    assert "5 of 10 penalized weights are exactly zero" in repr(found)
    assert found._repr_html_().count("<tr>") == 1 + len(found.parameters)
    assert "<p>5 of 10 penalized weights are exactly zero</p>" in found._repr_html_()
