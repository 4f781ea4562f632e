"""Training loops of every kind: closures, schedulers, accumulation, groups, clipping."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from diabetes import minimum, normal_equations
from grid import covering
from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty
from shrinkage.torch import Regularizer
from small_run import Make, apart, data_loss, network, train

WAYS = ["coupled", "decoupled", "proximal"]
ADAM = partial(torch.optim.Adam, lr=0.01)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)


@pytest.mark.parametrize(("make", "how"), covering([SGD, ADAM], WAYS))
def test_each_group_shrinks_with_its_own_learning_rate(make: Make, how: str) -> None:
    def uneven(parameters: Any) -> Optimizer:
        first, second, third, fourth = parameters
        return make([{"params": [first, second]}, {"params": [third, fourth], "lr": 0.0}])

    penalized, plain = train(uneven, L1(0.3), how), train(uneven)
    assert (penalized[0] - plain[0]).abs().max() > 1e-3
    assert torch.equal(penalized[2], plain[2])  # lr 0: every way is the identity


@pytest.mark.parametrize(("make", "how"), covering([SGD, ADAM], WAYS))
def test_micro_batches_apply_it_once_a_step(make: Make, how: str) -> None:
    model = network()
    optimizer = make(model.parameters())
    Regularizer(model, L1(0.1)).attach(optimizer, how=how)
    for _ in range(5):
        optimizer.zero_grad()
        for start in range(0, 16, 4):
            (data_loss(model, slice(start, start + 4)) / 4).backward()
        optimizer.step()
    whole = train(make, L1(0.1), how)
    assert apart(list(model.parameters()), whole) < 1e-10


def test_clipping_comes_before_the_coupled_gradient() -> None:
    def clip(model: nn.Module) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), 1e-9)

    plain = partial(torch.optim.SGD, lr=0.1)
    first = train(plain, L1(0.1), "coupled", between=clip, steps=1)[0]
    before = next(network().parameters()).detach()
    assert torch.allclose(first, before - 0.1 * 0.1 * before.sign(), atol=1e-9)


@pytest.mark.quick_where(make=[SGD, ADAM])
@pytest.mark.parametrize(
    ("make", "how"), covering([SGD, ADAM, partial(torch.optim.Adam, lr=0.01, fused=True)], WAYS)
)
def test_a_closure_gives_the_same_steps(make: Make, how: str) -> None:
    with_closure = train(make, ElasticNet(0.2), how, closure=True)
    assert apart(with_closure, train(make, ElasticNet(0.2), how)) == 0.0


@pytest.mark.parametrize(("how", "keyword"), covering(WAYS, [False, True]))
def test_the_closures_loss_has_the_penalty_where_its_gradient_has(how: str, keyword: bool) -> None:
    model = network()
    optimizer = SGD(model.parameters())
    regularizer = Regularizer(model, L1(0.1))
    regularizer.attach(optimizer, how=how)
    expected = data_loss(model).item() + (regularizer.value() if how == "coupled" else 0.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = data_loss(model)
        loss.backward()
        return loss

    loss = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


class Twice(torch.optim.SGD):
    """Looks at its closure twice, as line searches do; its step is SGD's with more around it."""

    def step(self, closure: Any = None) -> Any:
        if closure is not None:
            closure()
        return super().step(closure)


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize(
    ("with_closure", "penalty"), covering([False, True], [L1(0.5), L2(0.25)]), ids=str
)
def test_a_step_within_a_step_shrinks_weights_once(
    how: str, with_closure: bool, penalty: Penalty
) -> None:
    torch.optim.SGD([torch.ones(1)], lr=0.1)  # from its first optimizer on torch hooks a class
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 7.0).double())})
    optimizer = Twice(model.parameters(), lr=0.1)
    metric = (lambda optimizer, group, parameter: 0.1) if how == "proximal" else None
    Regularizer(model, penalty).attach(optimizer, how=how, metric=metric)

    def closure() -> None:
        model["w"].grad = torch.zeros(1, 1).double()

    def explode() -> None:
        raise ArithmeticError

    for _ in range(2):
        w = model["w"].item()
        decayed = w / 1.05 if how == "proximal" else w * 0.95
        with pytest.raises(ArithmeticError):  # a step that fails does not disturb the next
            optimizer.step(explode)
        closure()
        optimizer.step(closure if with_closure else None)
        expected = decayed if isinstance(penalty, L2) else w - 0.05
        assert model["w"].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_finds_the_minimum_of_j(search: str | None) -> None:
    A, b = (torch.tensor(part) for part in normal_equations())
    model = nn.Linear(10, 1, bias=False).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        lr=1.0 if search else 0.5,
        max_iter=200,
        line_search_fn=search,
        tolerance_grad=1e-12,
        tolerance_change=0.0,
    )
    Regularizer(model, L2(0.05)).attach(optimizer, how="coupled")

    def closure() -> Tensor:
        optimizer.zero_grad()
        w = model.weight[0]
        loss = w @ (A @ w) / 2 - b @ w
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert np.abs(model.weight.detach().numpy()[0] - minimum(L2(0.05))).max() < 1e-6


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_one_cycle_moves_lr_and_momentum(how: str) -> None:
    """The prox follows both: with a constant gradient its step is what the optimizer moves by."""
    w = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0, dtype=torch.float64))})
    optimizer = torch.optim.SGD(w.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=20)
    Regularizer(w, L1(0.25)).attach(optimizer, how=how)
    position, buffer, share, momenta = 100.0, 0.0, 0.0, set()
    for number in range(20):
        group = optimizer.param_groups[0]
        lr, momentum = group["lr"], group["momentum"]
        momenta.add(momentum)
        gradient = 1.0 + (0.25 if how == "coupled" else 0.0)
        buffer = momentum * buffer + gradient if number else gradient
        share = momentum * share + 1.0 if number else 1.0
        threshold = {"coupled": 0.0, "decoupled": lr * 0.25, "proximal": lr * share * 0.25}[how]
        position -= lr * buffer + threshold
        w["w"].grad = torch.ones(1, 1, dtype=torch.float64)
        optimizer.step()
        scheduler.step()
        assert w["w"].item() == pytest.approx(position, rel=1e-12)
    assert len(momenta) > 5


