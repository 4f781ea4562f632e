"""Groups across layers: held to the penalty on one matrix, put together by hand."""

import copy
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.optim import SGD, Adam, Optimizer

from diabetes import minimum, normal_equations
from grid import FULL, covering
from optimizer_cases import STEADY, hasty
from shrinkage import (
    L1,
    L2,
    GroupLasso,
    L1Ball,
    LInf,
    MaxNorm,
    NuclearNorm,
    Penalty,
    SparseGroupLasso,
)
from shrinkage.torch import RDA, Joint, Regularizer, reparametrize, schedules

NEURONS = Joint("0.weight", "0.bias", "2.weight:in")
SUM = L1(0.01) + L2(0.02) + GroupLasso(0.05)
PENALTIES = [GroupLasso(0.1), SparseGroupLasso(0.1), LInf(0.1), SUM]
SLOW = {"RAdam", "RMSprop", "RMSprop momentum"}  # they take minutes; `make law` has them
# One for each kind of step: each optimizer's own is shown in test_convergence.py.
RESTING = [n for n in STEADY if n not in SLOW] if FULL else ["SGD momentum", "Adam", "Adagrad"]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def matrix_of(model: nn.Sequential) -> Tensor:
    """Unit i's incoming row, its bias and its outgoing column."""
    return torch.cat([model[0].weight, model[0].bias[:, None], model[2].weight.T], dim=1).detach()


