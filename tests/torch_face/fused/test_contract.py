"""A drop-in for torch.optim: what its optimizers take, do, save and load, with a penalty too."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

import fused_twins as twins
from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1, L2, GroupLasso, LInf, MaxNorm, Penalty
from shrinkage.torch import SGD, Adam, Regularizer, schedules

Kind = type[SGD] | type[Adam]
KINDS: list[Any] = [
    pytest.param(SGD, {"lr": 0.1, "momentum": 0.9}, id="SGD"),
    pytest.param(Adam, {"lr": 0.1}, id="Adam"),
]
TORCHS: dict[Any, type[Optimizer]] = {ours: kind for kind, ours in twins.OURS.items()}
HOWS = ("coupled", "decoupled", "proximal")
both = pytest.mark.parametrize(("kind", "options"), KINDS)


def plain_where_alone(kind: Kind, penalty: Penalty, how: str) -> AbstractContextManager[None]:
    """Plain Python for groups coupled in SGD or decoupled in Adam: nothing else compiles these.

    What is coupled is compiled in Adam, and what is decoupled in SGD.
    """
    alone: dict[Any, str] = {SGD: "coupled", Adam: "decoupled"}
    is_plain = isinstance(penalty, GroupLasso) and how == alone[kind] and not FULL
    return plain_loops() if is_plain else nullcontext()


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    double = {"dtype": torch.float64}
    return nn.Sequential(nn.Linear(5, 4, **double), nn.Tanh(), nn.Linear(4, 2, **double))


def loss_of(model: nn.Module, step: int) -> Tensor:
    inputs = torch.randn(6, 5, generator=torch.Generator().manual_seed(step)).double()
    loss: Tensor = model(inputs).square().mean()
    return loss


def train(model: nn.Module, optimizer: Optimizer, steps: int = 3, first: int = 0) -> None:
    for step in range(first, first + steps):
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def attached(model: nn.Module, kind: Any, options: dict[str, Any], how: str) -> Optimizer:
    """torch's optimizer with L1(0.01) on all of the model."""
    optimizer = TORCHS[kind](model.parameters(), **options)
    Regularizer(model, L1(0.01), on="all").attach(optimizer, how=how)
    return optimizer


@both
def test_arguments_and_defaults_are_torchs(kind: Kind, options: dict[str, Any]) -> None:
    mine = dict(inspect.signature(kind).parameters)
    theirs = inspect.signature(TORCHS[kind]).parameters
    added = [mine.pop(name) for name in ("penalty", "how", "scale", "max_norm", "compile")]
    assert [(p.name, p.default, p.kind) for p in mine.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in added)
    assert issubclass(kind, TORCHS[kind])


@pytest.mark.slow
@both
@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)], ids=["number", "tensor"])
@pytest.mark.parametrize("way", ["foreach", "fused"])
@pytest.mark.parametrize("how", HOWS)
def test_foreach_fused_and_lr_as_a_tensor(
    kind: Kind, options: dict[str, Any], lr: Any, way: str, how: str
) -> None:
    if isinstance(lr, Tensor) and way == "foreach" and kind is Adam:
        with pytest.raises(ValueError, match="lr as a Tensor"):
            kind(network().parameters(), **options | {"lr": lr}, foreach=True)
        return
    mine, other = network(), network()
    one = kind(mine.parameters(), **options | {"lr": lr}, **{way: True}, penalty=L1(0.01), how=how)
    two = attached(other, kind, options, how)
    train(mine, one)
    train(other, two)
    torch.testing.assert_close(weights(mine), weights(other), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@both
@pytest.mark.parametrize("how", HOWS)
def test_schedulers_of_lr_and_momentum(kind: Kind, options: dict[str, Any], how: str) -> None:
    mine, other = network(), network()
    results = []
    for model, optimizer in (
        (mine, kind(mine.parameters(), **options, penalty=L1(0.01), how=how)),
        (other, attached(other, kind, options, how)),
    ):
        scheduler: LRScheduler = OneCycleLR(optimizer, 0.1, total_steps=12)
        for step in range(8):
            train(model, optimizer, 1, step)
            scheduler.step()
        results.append(weights(model))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_schedule_of_lr_scales_decoupled_strengths_by_where_it_began() -> None:
    w = nn.Parameter(torch.ones(3, dtype=torch.float64))
    scaled = {"how": "decoupled", "scale": "schedule"}
    optimizer = SGD([w], lr=torch.tensor(0.1), momentum=0.9, penalty=L1(0.1), **scaled)
    scheduler = StepLR(optimizer, 1, gamma=0.5)
    for share in (1.0, 0.5, 0.25):
        before = w.detach().clone()
        w.grad = torch.zeros_like(w)
        optimizer.step()
        torch.testing.assert_close(w.detach(), before - 0.1 * share)
        scheduler.step()


@pytest.mark.slow
@both
def test_a_closure_is_evaluated_and_its_loss_returned(kind: Kind, options: dict[str, Any]) -> None:
    model, calls = network(), []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, 0)
        loss.backward()
        calls.append(loss.item())
        return loss

    optimizer = kind(model.parameters(), **options, penalty=L1(0.01))
    assert optimizer.step(closure).item() == calls[0]
    assert optimizer.step() is None
    assert len(calls) == 1


