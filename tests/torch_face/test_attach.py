"""What attach() refuses, warns of and says; copies; detach."""

import copy
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage import (
    L0,
    L1,
    L2,
    GroupLasso,
    Lp,
    MaxNorm,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Penalty,
)
from shrinkage.torch import SGD, Adam, Regularizer


class SameStep(torch.optim.Adam):
    """A subclass with options of its own and Adam's step."""


class OtherStep(torch.optim.Adam):
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.sub_(parameter.grad.sign())


class MADGRAD(torch.optim.SGD):
    """Of the name of an optimizer of other packages whose weights come from a sum of its moves."""


class Unknown(Optimizer):
    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=group["lr"])


def network() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 4)


def sgd(model: nn.Module, **options: Any) -> Optimizer:
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, **options})


def attached(
    make: Callable[..., Optimizer], how: str, penalty: Penalty | None = None, **options: Any
) -> Any:
    model = network()
    return Regularizer(model, penalty or L1(0.1)).attach(make(model.parameters()), how, **options)


optim = torch.optim
REFUSED: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (optim.SGD, {"how": "coupled", "penalty": L0(0.1)}, "has no gradient to step along: use how="),
    (
        optim.SGD,
        {"how": "decoupled", "penalty": Lp(0.1, 0.5)},
        "a gradient without bound at 0: use",
    ),
    (optim.Adam, {"how": "coupled", "penalty": MaxNorm(1)}, "weight: MaxNorm(radius=1.0): ‖w_g‖"),
    (optim.Adam, {"how": "decoupled", "penalty": L1(1) + NonNegative()}, "a constraint and has no"),
    (optim.Adam, {"how": "proximal", "penalty": NuclearNorm(1)}, "where each entry has a step of"),
    (
        optim.Adam,
        {"how": "proximal", "penalty": Orthogonality(1)},
        "as under Adam: use SGD, or how",
    ),
    (optim.SGD, {"how": "loss"}, 'how="loss" needs no attach(): add regularizer.penalty() to the'),
    (optim.SGD, {"how": "proximl"}, "got 'proximl'; did you mean 'proximal'?"),
    (optim.SGD, {"how": "coupled", "scale": "lr"}, "scale='lr' goes with how=\"decoupled\" alone"),
    (optim.SGD, {"how": "decoupled", "scale": "x"}, 'scale must be "lr", "schedule" or "none"'),
    (optim.SGD, {"how": "coupled", "metric": len}, 'metric= goes with how="proximal" alone'),
    (
        partial(optim.SGD, lr=0.0),
        {"how": "decoupled", "scale": "schedule"},
        "divides by the first learning rate, which is 0 in group 0",
    ),
    (
        optim.SGD,
        {"how": "proximal", "penalty": GroupLasso(1.0) + GroupLasso(1.0, "in")},
        "has no prox in closed form",
    ),
    (
        optim.LBFGS,
        {"how": "proximal"},
        'with LBFGS: its metric is a dense matrix; use how="coupled" or "decoupled"',
    ),
    (MADGRAD, {"how": "decoupled"}, "decoupled does not work with MADGRAD, with any metric"),
    (MADGRAD, {"how": "proximal", "metric": len}, 'use how="coupled", or shrinkage.torch.RDA'),
    (MADGRAD, {"how": "proximal", "metric": "measured"}, "a sum of all its moves"),
    (optim.Rprop, {"how": "proximal"}, "Rprop: it uses the gradient's sign alone"),
    (optim.ASGD, {"how": "proximal"}, "does not work with ASGD"),
    (partial(optim.RMSprop, centered=True), {"how": "proximal"}, "RMSprop(centered=True)"),
    (
        partial(optim.SGD, momentum=0.9, dampening=1.0),
        {"how": "proximal"},
        "dampening must be < 1 for proximal, got 1.0",
    ),
    (partial(optim.SGD, momentum=1.0), {"how": "proximal"}, "momentum must be < 1 for proximal"),
    (OtherStep, {"how": "proximal"}, "OtherStep overrides Adam.step, so its own step is not known"),
    (partial(Unknown, lr=0.1), {"how": "proximal"}, "Unknown's own step is not known for proximal"),
]