class Twin(nn.Module):
    """The same network, whose units are the rows of one matrix."""

    def __init__(self) -> None:
        super().__init__()
        model = network()
        self.matrix = nn.Parameter(matrix_of(model))
        self.bias = nn.Parameter(model[2].bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        incoming, bias, outgoing = self.matrix[:, :3], self.matrix[:, 3], self.matrix[:, 4:]
        return torch.tanh(x @ incoming.T + bias) @ outgoing + self.bias


def train(
    model: nn.Module,
    penalty: Any,
    how: str,
    make: Callable[..., Optimizer],
    *,
    steps: int = 20,
    **options: Any,
) -> Regularizer:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(16, 3, generator=generator, dtype=torch.float64)
    y = torch.sin(x[:, :2])
    optimizer = make(model.parameters())
    regularizer = Regularizer(model, penalty, **options)
    if how not in ("loss", "none"):
        regularizer.attach(optimizer, how=how)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        if how == "loss":
            loss = loss + regularizer.penalty()
        loss.backward()
        optimizer.step()
        if how == "loss":
            regularizer.step()
    return regularizer


MAKERS = {
    "SGD": partial(SGD, lr=0.1, momentum=0.5),
    "Adam": partial(Adam, lr=0.03),
    "Adagrad": partial(torch.optim.Adagrad, lr=0.1),
}


HOWS = ["loss", "coupled", "decoupled", "proximal"]
WAYS = [(penalty, how) for penalty in PENALTIES for how in HOWS] + [(MaxNorm(0.5), "proximal")]


@pytest.mark.quick_where(name=["SGD", "Adagrad"])
@pytest.mark.parametrize(("way", "name"), covering(WAYS, MAKERS), ids=str)
def test_it_equals_the_penalty_on_one_matrix(way: tuple[Penalty, str], name: str) -> None:
    (penalty, how), make = way, MAKERS[name]
    schedule = schedules.warmup(10)
    model, twin, free = network(), Twin(), network()
    train(model, {NEURONS: penalty}, how, make, schedule=schedule)
    train(twin, {"matrix": penalty}, how, make, schedule=schedule)
    train(free, {NEURONS: penalty}, "none", make)
    assert (matrix_of(model) - twin.matrix).abs().max() < 1e-10
    assert (matrix_of(free) - twin.matrix).abs().max() > 1e-3
    assert torch.allclose(model[2].bias, twin.bias, atol=1e-10, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_neuron_dies_with_its_row_its_bias_and_its_column(make: Any) -> None:
    model = network()
    regularizer = train(model, {NEURONS: GroupLasso(0.04)}, "proximal", make, steps=250)
    dead = (matrix_of(model) == 0).all(dim=1)
    assert 0 < dead.sum() < 4
    assert torch.equal(dead, (model[0].bias == 0))
    assert torch.equal(dead, (model[0].weight == 0).all(dim=1))
    assert torch.equal(dead, (model[2].weight == 0).all(dim=0))
    (zeros,) = regularizer.sparsity().parameters.values()
    assert zeros == (6 * int(dead.sum()), 24, int(dead.sum()), 4)


PAIRS = tuple((unit, unit + 5) for unit in range(5))
TWO = Joint("a", "b:1")


def two_parts() -> nn.ParameterDict:
    """The ten weights of the diabetes data as two parameters, of five units each."""
    zeros = {"a": torch.zeros(5, 1), "b": torch.zeros(1, 5)}
    return nn.ParameterDict({name: nn.Parameter(w.double()) for name, w in zeros.items()})


def fit_two(
    model: nn.ParameterDict, optimizer: Optimizer, regularizer: Regularizer, steps: int, how: str
) -> np.ndarray:
    """Train on the full batch, lr constant for half the steps, then on a line to 0."""
    if how != "loss":
        regularizer.attach(optimizer, how=how)
    A, b = (torch.tensor(part) for part in normal_equations())
    first = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            group["lr"] = lr * min(1.0, 2 * (1 - step / steps))
        optimizer.zero_grad()
        if how == "loss":
            regularizer.penalty().backward()
        w = torch.cat([model["a"].detach().ravel(), model["b"].detach().ravel()])
        for part, slope in zip((model["a"], model["b"]), (A @ w - b).split(5), strict=True):
            if part.requires_grad:
                slope = slope.view_as(part)
                part.grad = slope if part.grad is None else part.grad + slope
        optimizer.step()
    return torch.cat([model["a"].ravel(), model["b"].ravel()]).detach().numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [*((name, ()) for name in RESTING), ("Adam", (L1(0.05),))],
)
def test_proximal_converges_to_the_minimum(name: str, more: tuple[L1, ...]) -> None:
    model = two_parts()
    penalty = sum(more, GroupLasso(0.12))
    regularizer = Regularizer(model, {TWO: penalty})
    w = fit_two(model, hasty(name)(model.parameters()), regularizer, 300, "proximal")
    target = minimum(sum(more, GroupLasso(0.12, PAIRS)))
    assert np.abs(w - target).max() < 1e-6
    assert ((w == 0) == (target == 0)).all()
    assert 0 < (target == 0).sum() < 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "lr"), [(SGD, 0.15), (partial(SGD, momentum=0.8), 0.1), (Adam, 0.06)]
)
def test_parts_may_have_learning_rates_of_their_own(make: Any, lr: float) -> None:
    model = two_parts()
    groups = [{"params": [model["a"]], "lr": lr}, {"params": [model["b"]], "lr": 3 * lr}]
    regularizer = Regularizer(model, {TWO: GroupLasso(0.12)})
    w = fit_two(model, make(groups), regularizer, 350, "proximal")
    target = minimum(GroupLasso(0.12, PAIRS))
    assert np.abs(w - target).max() < 1e-6
    assert ((w == 0) == (target == 0)).all()


FIXED = np.array([0.1, -0.3, 0.0, 0.2, 0.4])


def cost_beside_fixed(a: np.ndarray) -> float:
    A, b = normal_equations()
    whole = np.concatenate([a, FIXED])
    data = whole @ A @ whole / 2 - b @ whole
    return float(data + 0.12 * 2**0.5 * np.sqrt(a**2 + FIXED**2).sum())


@cache
def best_beside_fixed() -> OptimizeResult:
    options = {"xtol": 1e-11, "ftol": 0}
    return minimize(cost_beside_fixed, np.full(5, 0.1), method="Powell", options=options)