@both
def test_hooks_run_once_a_step(kind: Kind, options: dict[str, Any]) -> None:
    model, seen = network(), []
    optimizer = kind(model.parameters(), **options, penalty=L1(0.01))
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    train(model, optimizer, 2)
    assert seen == ["before", "after"] * 2


@pytest.mark.quick_where(penalty=[None], kind=["SGD"])
@both
@pytest.mark.parametrize("penalty", [L1(0.01) + L2(0.1), None], ids=["l1 + l2", "none"])
def test_state_goes_to_torch_and_back(
    kind: Kind, options: dict[str, Any], penalty: Penalty | None
) -> None:
    model, twin = network(), network()
    optimizer = kind(model.parameters(), **options, penalty=penalty, how="coupled")
    with plain_loops() if penalty else nullcontext():
        train(model, optimizer)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    assert saved["param_groups"][0]["penalty"] == (penalty and "l1:0.01 + l2:0.1")

    twin.load_state_dict(model.state_dict())
    theirs = TORCHS[kind](twin.parameters(), lr=9.0)
    theirs.load_state_dict(copy.deepcopy(saved))
    assert theirs.param_groups[0]["lr"] == 0.1
    train(twin, theirs, 2, 3)

    plain = kind(network().parameters(), lr=9.0)  # a penalty comes back from its text
    plain.load_state_dict(copy.deepcopy(saved))
    assert plain.param_groups[0]["penalty"] == penalty
    assert plain.param_groups[0]["how"] == "coupled"

    optimizer.load_state_dict(theirs.state_dict())  # which has the text still
    bare = TORCHS[kind](network().parameters(), **options).state_dict()
    optimizer.load_state_dict(bare)  # and this has none
    assert optimizer.param_groups[0]["penalty"] == penalty
    assert optimizer.param_groups[0]["how"] == "coupled"


@pytest.mark.quick_where(how=["proximal"], kind=["SGD"], penalty=[L1(0.01)])
@both
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("penalty", [L1(0.01), GroupLasso(0.01)], ids=str)
def test_a_resumed_run_is_the_run(
    kind: Kind, options: dict[str, Any], how: str, penalty: Penalty
) -> None:
    model = network()
    optimizer = kind(model.parameters(), **options, penalty=penalty, how=how)
    with plain_where_alone(kind, penalty, how):
        train(model, optimizer, 2)
        other = network(1)
        other.load_state_dict(model.state_dict())
        resumed = kind(other.parameters(), lr=9.0)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(model, optimizer, 3, 2)
        train(other, resumed, 3, 2)
    assert torch.equal(weights(model), weights(other))


@both
@pytest.mark.parametrize("bound", [False, True], ids=["penalty", "Regularizer"])
@pytest.mark.parametrize("by", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_go_on_alone(
    kind: Kind, options: dict[str, Any], bound: bool, by: Callable[[Any], Any]
) -> None:
    model = network()
    penalty = Regularizer(model, L1(0.1), on="all") if bound else L1(0.1)
    optimizer = kind(model.parameters(), **options, penalty=penalty)
    train(model, optimizer)
    before = weights(model)
    twin, copied = by((model, optimizer))
    train(twin, copied, 4, 3)
    assert torch.equal(weights(model), before)
    train(model, optimizer, 4, 3)
    assert torch.equal(weights(twin), weights(model))
    assert (twin[0].weight == 0).any()


def test_a_parameter_given_twice_warns_and_is_stepped_once() -> None:
    w = nn.Parameter(torch.ones(3))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = SGD([w, w], lr=0.1, momentum=0.9, penalty=L1(0.5))
    w.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.full((3,), 0.85))