@pytest.mark.parametrize(("make", "options", "message"), REFUSED)
def test_refused(make: Callable[..., Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        attached(make, **options)


def test_muon_is_refused() -> None:
    model = nn.Linear(3, 4, bias=False)
    optimizer = torch.optim.Muon(model.parameters(), weight_decay=0.0)
    with pytest.raises(ValueError, match=r"Muon: it orthogonalizes whole matrices.*; use how=\"c"):
        Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")


def test_how_has_no_default_and_the_optimizer_must_be_one() -> None:
    regularizer = Regularizer(network(), L1(0.1))
    with pytest.raises(TypeError, match="how"):
        regularizer.attach(sgd(regularizer.model))
    with pytest.raises(TypeError, match=r"optimizer must be a torch\.optim\.Optimizer, got 'adam'"):
        regularizer.attach("adam", how="coupled")


def test_a_parameter_that_the_optimizer_does_not_hold_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"SGD does not hold 1\.weight: give it these parameters"):
        Regularizer(model, L1(0.1)).attach(optimizer, how="coupled")
    Regularizer(model, {"1*": None, "*": L1(0.1)}).attach(optimizer, how="coupled")


def test_complex_weights_are_proximal_in_sgd_alone() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((2, 2), 3 + 4j))})
    with pytest.raises(ValueError, match="w is complex: Adam gives its real and imaginary parts"):
        Regularizer(model, L1(0.1)).attach(torch.optim.Adam(model.parameters()), how="proximal")
    optimizer = sgd(model)
    Regularizer(model, L1(10.0)).attach(optimizer, how="proximal")
    model["w"].grad = torch.zeros_like(model["w"])
    optimizer.step()
    assert torch.allclose(model["w"], torch.full((2, 2), 2.4 + 3.2j))  # |w|: 5 - 0.1·10


def test_sparse_adam_refuses_groups_across_rows() -> None:
    model = nn.Embedding(4, 3, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters())
    with pytest.raises(ValueError, match='whole rows \\(groups="in" of an Embedding\\)'):
        Regularizer(model, GroupLasso(0.1)).attach(optimizer, how="proximal")


def test_a_second_attachment_is_refused_until_the_first_is_off() -> None:
    model = network()
    optimizer, regularizer = sgd(model), Regularizer(model, L1(0.1))
    first = regularizer.attach(optimizer, how="proximal")
    with pytest.raises(ValueError, match="this regularizer is already attached"):
        regularizer.attach(optimizer, how="coupled")
    with pytest.raises(ValueError, match=r"weight already has L1\(lam=0.1\).* by another"):
        Regularizer(model, L2(0.1)).attach(optimizer, how="coupled")
    biases = Regularizer(model, L2(0.1), on="biases").attach(optimizer, how="coupled")
    first.detach()
    first.detach()
    regularizer.attach(optimizer, how="coupled")
    biases.detach()


def test_a_bad_schedule_leaves_nothing_attached() -> None:
    model = network()
    optimizer, regularizer = sgd(model), Regularizer(model, L1(0.1))
    for schedule, error in ((0.5, TypeError), (lambda step: -1.0, ValueError)):
        with pytest.raises(error):
            regularizer.attach(optimizer, how="coupled", schedule=schedule)
        regularizer.attach(optimizer, how="coupled").detach()


WARNED: list[tuple[Callable[..., Any], str, str]] = [
    (partial(optim.SGD, weight_decay=0.1), "proximal", "adds ½·0.1·Σw² to J, for every parameter"),
    (partial(optim.AdamW, weight_decay=0.1), "coupled", "what is solved is then not J"),
    (optim.AdamW, "decoupled", "AdamW has weight_decay=0.01 beside the attached penalty"),
    (partial(optim.Adam, weight_decay=0.1), "coupled", "write L2.from_weight_decay(0.1)"),
]


@pytest.mark.parametrize(("make", "how", "message"), WARNED)
def test_weight_decay_beside_a_penalty_warns(
    make: Callable[..., Any], how: str, message: str
) -> None:
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        attached(make, how)
    assert caught[0].filename == __file__


def test_weight_decay_on_parameters_without_a_penalty_does_not_warn() -> None:
    model = network()
    groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.1}]
    Regularizer(model, L1(0.1)).attach(torch.optim.SGD(groups, lr=0.1), how="proximal")


def test_penalty_in_the_loss_beside_an_attachment_warns() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.1))
    with regularizer.attach(sgd(model), how="coupled"):
        with pytest.warns(UserWarning, match="adding penalty\\(\\) to the loss applies it twice"):
            regularizer.penalty()
        assert regularizer.value() > 0
        with torch.no_grad():
            assert regularizer.penalty() > 0
    assert regularizer.penalty() > 0


def test_low_precision_warns_where_it_loses_the_penalty() -> None:
    model = network().bfloat16()
    with pytest.warns(UserWarning, match=r"weight is bfloat16, which does not converge exactly"):
        Regularizer(model, L1(0.1)).attach(sgd(model), how="proximal")
    with pytest.warns(UserWarning, match=r"cannot hold a decay of 0.0001 a step"):
        Regularizer(model, L2.from_weight_decay(0.1)).attach(sgd(model, lr=1e-3), how="decoupled")
    Regularizer(model, L2.from_weight_decay(0.1)).attach(sgd(model), how="decoupled")
    Regularizer(model, L1(0.1)).attach(sgd(model), how="coupled")
    with pytest.warns(UserWarning, match=r"cannot hold a decay of 0.0001 a step"):
        Regularizer(model, L2.from_weight_decay(0.1)).attach(sgd(model, lr=1e-3), how="coupled")
    momentum = sgd(model, lr=1e-3, momentum=0.9)  # whose buffer gathers what is small
    Regularizer(model, L2.from_weight_decay(0.1)).attach(momentum, how="coupled")