PLAIN, ADAPTIVE = partial(SGD, lr=0.3), partial(Adam, lr=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "frozen"),
    covering(
        [
            *((how, PLAIN) for how in HOWS),
            *((how, ADAPTIVE) for how in HOWS if how != "decoupled"),
        ],
        [True, False],
    ),
)
def test_a_part_that_stays_counts_in_its_groups(way: tuple[str, Any], frozen: bool) -> None:
    how, make = way
    model = two_parts()
    with torch.no_grad():
        model["b"].copy_(torch.tensor(FIXED))
    optimizer = make(model.parameters())
    model["b"].requires_grad_(not frozen)
    regularizer = Regularizer(model, {TWO: GroupLasso(0.12)})
    if not frozen:
        optimizer.register_step_pre_hook(lambda *_: setattr(model["b"], "grad", None))
    w = fit_two(model, optimizer, regularizer, 300, how)
    assert (w[5:] == FIXED).all()
    A, b = normal_equations()
    target = best_beside_fixed()
    smooth = FIXED != 0
    close = 1e-6 if how in ("proximal", "decoupled") else 1e-3  # hops across the kink of unit 2
    assert np.abs(w[:5] - target.x)[smooth].max() < close
    assert cost_beside_fixed(w[:5]) <= target.fun + close**2 * 10
    assert np.abs(w[:5] - np.linalg.solve(A[:5, :5], b[:5] - A[:5, 5:] @ FIXED)).max() > 0.01


@pytest.mark.parametrize(
    ("penalty", "how"),
    [(MaxNorm(0.3), "proximal"), (LInf(5.0), "proximal"), (LInf(5.0), "decoupled")],
)
def test_a_part_that_stays_does_so_to_the_last_bit(penalty: Penalty, how: str) -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone(), model[0].bias.detach().clone()
    train(model, {NEURONS: penalty}, how, partial(Adam, lr=0.01), steps=5)
    assert torch.equal(model[0].weight, before[0])
    assert not torch.equal(model[0].bias, before[1])


def test_any_axis_may_count_the_units() -> None:
    w = torch.arange(24.0).reshape(2, 3, 4)
    model = nn.ParameterDict({"w": nn.Parameter(w), "v": nn.Parameter(torch.arange(4.0))})
    regularizer = Regularizer(model, {Joint("w:2", "v"): GroupLasso(0.1)})
    by_hand = torch.cat([w.reshape(6, 4).T, torch.arange(4.0)[:, None]], dim=1)
    (binding,) = regularizer.bindings
    assert torch.equal(binding.read_array(), by_hand)
    regularizer.attach(SGD(model.parameters(), lr=1.0), how="proximal")
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    regularizer.bound.host.optimizer.step()
    assert torch.allclose(binding.read_array(), GroupLasso(0.1).prox(by_hand, 1.0))
    assert torch.allclose(model["w"].reshape(6, 4).T, GroupLasso(0.1).prox(by_hand, 1.0)[:, :6])


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 2)
        self.norm = nn.BatchNorm2d(3)
        self.deep = nn.Conv2d(3, 3, 1, groups=3)
        self.next = nn.Conv2d(3, 4, 2)
        self.flat = nn.Linear(4 * 3 * 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.deep(self.norm(self.first(x))))
        return self.flat(torch.relu(self.next(hidden)).flatten(1))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3 * 4)
        self.up = nn.ConvTranspose2d(3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(torch.relu(self.fc(x)).unflatten(1, (3, 2, 2)))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.cells = kind(2, 3, batch_first=True)
        self.out = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cells(x)[0][:, 0])


class Attention(nn.Module):
    def __init__(self, **sizes: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 3, batch_first=True, **sizes)

    def forward(self, x: Tensor) -> Tensor:
        values = x if self.attention.vdim == 6 else x[..., :4]
        return self.attention(x, x, values, need_weights=False)[0]


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 3)
        self.out = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.words(x.long()))