@pytest.mark.slow
@both
def test_groups_have_penalties_of_their_own(kind: Kind, options: dict[str, Any]) -> None:
    model = network()
    optimizer = kind(model[0].named_parameters(), **options, penalty="l1:0.1")
    train(model, optimizer, 2)
    free = model[2].weight.detach().clone()
    penalty = GroupLasso(9.0)
    optimizer.add_param_group(
        {"params": model[2].named_parameters(), "penalty": penalty, "how": "decoupled"}
    )
    model[2].weight.grad = torch.zeros_like(free)
    with plain_where_alone(kind, penalty, "decoupled"):
        train(model, optimizer, 2, 2)
    assert [group["how"] for group in optimizer.param_groups] == ["proximal", "decoupled"]
    assert (model[2].weight == 0).all()
    assert (free != 0).all()


@both
def test_a_group_that_is_refused_leaves_no_trace(kind: Kind, options: dict[str, Any]) -> None:
    model = network()
    optimizer = kind(model[0].parameters(), **options)
    for penalty, how, error in (
        (LInf(0.1) + GroupLasso(0.1), "proximal", "prox"),
        (L1(0.1), "loss", "needs nothing inside"),
        (L1(0.1), "proximall", "did you mean 'proximal'"),
    ):
        with pytest.raises(ValueError, match=error):
            optimizer.add_param_group(
                {"params": model[2].parameters(), "penalty": penalty, "how": how}
            )
    with pytest.raises(TypeError, match="penalty must be a Penalty"):
        optimizer.add_param_group({"params": model[2].parameters(), "penalty": 0.1})
    assert len(optimizer.param_groups) == 1


@pytest.mark.slow
@pytest.mark.parametrize("new", [L1(0.2), "l1:0.2", GroupLasso(0.2), None], ids=str)
def test_a_penalty_may_change_between_steps(new: Any) -> None:
    for kind, options in (parameter.values for parameter in KINDS):
        mine, other = network(), network()
        one = kind(mine.parameters(), **options, penalty=GroupLasso(0.01))
        train(mine, one)
        two = kind(other.parameters(), **options, penalty=GroupLasso(0.01))
        train(other, two)
        one.param_groups[0]["penalty"] = new
        resumed = kind(other.parameters(), **options, penalty=new)
        state = copy.deepcopy(two.state_dict())
        del state["param_groups"][0]["penalty"]
        resumed.load_state_dict(state)
        train(mine, one, 3, 3)
        train(other, resumed, 3, 3)
        assert torch.equal(weights(mine), weights(other))


def test_a_way_that_a_penalty_cannot_go_is_refused_when_it_changes() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1, penalty=L1(0.1))
    train(model, optimizer)
    optimizer.param_groups[0]["penalty"] = "l0:0.1"
    optimizer.param_groups[0]["how"] = "coupled"
    with pytest.raises(ValueError, match="gradient"):
        optimizer.step()