def test_a_subclass_with_its_base_classs_step_is_known() -> None:
    attached(SameStep, "proximal")


@pytest.mark.parametrize("as_tensor", [False, True])
def test_an_unknown_optimizer_with_a_metric_is_proximal(as_tensor: bool) -> None:
    model = network()
    optimizer = Unknown(model.parameters(), lr=0.1)

    def metric(optimizer: Optimizer, group: dict[str, Any], parameter: Tensor) -> Any:
        return torch.full_like(parameter, group["lr"]) if as_tensor else group["lr"]

    attachment = Regularizer(model, L1(0.5)).attach(optimizer, how="proximal", metric=metric)
    assert "if metric= is the optimizer's own step" in repr(attachment)
    before = model.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    expected = before.sign() * (before.abs() - 0.05).clamp(min=0)
    assert torch.allclose(model.weight, expected)
    assert (before - model.weight).abs().max() > 0.04


@pytest.mark.parametrize("how", ["coupled", "decoupled"])
def test_an_unknown_optimizer_takes_the_other_ways(how: str) -> None:
    model = network()
    optimizer = Unknown(model.parameters(), lr=0.1)
    Regularizer(model, L2(0.5)).attach(optimizer, how=how)
    before = model.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(model.weight, 0.9 * before)


def step(model: nn.Module, optimizer: Optimizer) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()


def test_detach_and_the_context_manager_take_it_off() -> None:
    model = network()
    optimizer, regularizer = sgd(model), Regularizer(model, L1(0.1))
    state = copy.deepcopy(optimizer.state_dict())
    with regularizer.attach(optimizer, how="proximal") as attachment:
        before = regularizer.value()
        step(model, optimizer)
        assert regularizer.value() < before
    before = regularizer.value()
    step(model, optimizer)
    assert regularizer.value() == before
    assert repr(attachment) == "proximal in SGD: detached"
    assert optimizer.state_dict() == state


DIVIDED: dict[str, tuple[Callable[[nn.Module], nn.Module], str]] = {
    "weight norm": (nn.utils.parametrizations.weight_norm, "a row"),
    "weight norm by hooks": (partial(nn.utils.weight_norm), "a row"),
    "spectral norm": (nn.utils.parametrizations.spectral_norm, "the whole"),
    "spectral norm by hooks": (nn.utils.spectral_norm, "the whole"),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("norm", DIVIDED)
def test_exact_zeros_of_a_weight_that_is_divided_by_its_size_warn(norm: str) -> None:
    make, what = DIVIDED[norm]
    for how in ("proximal", "decoupled"):
        model = make(nn.Linear(3, 2))
        with pytest.warns(UserWarning, match=f"can set {what} of it to exactly 0"):
            Regularizer(model, GroupLasso(0.1)).attach(sgd(model), how=how)
        model = make(nn.Linear(3, 2))
        with pytest.warns(UserWarning, match=f"can set {what} of it to exactly 0"):
            SGD(model.parameters(), lr=0.1, penalty=Regularizer(model, L1(0.1)), how=how)
    model = make(nn.Linear(3, 2))
    Regularizer(model, GroupLasso(0.1)).attach(sgd(model), how="coupled")
    model = make(nn.Linear(3, 2))
    Regularizer(model, L2(0.1)).attach(sgd(model), how="proximal")


@pytest.mark.quick_where(kind=[Adam])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_weight_decay_beside_a_penalty_inside_warns_once(kind: Any) -> None:
    model = nn.Linear(3, 2)
    for penalty in (L1(0.1), Regularizer(model, L1(0.1))):
        with pytest.warns(
            UserWarning, match=r"has weight_decay=0.1 beside the penalty inside"
        ) as w:
            optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.1, penalty=penalty)
        assert len(w) == 1
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.step()
        if isinstance(penalty, Regularizer):
            penalty.detach()


def test_weight_decay_of_another_group_than_the_penalty_inside_does_not_warn() -> None:
    model = nn.Linear(3, 2)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.1}]
    SGD(groups, lr=0.1, penalty=Regularizer(model, L1(0.1)))
    groups = [
        {"params": [model.weight], "penalty": L1(0.1)},
        {"params": [model.bias], "weight_decay": 0.1},
    ]
    SGD(groups, lr=0.1)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_warning_of_division_by_size_points_at_the_line_that_made_the_optimizer(
    kind: Any,
) -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    with pytest.warns(UserWarning, match="NaN") as caught:
        kind(model.parameters(), lr=0.1, penalty=Regularizer(model, L1(0.1)))
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("torch_operations")
def test_a_run_whose_learning_rate_was_set_to_0_goes_on_from_its_checkpoint() -> None:
    """lr₀ is that of the beginning, not the present 0."""
    w = nn.Parameter(torch.ones(2))
    optimizer = SGD([w], lr=0.1, penalty=L1(0.1), how="decoupled", scale="schedule")
    w.grad = torch.zeros(2)
    optimizer.step()
    before = w.detach().clone()
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step()
    assert torch.equal(w, before)