# incoming members of units, outgoing members, an input, units
CHANNELS = ("next.weight", "next.bias")
RNN = ("cells.weight_ih_l0", "cells.weight_hh_l0", "cells.bias_ih_l0", "cells.bias_hh_l0")
HEADS = ("attention.in_proj_weight:heads:2", "attention.in_proj_bias:heads:2")
SPLIT = tuple(f"attention.{part}_proj_weight:heads:2" for part in "qkv")
OUT_HEADS = ("attention.out_proj.weight:heads:2",)
UNITS: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...], Tensor, int]] = {
    "Linear": (network, ("0.weight", "0.bias"), ("2.weight:in",), torch.randn(5, 3), 4),
    "an axis": (network, ("0.weight:0", "0.bias"), ("2.weight:-1",), torch.randn(5, 3), 4),
    "Conv with its norm, depthwise": (
        Convolutional,
        ("first.weight", "first.bias", "norm.weight", "norm.bias", "deep.weight", "deep.bias"),
        ("next.weight:in",),
        torch.randn(3, 2, 5, 5),
        3,
    ),
    "flattened Conv": (Convolutional, CHANNELS, ("flat.weight:in",), torch.randn(3, 2, 5, 5), 4),
    "unflattened Linear": (
        Decoder,
        ("fc.weight", "fc.bias"),
        ("up.weight:in",),
        torch.randn(3, 2),
        3,
    ),
    "LSTM": (partial(Recurrent, nn.LSTM), RNN, ("out.weight:in",), torch.randn(3, 2, 2), 3),
    "GRU": (partial(Recurrent, nn.GRU), RNN, ("out.weight:in",), torch.randn(3, 2, 2), 3),
    "RNN": (partial(Recurrent, nn.RNN), RNN, ("out.weight:in",), torch.randn(3, 2, 2), 3),
    "Embedding": (Embedded, ("words.weight",), ("out.weight:in",), torch.arange(7), 3),
    "heads": (Attention, HEADS, OUT_HEADS, torch.randn(2, 5, 6), 3),
    "heads of other values": (
        partial(Attention, vdim=4),
        (*SPLIT, HEADS[1]),
        OUT_HEADS,
        torch.randn(2, 5, 6),
        3,
    ),
    "weight norm": (
        lambda: nn.Sequential(
            parametrizations.weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2)
        ),
        ("0.parametrizations.weight.original0", "0.weight", "0.bias"),
        ("2.weight:in",),
        torch.randn(5, 3),
        4,
    ),
}


@pytest.mark.parametrize("case", UNITS)
def test_a_unit_with_nothing_outgoing_reaches_nothing(case: str) -> None:
    """Then whatever comes in does not matter; a unit that has an outgoing weight does."""
    make, incoming, outgoing, x, units = UNITS[case]
    torch.manual_seed(0)
    model = make().double().eval()
    x = x.double() if x.is_floating_point() else x
    with torch.no_grad():
        for w in model.parameters():
            w.copy_(torch.randn_like(w))
    joint = Joint(*incoming, *outgoing)
    regularizer = Regularizer(model, {joint: GroupLasso(1.0)})
    (binding,) = regularizer.bindings
    matrix = binding.read_array().detach()
    assert matrix.shape[0] == units
    assert matrix.numel() == sum(part.parameter.numel() for part in binding.parts)
    for unit in range(units):
        silenced, changed, other = matrix.clone(), matrix.clone(), matrix.clone()
        leaving = sum(part.parameter.numel() for part in binding.parts[len(incoming) :]) // units
        for w in (silenced, changed, other):
            w[unit, -leaving:] = 0.0
        changed[unit, :-leaving] += 1.0
        other[(unit + 1) % units, :-leaving] += 1.0
        assert torch.equal(output(model, binding, silenced, x), output(model, binding, changed, x))
        assert not torch.allclose(
            output(model, binding, silenced, x), output(model, binding, other, x)
        )


@torch.no_grad()
def output(model: nn.Module, binding: Any, matrix: Tensor, x: Tensor) -> Tensor:
    """With the matrix put into the parameters."""
    for part, piece in zip(binding.parts, binding._scatter(matrix), strict=True):
        part.parameter.copy_(piece)
    assert torch.equal(binding.read_array(), matrix)
    return model(x)