def test_momentum_may_be_switched_off_and_on() -> None:
    mine, other = network(), network()
    one = SGD(mine.parameters(), lr=0.1, penalty=L1(0.01))
    two = torch.optim.SGD(other.parameters(), lr=0.1)
    Regularizer(other, L1(0.01), on="all").attach(two, how="proximal")
    for step, momentum in enumerate([0.0, 0.9, 0.9, 0.0, 0.0, 0.9, 0.9]):
        for model, optimizer in ((mine, one), (other, two)):
            optimizer.param_groups[0]["momentum"] = momentum
            train(model, optimizer, 1, step)
    torch.testing.assert_close(weights(mine), weights(other), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_amsgrad_may_be_switched_on() -> None:
    model = network()
    optimizer = Adam(model.parameters(), lr=0.1, penalty=L1(0.01))
    train(model, optimizer)
    optimizer.param_groups[0]["amsgrad"] = True
    train(model, optimizer)
    for state in optimizer.state.values():
        assert torch.equal(
            state["max_exp_avg_sq"] >= state["exp_avg_sq"],
            torch.ones(()).bool().expand_as(state["exp_avg_sq"]),
        )


@pytest.mark.slow
@both
@pytest.mark.parametrize("how", HOWS)
def test_a_frozen_parameter_is_stepped_as_torch_does_without_the_penalty(
    kind: Kind, options: dict[str, Any], how: str
) -> None:
    mine, other = network(), network()
    one = kind(mine.parameters(), **options, penalty=L1(0.5), how=how)
    two = TORCHS[kind](other.parameters(), **options)
    for model, optimizer in ((mine, one), (other, two)):
        for w in model.parameters():
            w.requires_grad_(False)
            w.grad = torch.ones_like(w)
        for _ in range(3):
            optimizer.step()
    torch.testing.assert_close(weights(mine), weights(other), rtol=1e-6, atol=1e-6)
    for w in mine.parameters():
        w.requires_grad_(True)
    before = weights(mine)
    one.step()
    assert one.engine_report().in_one_pass  # and thawed it is stepped in one pass
    assert not torch.equal(weights(mine), before)


@pytest.mark.quick_where(how=["proximal"])
@both
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("penalty", [L1(0.1), GroupLasso(0.1), LInf(0.1)], ids=str)
def test_empty_parameters_and_numbers(
    kind: Kind, options: dict[str, Any], how: str, penalty: Penalty
) -> None:
    sizes = (0, 3), (3, 0), (0,), ()
    parts = [nn.Parameter(torch.ones(size, dtype=torch.float64)) for size in sizes]
    optimizer = kind(parts, **options, penalty=penalty, how=how)
    for _ in range(2):
        for w in parts:
            w.grad = torch.zeros_like(w)
        optimizer.step()
    assert parts[-1] < 1
    assert optimizer.statistics().entries == 1


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("how", ["decoupled", "proximal"])
def test_sparse_gradients(momentum: float, how: str) -> None:
    results = []
    for make in (SGD, torch.optim.SGD):
        torch.manual_seed(0)
        embedding = nn.Embedding(6, 3, sparse=True)
        options = {"lr": 0.1, "momentum": momentum}
        if make is SGD:
            optimizer: Optimizer = SGD(embedding.parameters(), **options, penalty=L1(0.1), how=how)
        else:
            optimizer = torch.optim.SGD(embedding.parameters(), **options)
            Regularizer(embedding, L1(0.1)).attach(optimizer, how=how)
        for _ in range(3):
            optimizer.zero_grad()
            embedding(torch.tensor([1, 2, 2])).sum().backward()
            optimizer.step()
        results.append(embedding.weight.detach())
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)


def test_sparse_gradients_take_no_dense_pull() -> None:
    embedding = nn.Embedding(6, 3, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match='use how="proximal" or "decoupled"'):
        SGD(embedding.parameters(), lr=0.1, penalty=L1(0.1), how="coupled").step()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        Adam(embedding.parameters(), lr=0.1).step()


@both
@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_a_regularizers_schedule_and_factor(
    kind: Kind, options: dict[str, Any], factor: float
) -> None:
    for change in (
        lambda r: setattr(r, "schedule", schedules.warmup(4)),
        lambda r: setattr(r, "factor", factor),
    ):
        mine, other = network(), network()
        inside, outside = (Regularizer(model, L1(0.1), on="all") for model in (mine, other))
        one = kind(mine.parameters(), **options, penalty=inside)
        two = TORCHS[kind](other.parameters(), **options)
        outside.attach(two, how="proximal")
        change(inside)
        change(outside)
        train(mine, one, 6)
        train(other, two, 6)
        torch.testing.assert_close(weights(mine), weights(other), rtol=1e-5, atol=1e-5)
        assert inside.factor == outside.factor


@pytest.mark.slow
@both
def test_a_regularizer_belongs_to_one_optimizer(kind: Kind, options: dict[str, Any]) -> None:
    model = network()
    first, second = Regularizer(model, L1(0.1)), Regularizer(model, L1(0.2))
    optimizer = kind(model.parameters(), **options, penalty=first)
    assert "inside" in repr(first)
    with pytest.raises(ValueError, match="already attached"):
        kind(model.parameters(), **options, penalty=first)
    with pytest.raises(ValueError, match="inside for the same parameters"):
        second.attach(optimizer, how="coupled")
    optimizer.param_groups[0]["penalty"] = second  # the first is free again
    train(model, optimizer)
    first.attach(TORCHS[kind](model.parameters(), **options), how="coupled")
    second.detach()
    assert optimizer.param_groups[0]["penalty"] is None
    train(model, optimizer)