def test_the_schedule_scale_follows_lr_over_the_first_lr() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.ones(1, 1).double())})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
    Regularizer(model, L2.from_weight_decay(0.2)).attach(
        optimizer, how="decoupled", scale="schedule"
    )
    for expected in (0.8, 0.8 * 0.98, 0.8 * 0.98 * 0.998):
        model["w"].grad = torch.zeros(1, 1).double()
        optimizer.step()
        scheduler.step()
        assert model["w"].item() == pytest.approx(expected, rel=1e-12)


def test_maximize_climbs_the_objective_less_the_penalty() -> None:
    def flipped(model: nn.Module) -> None:
        for parameter in model.parameters():
            parameter.grad.neg_()

    for how in ("coupled", "decoupled", "proximal"):
        down = train(ADAM, L1(0.1), how)
        up = train(partial(ADAM, maximize=True), L1(0.1), how, between=flipped)
        assert apart(up, down) == 0.0


@pytest.mark.parametrize(("how", "kind"), covering(WAYS, [torch.optim.SGD, torch.optim.Adam]))
def test_a_learning_rate_may_be_a_tensor(kind: Any, how: str) -> None:
    number = train(partial(kind, lr=0.0625), ElasticNet(0.2) + GroupLasso(0.1), how)
    tensor = partial(kind, lr=torch.tensor(0.0625), foreach=False)
    # 1e-6: lr times a strength is a float32 tensor.
    assert apart(train(tensor, ElasticNet(0.2) + GroupLasso(0.1), how), number) < 1e-6


def test_the_schedule_scale_knows_a_group_that_comes_later() -> None:
    model = nn.ParameterDict({"a": nn.Parameter(torch.ones(1, 1))})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    Regularizer(model, L2.from_weight_decay(0.2)).attach(
        optimizer, how="decoupled", scale="schedule"
    )
    model["b"] = nn.Parameter(torch.ones(1, 1))
    optimizer.add_param_group({"params": [model["b"]], "lr": 0.01})
    for parameter in model.parameters():
        parameter.grad = torch.zeros(1, 1)
    optimizer.step()
    assert [w.item() for w in model.parameters()] == pytest.approx([0.8, 0.8])