def test_the_first_key_that_names_a_parameter_has_it() -> None:
    model = network()
    regularizer = Regularizer(model, {NEURONS: GroupLasso(0.1), "*.bias": L2(0.3)})
    assert {binding.name: binding.text for binding in regularizer.bindings} == {
        "0.weight + 0.bias + 2.weight:in": "group_lasso:0.1",
        "2.bias": "l2:0.3",
    }
    assert [name for name, _ in regularizer.named_parameters()] == [
        *("2.bias", "0.weight", "0.bias", "2.weight")
    ]
    alone = Regularizer(model, GroupLasso(0.1), on=NEURONS)
    assert alone.value() == pytest.approx(GroupLasso(0.1)(matrix_of(model)).item(), rel=1e-12)
    left = Regularizer(model, {NEURONS: None, "*.bias": L2(0.3)})
    assert [name for name, _ in left.named_parameters()] == ["2.bias"]


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: Joint("0.weight"), ValueError, "a Joint takes two parameters or more"),
    (lambda: Joint("0.weight", 3), TypeError, "a parameter's name, got 3"),
    (lambda: Joint("0.weight", "0.weight:in"), ValueError, "names 0.weight twice"),
    (lambda: Joint("0.weight:rows", "0.bias"), ValueError, "got '0.weight:rows'"),
    (lambda: {Joint("0.weights", "0.bias"): GroupLasso(1)}, ValueError, "nearest are 0.weight"),
    (
        lambda: {Joint("0.weight", "2.weight"): GroupLasso(1)},
        ValueError,
        "units differ: 0.weight has 4, 2.weight has 2",
    ),
    (lambda: {Joint("2.weight", "0.weight"): GroupLasso(1)}, ValueError, "units differ"),
    (
        lambda: {"0*": L1(1), NEURONS: GroupLasso(1)},
        ValueError,
        r"pattern '0\*' takes 0.weight before; put the Joint first",
    ),
    (
        lambda: {NEURONS: GroupLasso(1), Joint("2.weight", "2.bias"): GroupLasso(1)},
        ValueError,
        r"Joint\('0.weight', '0.bias', '2.weight:in'\) takes 2.weight before",
    ),
    (lambda: {NEURONS: GroupLasso(1, "in")}, ValueError, 'leave groups="out"'),
    (lambda: {NEURONS: L1(1) + LInf(1, 1)}, ValueError, 'leave groups="out"'),
    (lambda: {Joint("0.weight:5", "0.bias"): L1(1)}, ValueError, "has no axis 5"),
    (lambda: {Joint("0.weight:heads:3", "0.bias"): L1(1)}, ValueError, "does not divide the 4"),
]


def square() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 4))


def flat() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(36, 4))


def four() -> nn.Module:
    return nn.ModuleDict({key: nn.Linear(8, 8) for key in "abcd"})


# A model, members of which the last but one of the sentence needs a side, what to write.
AMBIGUOUS: list[tuple[Any, tuple[str, ...], str]] = [
    (square, ("0.weight", "0.bias", "3.weight"), '"3.weight:in"'),
    (flat, ("0.weight", "0.bias", "2.weight"), '"2.weight:in"'),
    (
        partial(nn.LSTM, 3, 4, 2),
        ("weight_ih_l0", "weight_hh_l0", "weight_ih_l1"),
        "weight_ih_l1:in",
    ),
    (four, ("a.weight:heads:4", "b.weight:heads:4"), '"b.weight:in:heads:4"'),
    (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 8), nn.Linear(8, 4)),
        ("0.weight", "0.bias", "3.weight"),
        '"3.weight:out" if its rows',
    ),
    (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
        ("0.weight", "0.bias", "2.weight"),
        "write :in after a weight",
    ),
]