@pytest.mark.quick_where(kind=["SGD"])  # two loops, which other tests have compiled
@both
def test_a_regularizer_takes_weights_alone(kind: Kind, options: dict[str, Any]) -> None:
    model = network()
    optimizer = kind(model.parameters(), **options, penalty=Regularizer(model, L1(50.0)))
    train(model, optimizer, 200)
    assert len(optimizer.engine_report().in_one_pass) == 4
    assert (model[0].weight == 0).all()
    assert (model[2].bias != 0).any()


@both
def test_a_scaler_skips_steps_with_infinite_gradients(kind: Kind, options: dict[str, Any]) -> None:
    mine, other = network(), network()
    one = kind(mine.parameters(), **options, penalty=L1(0.01), fused=True)
    two = attached(other, kind, options, "proximal")
    for model, optimizer in ((mine, one), (other, two)):
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        for step in range(4):
            optimizer.zero_grad()
            scaler.scale(loss_of(model, step)).backward()
            if step == 1:
                model[0].weight.grad.fill_(torch.inf)
            before = weights(model)
            scaler.step(optimizer)
            scaler.update()
            assert torch.equal(weights(model), before) == (step == 1)
    torch.testing.assert_close(weights(mine), weights(other), rtol=1e-5, atol=1e-5)


@pytest.mark.quick_where(how=["proximal"], penalty=[L1(0.1)])
@both
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("penalty", [L1(0.1), GroupLasso(0.1)], ids=str)
def test_lr_0_changes_nothing(
    kind: Kind, options: dict[str, Any], how: str, penalty: Penalty
) -> None:
    model = network()
    optimizer = kind(model.parameters(), **options | {"lr": 0.0}, penalty=penalty, how=how)
    before = weights(model)
    with plain_where_alone(kind, penalty, how):
        train(model, optimizer)
    assert torch.equal(weights(model), before)


@pytest.mark.quick_where(how=["proximal"], penalty=[L1(0.1)])
@both
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("penalty", [L1(0.1), GroupLasso(0.1)], ids=str)
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, 1e-310])
def test_gradients_that_are_no_numbers_or_next_to_nothing(
    kind: Kind, options: dict[str, Any], how: str, penalty: Penalty, wrong: float
) -> None:
    results = []
    for make in (twins.ours, twins.twin):
        model = twins.parameters({"w": (4, 5)}, torch.float64)
        optimizer = make(model, TORCHS[kind], options, penalty, how)
        with plain_where_alone(kind, penalty, how):
            for _ in range(3):
                model["w"].grad = torch.full((4, 5), 0.5, dtype=torch.float64)
                model["w"].grad[1, 2] = wrong
                optimizer.step()
        results.append(model["w"].detach())
    mine, other = results
    assert mine[1, 2].isfinite() == other[1, 2].isfinite() == (wrong == 1e-310)  # lost in both
    finite = other.isfinite()  # where a group has one NaN, array formulas lose all of it
    torch.testing.assert_close(mine[finite], other[finite], rtol=1e-5, atol=1e-5)
    assert finite.sum() >= 15


@both
def test_a_graph_that_needs_the_old_weights_says_so(kind: Kind, options: dict[str, Any]) -> None:
    model = network()
    optimizer = kind(model.parameters(), **options, penalty=L1(0.1))
    loss = loss_of(model, 0)
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@both
def test_inference_mode(kind: Kind, options: dict[str, Any]) -> None:
    mine, other = network(), network()
    for model, inside in ((mine, True), (other, False)):
        optimizer = kind(model.parameters(), **options, penalty=L1(0.1))
        loss_of(model, 0).backward()
        with torch.inference_mode(inside):
            optimizer.step()
    assert torch.equal(weights(mine), weights(other))
    with torch.inference_mode():
        w = nn.Parameter(torch.ones(3), requires_grad=False)
    w.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="inference tensor"):
        kind([w], **options).step()