@pytest.mark.parametrize(("make", "members", "said"), AMBIGUOUS)
def test_a_side_that_could_be_either_is_asked_for(
    make: Any, members: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Regularizer(make(), {Joint(*members): GroupLasso(1)})


def test_written_sides_are_taken_as_they_are() -> None:
    for side, expected in (("in", lambda w: w.T), ("out", lambda w: w), ("0", lambda w: w)):
        model = square()
        (one,) = Regularizer(model, {Joint("0.weight", f"3.weight:{side}"): L1(1)}).bindings
        assert torch.equal(
            one.read_array(), torch.cat([model[0].weight, expected(model[3].weight)], 1)
        )
    gated = nn.ModuleDict({"gate": nn.Linear(3, 8), "up": nn.Linear(3, 8), "down": nn.Linear(8, 3)})
    joint = Joint("gate.weight", "up.weight", "down.weight:in")
    assert Regularizer(gated, {joint: L1(1)}).bindings[0].read_array().shape == (8, 9)


@pytest.mark.parametrize(("make", "kind", "said"), REFUSED)
def test_what_would_not_do_what_is_written_is_refused(make: Any, kind: Any, said: str) -> None:
    with pytest.raises(kind, match=said):
        Regularizer(network(), make())


def test_what_knows_one_parameter_at_a_time_refuses_it() -> None:
    model = network()
    with pytest.raises(ValueError, match="RDA moves one parameter at a time"):
        RDA(model.parameters(), penalty=Regularizer(model, {NEURONS: GroupLasso(1.0)}))
    with pytest.raises(ValueError, match="factors are of one parameter"):
        reparametrize(model, {NEURONS: GroupLasso(1.0)})
    tied = network()
    tied[0].weight = nn.Parameter(torch.zeros(4, 4).double())
    tied[2].weight = tied[0].weight
    with pytest.raises(ValueError, match=r"0.weight and 2.weight are one parameter"):
        Regularizer(tied, {NEURONS: GroupLasso(1.0)})
    sparse = nn.ModuleList([nn.Embedding(3, 4, sparse=True), nn.Embedding(5, 4, sparse=True)])
    regularizer = Regularizer(sparse, {Joint("0.weight", "1.weight"): GroupLasso(1.0)})
    with pytest.raises(ValueError, match=r"SparseAdam moves some rows at a time"):
        regularizer.attach(torch.optim.SparseAdam(sparse.parameters()), how="proximal")
    with pytest.raises(ValueError, match=r"SGD does not hold 0.bias"):
        Regularizer(model, {NEURONS: GroupLasso(1.0)}).attach(
            SGD([model[0].weight, model[2].weight]), how="proximal"
        )


def test_a_penalty_of_the_whole_matrix_needs_one_step_for_all() -> None:
    model = two_parts()
    regularizer = Regularizer(model, {TWO: L1Ball(0.1)})
    assert regularizer.bindings[0].read_array().shape == (5, 2)
    groups = [{"params": [model["a"]], "lr": 0.1}, {"params": [model["b"]], "lr": 0.2}]
    regularizer = Regularizer(model, {TWO: NuclearNorm(0.1)})
    optimizer = SGD(groups, lr=0.1)
    regularizer.attach(optimizer, how="proximal")
    for w in model.parameters():
        w.grad = torch.ones_like(w)
    with pytest.raises(ValueError, match=r"a \+ b:1: "):
        optimizer.step()


def test_shards_are_refused() -> None:
    model = network()
    shard = type("DTensor", (nn.Parameter,), {})
    model[0].weight = shard(model[0].weight.detach())
    with pytest.raises(ValueError, match=r"0.weight is spread over processes"):
        Regularizer(model, {NEURONS: GroupLasso(1.0)})


def test_the_guard_keeps_units_whose_gradients_have_not_begun() -> None:
    model = network()
    nn.init.zeros_(model[2].weight)
    before = matrix_of(model)
    regularizer = train(
        model, {NEURONS: GroupLasso(0.1)}, "proximal", partial(Adam, lr=1e-3), steps=1
    )
    assert regularizer.sparsity().parameters[str(NEURONS)].dead_groups == 0
    assert (matrix_of(model) - before).abs().max() <= 3e-3 * (1 + 1e-9)  # its own lr, and 2·lr


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_a_run_that_was_interrupted_goes_on_as_if_it_was_not(how: str) -> None:
    make = partial(SGD, lr=0.1, momentum=0.9)
    whole = network()
    train(whole, {NEURONS: SUM}, how, make, steps=6)

    def half(model: nn.Module, saved: Any) -> tuple[Any, Any]:
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(16, 3, generator=generator, dtype=torch.float64)
        optimizer, regularizer = make(model.parameters()), Regularizer(model, {NEURONS: SUM})
        if saved is not None:
            optimizer.load_state_dict(saved[0])
            regularizer.load_state_dict(saved[1])
        regularizer.attach(optimizer, how=how)
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) - torch.sin(x[:, :2])).square().mean().backward()
            optimizer.step()
        return copy.deepcopy((optimizer.state_dict(), regularizer.state_dict()))

    model = network()
    saved = half(model, None)
    assert set(saved[1]["penalties"]) == {str(NEURONS)}
    half(model, saved)
    assert torch.equal(matrix_of(model), matrix_of(whole))


def test_copies_wrappers_and_detaching() -> None:
    model = network()
    regularizer = Regularizer(model, {NEURONS: GroupLasso(0.1)})
    value = regularizer.value()
    twin_model, twin = copy.deepcopy((model, regularizer))
    with torch.no_grad():
        twin_model[0].weight.zero_()
    assert twin.value() < value == regularizer.value()
    for wrapped in (nn.DataParallel(model), torch.compile(model, backend="aot_eager")):
        assert Regularizer(wrapped, {NEURONS: GroupLasso(0.1)}).value() == value
    zeros = {name: torch.zeros_like(w) for name, w in model.named_parameters()}
    assert regularizer.penalty(zeros).item() == 0.0
    optimizer = SGD(model.parameters(), lr=0.1)
    with regularizer.attach(optimizer, how="proximal"):
        pass
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    optimizer.step()
    assert regularizer.value() == value


def test_a_step_that_amp_skips_leaves_units_alone() -> None:
    model = network().float()
    optimizer = SGD(model.parameters(), lr=0.1, fused=True)
    Regularizer(model, {NEURONS: GroupLasso(0.1)}).attach(optimizer, how="proximal")
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    before = matrix_of(model)
    for value, moves in ((float("inf"), False), (0.0, True)):
        optimizer.zero_grad()
        scaler.scale(sum((w * value).sum() for w in model.parameters())).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(matrix_of(model), before) == (not moves)


def test_16_bit_parts_keep_their_types() -> None:
    model = network().float()
    model[0].to(torch.bfloat16)
    regularizer = Regularizer(model, {NEURONS: GroupLasso(0.1)})
    optimizer = SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"0.weight is bfloat16"):
        regularizer.attach(optimizer, how="proximal")
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    before = [w.detach().double() for w in (model[0].weight, model[0].bias, model[2].weight)]
    matrix = torch.cat([before[0], before[1][:, None], before[2].T], dim=1)
    optimizer.step()
    expected = GroupLasso(0.1).prox(matrix, 0.1)
    assert model[0].weight.dtype == torch.bfloat16
    assert torch.allclose(model[0].weight.double(), expected[:, :3], rtol=2**-8, atol=0)
    assert torch.allclose(model[2].weight.T.double(), expected[:, 4:], atol=1e-6)


def test_the_table_says_what_is_joint() -> None:
    model = network()
    regularizer = Regularizer(model, {NEURONS: GroupLasso(0.1)})
    with torch.no_grad():
        for w in (model[0].weight, model[0].bias, model[2].weight.T):
            w[1] = 0.0
    regularizer.attach(SGD(model.parameters(), lr=0.1), how="proximal")
    rows = {row.parameter: row for row in regularizer.table()}
    said = "GroupLasso(lam=0.1) on 0.weight + 0.bias + 2.weight:in"
    assert {name for name, row in rows.items() if row.penalty == said} == {
        *("0.weight", "0.bias", "2.weight")
    }
    assert [rows[name].zeros for name in ("0.weight", "0.bias", "2.weight")] == [
        *("3/12, 1/4 groups", "1/4, 1/4 groups", "2/8, 1/4 groups")
    ]
    assert rows["0.bias"].one_step == "‖w_g‖ − 0.01·√p_g, at least 0"
    assert "3 of 4 parameters penalized" in repr(regularizer)
    assert repr(NEURONS) == "Joint('0.weight', '0.bias', '2.weight:in')"


def test_a_term_of_strength_0_may_lack_what_adam_needs() -> None:
    model, alone = network(), network()
    for each, penalty in ((model, L1(0.1) + NuclearNorm(0.0)), (alone, L1(0.1))):
        optimizer = Adam(each.parameters(), lr=0.1)
        Regularizer(each, {NEURONS: penalty}).attach(optimizer, how="proximal")
        each(torch.ones(2, 3, dtype=torch.float64)).square().sum().backward()
        optimizer.step()
    assert torch.equal(matrix_of(model), matrix_of(alone))