@both
def test_lazy_parameters_take_part_once_they_have_a_shape(
    kind: Kind, options: dict[str, Any]
) -> None:
    layer = nn.LazyLinear(3)
    optimizer = kind(layer.parameters(), **options, penalty=L1(0.1))
    layer(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert not optimizer.engine_report().by_torch


@both
@pytest.mark.parametrize("how", HOWS)
def test_tensors_without_numbers(kind: Kind, options: dict[str, Any], how: str) -> None:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        faked = network()
        optimizer = kind(faked.parameters(), **options, penalty=L1(0.1), how=how)
        for _ in range(2):
            faked(torch.ones(6, 5).double()).sum().backward()
            optimizer.step()
    model = network().to("meta")
    optimizer = kind(model.parameters(), **options, penalty=L1(0.1), how=how)
    for _ in range(2):
        model(torch.ones(6, 5, device="meta").double()).sum().backward()
        optimizer.step()


def test_gradients_under_functorch_are_refused_by_torch() -> None:
    w = nn.Parameter(torch.ones(3))
    optimizer = SGD([w], lr=0.1, penalty=L1(0.1))

    def step(x: Tensor) -> Tensor:
        w.grad = 2 * x
        optimizer.step()
        return x.sum()

    with pytest.raises(RuntimeError, match="mutate a captured Tensor"):
        torch.func.grad(step)(torch.ones(3))


def test_through_a_differentiable_step_goes_the_coupled_penalty() -> None:
    start = torch.tensor([1.0, -2.0], requires_grad=True)
    w = start.clone()
    w.grad = torch.zeros(2)
    SGD([w], lr=0.1, differentiable=True, penalty=L2(0.5), how="coupled").step()
    w.sum().backward()
    torch.testing.assert_close(start.grad, torch.full((2,), 0.9))
    with pytest.raises(
        ValueError, match='differentiable=True with a penalty inside needs how="coup'
    ):
        SGD([nn.Parameter(torch.ones(2))], lr=0.1, differentiable=True, penalty=L2(0.5))


@pytest.mark.slow
@both
def test_inside_a_compiled_training_step(kind: Kind, options: dict[str, Any]) -> None:
    results = []
    for compiled in (False, True):
        torch._dynamo.reset()
        model = network()
        net = torch.compile(model, backend="eager") if compiled else model
        optimizer = kind(net.parameters(), **options, penalty=Regularizer(net, L1(0.1)))
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for number in range(3):
            optimizer.zero_grad()
            loss_of(net, number).backward()
            step()
        results.append(weights(model))
    assert torch.equal(*results)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler has warnings of its own
@pytest.mark.parametrize(
    ("kind", "options", "backend"),
    [(SGD, {"lr": 0.1}, "inductor"), *((*row.values, "eager") for row in KINDS)],
)
def test_torchs_way_may_be_compiled(
    kind: Kind, options: dict[str, Any], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short step down to machine code, which takes long; longer ones are traced and cut."""
    compiled_steps, compile_it = [], torch.compile

    def note_and_compile(step: Any) -> Any:
        compiled_steps.append(step)
        return compile_it(step, backend=backend)

    monkeypatch.setattr(torch, "compile", note_and_compile)
    torch._dynamo.reset()
    results = []
    for compiled in (False, True):
        model = twins.strided(twins.parameters({"w": (4, 5)}, torch.float32))
        optimizer = kind(model.values(), **options, penalty=L1(0.1), compile=compiled)
        for step in range(3):
            twins.gradients(model, step)
            optimizer.step()
        assert optimizer.engine_report().by_torch
        results.append(model["w"].detach())
    assert len(compiled_steps) == 3
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def test_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = network()
        optimizer = Adam(model.parameters(), penalty=L1(0.1))
        train(model, optimizer)
        optimizer.load_state_dict(optimizer.state_dict())
        train(model, optimizer)
        str(optimizer)


def test_an_option_that_is_a_tensor_may_change_in_place() -> None:
    w = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = SGD([w], lr=0.5, penalty=L1(1e-30))
    momentum = torch.tensor(0.0)
    optimizer.param_groups[0]["momentum"] = momentum
    moves = []
    for number in (0.0, 0.5, 0.5):
        momentum.fill_(number)
        w.grad, before = torch.ones_like(w), w.detach().clone()
        optimizer.step()
        moves.append(float((before - w.detach())[0]))
    assert moves == [0.5, 0.5, 0.75]  # lr·(1, 1, 1 + 0.5)
    momentum.fill_(1.5)
    with pytest.raises(ValueError, match="momentum must be < 1 for proximal"):
        optimizer.step()


def test_a_refusal_names_the_penalty_as_it_was_written() -> None:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, MaxNorm(1.0))
    with pytest.raises(ValueError, match=r"^weight: MaxNorm\(radius=1\.0\): ‖w_g‖ ≤ 1 is a"):
        SGD(model.parameters(), lr=0.1, penalty=regularizer, how="coupled")
