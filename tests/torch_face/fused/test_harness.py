"""torch's own table of optimizer arguments, errors and schedulers, run on SGD and Adam.

The table (`torch.testing._internal.common_optimizers`) is in the wheel, the tests that torch runs
over it are not; those that apply are written anew here. What does not apply:

- other devices, and `capturable`, which torch refuses on a CPU;
- `differentiable` with a penalty that is not coupled: refused (`test_contract`);
- the count of torch's kernel launches and its peak memory under `foreach`: CUDA alone;
- LBFGS, Muon and the others of the table: not ours.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import nullcontext
from itertools import cycle, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.testing._internal.common_optimizers import (
    OptimizerErrorEnum,
    OptimizerInfo,
    _get_optim_inputs_including_global_cliquey_kwargs,
    optim_db,
)

from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1
from shrinkage.torch import SGD, Adam

OURS: dict[type[Optimizer], Any] = {torch.optim.SGD: SGD, torch.optim.Adam: Adam}
INFOS: dict[Any, OptimizerInfo] = {
    OURS[info.optim_cls]: info for info in optim_db if info.optim_cls in OURS
}
# torch's table sets weight_decay, and the penalty beside it is told of, as it should be.
pytestmark = [
    pytest.mark.slow,  # test_contract.py has what torch promises, in the quick layer
    pytest.mark.filterwarnings("ignore:.* has weight_decay=.* beside the penalty inside"),
]

KINDS = [pytest.param(kind, id=kind.__name__) for kind in INFOS]
PENALTIES = [pytest.param({}, id="plain"), pytest.param({"penalty": L1(1e-3)}, id="penalized")]

each_kind = pytest.mark.parametrize("kind", KINDS)
with_and_without = pytest.mark.parametrize("penalty", PENALTIES)


def inputs(kind: Any, penalty: dict[str, Any], *, skip: tuple[str, ...] = ()) -> list[Any]:
    """Every row of torch's table for a CPU, with each of its ways."""
    skip += ("differentiable",) if penalty else ()
    found = _get_optim_inputs_including_global_cliquey_kwargs(
        "cpu", torch.float64, INFOS[kind], skip=skip
    )
    assert len(found) > 4
    return [{**row.kwargs, **penalty} for row in found]


def parameters(dtype: torch.dtype = torch.float64) -> tuple[nn.Parameter, nn.Parameter]:
    drawn = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(10, 5, generator=drawn, dtype=dtype))
    return weight, nn.Parameter(torch.randn(10, generator=drawn, dtype=dtype))


def pull(weight: Tensor, bias: Tensor, step: int) -> Tensor:
    """Gradients of a regression on data that change; its loss."""
    x = torch.randn(5, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    weight.grad = bias.grad = None
    loss = (weight.mv(x.to(weight.dtype)) + bias).abs().square().sum()
    loss.backward()
    return loss.detach()


def run(kind: Any, options: dict[str, Any], steps: int = 7) -> tuple[Tensor, ...]:
    """The weights, and the state, after some steps."""
    pair = parameters()
    if options.get("differentiable"):
        pair = tuple(w.detach().clone() for w in pair)
    optimizer = kind(list(pair), **options)
    for step in range(steps):
        source = [w.detach().clone().requires_grad_() for w in pair]
        pull(*source, step)
        for w, other in zip(pair, source, strict=True):
            w.grad = other.grad
        with torch.set_grad_enabled(not options.get("differentiable")):
            optimizer.step()
    state = [value for w in pair for _, value in sorted(optimizer.state[w].items())]
    return tuple(value.detach() for value in (*pair, *state))


@each_kind
@with_and_without
def test_it_goes_in_the_right_direction(kind: Any, penalty: dict[str, Any]) -> None:
    """With every row, and with every scheduler of the table: each meets some of the others."""
    schedulers = [[], *INFOS[kind].scheduler_inputs]
    rows = inputs(kind, penalty, skip=("differentiable",))
    pairs = product(rows, schedulers) if FULL else zip(rows, cycle(schedulers), strict=False)
    assert FULL or len(rows) >= len(schedulers)
    for options, makers in pairs:
        weight, bias = parameters()
        optimizer = kind([weight, bias], **{"lr": 1e-2, **options})
        made = [make(optimizer) for make in makers]
        first = pull(weight, bias, 0)
        for _ in range(20):
            loss = pull(weight, bias, 0)
            optimizer.step()
            for scheduler in made:
                plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
                scheduler.step(loss) if plateau else scheduler.step()
        rises = pull(weight, bias, 0) > first
        assert rises == options.get("maximize", False)


@each_kind
def test_every_row_equals_torch(kind: Any) -> None:
    for options in inputs(kind, {}):
        theirs = run(INFOS[kind].optim_cls, options)
        torch.testing.assert_close(run(kind, options), theirs, rtol=1e-10, atol=1e-10)


@each_kind
def test_every_way_of_a_row_is_the_same(kind: Any) -> None:
    """One pass, torch's loop, its foreach and its fused step, with a penalty.

    The loops of these rows are compiled for the prox here, and for all ways in test_parity.py.
    """
    for row in INFOS[kind].optim_inputs_func(device="cpu", dtype=torch.float64):
        for how in ("coupled", "decoupled", "proximal"):
            options = {**row.kwargs, "penalty": L1(1e-2), "how": how}
            with nullcontext() if how == "proximal" or FULL else plain_loops():
                expected = run(kind, options)[:2]
            results = [
                in_gaps(kind, {**options, **way})
                for way in ({"foreach": False}, {"foreach": True}, {"fused": True})
                if not (isinstance(row.kwargs.get("lr"), Tensor) and "foreach" in way)
            ]
            for result in results:
                torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


def in_gaps(kind: Any, options: dict[str, Any]) -> tuple[Tensor, ...]:
    """`run`, but with gaps in memory, where torch's own ways serve."""
    pair = []
    for w in parameters():
        wide = torch.zeros(*w.shape, 2, dtype=w.dtype)
        wide[..., 0] = w.detach()
        pair.append(nn.Parameter(wide[..., 0]))
    optimizer = kind(pair, **options)
    for step in range(7):
        pull(*pair, step)
        optimizer.step()
    return tuple(w.detach() for w in pair)


@each_kind
def test_error_inputs(kind: Any) -> None:
    for wrong in INFOS[kind].optim_error_inputs_func(device="cpu", dtype=torch.float64):
        given = wrong.optimizer_error_input
        params = list(parameters()) if given.params is None else given.params
        assert wrong.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
        if issubclass(wrong.error_type, Warning):
            with pytest.warns(wrong.error_type, match=wrong.error_regex):
                kind(params, **given.kwargs)
            continue
        with (
            pytest.raises(wrong.error_type, match=wrong.error_regex),
            warnings.catch_warnings(action="ignore"),
        ):
            kind(params, **given.kwargs)


@each_kind
@with_and_without
def test_state_dict_goes_on_where_it_was(kind: Any, penalty: dict[str, Any]) -> None:
    for options in inputs(kind, penalty, skip=("differentiable",)):
        weight, bias = parameters()
        optimizer = kind([weight, bias], **options)
        for step in range(3):
            pull(weight, bias, step)
            optimizer.step()
        others = [nn.Parameter(w.detach().clone()) for w in (weight, bias)]
        resumed = kind(others, **options)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        for step in range(3, 6):
            pull(weight, bias, step)
            optimizer.step()
            pull(*others, step)
            resumed.step()
        assert torch.equal(weight, others[0])
        assert torch.equal(bias, others[1])
        assert str(resumed.state_dict()) == str(optimizer.state_dict())


@each_kind
@with_and_without
def test_parameter_groups(kind: Any, penalty: dict[str, Any]) -> None:
    """A frozen group, and options that one of them has for itself."""
    for options in inputs(kind, penalty, skip=("differentiable",)):
        weight, bias = parameters()
        optimizer = kind(
            [{"params": [weight], "lr": 0.0, "weight_decay": 0.0}, {"params": [bias]}],
            **{"lr": 1e-2, **options},
        )
        before = weight.detach().clone(), bias.detach().clone()
        for step in range(3):
            pull(weight, bias, step)
            optimizer.step()
        assert torch.equal(weight, before[0])
        assert not torch.equal(bias, before[1])


@each_kind
def test_complex_parameters_are_pairs_of_real_ones(kind: Any) -> None:
    for options in inputs(kind, {}, skip=("differentiable", "fused")):
        drawn = torch.Generator().manual_seed(0)
        pairs = torch.randn(6, 2, generator=drawn, dtype=torch.float64)
        z, w = nn.Parameter(torch.view_as_complex(pairs.clone())), nn.Parameter(pairs.clone())
        one, two = kind([z], **options), kind([w], **options)
        for _ in range(4):
            w.grad = torch.randn(6, 2, generator=drawn, dtype=torch.float64)
            z.grad = torch.view_as_complex(w.grad.clone())
            one.step()
            two.step()
        torch.testing.assert_close(torch.view_as_real(z.detach()), w.detach(), rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    ("kind", "options", "is_plain"),
    [  # of state no tensor, one, two and three; compiled is what other tests compile
        (SGD, {"penalty": L1(1e-3)}, True),
        (SGD, {"penalty": L1(1e-3), "momentum": 0.9}, False),
        (Adam, {"penalty": L1(1e-3)}, False),
        (Adam, {"penalty": L1(1e-3), "amsgrad": True}, True),
        (SGD, {"momentum": 0.9}, True),
        (Adam, {}, True),
    ],
    ids=str,
)
def test_types_may_be_mixed(kind: Any, options: dict[str, Any], is_plain: bool) -> None:
    with plain_loops() if is_plain and not FULL else nullcontext():
        mix_types(kind, options)


def mix_types(kind: Any, options: dict[str, Any]) -> None:
    """Parameters of four types in one optimizer, and each in one of its own."""
    for way in ({"foreach": False}, {"foreach": True}, {"fused": True}):
        given = {"lr": 0.1, **options, **way}
        types = torch.float64, torch.float32, torch.bfloat16, torch.float16
        alone, mixed = ([nn.Parameter(torch.ones(5, dtype=t)) for t in types] for _ in range(2))
        together = kind(mixed, **given)
        single = [kind([w], **given) for w in alone]
        for _ in range(3):
            for w in (*alone, *mixed):
                w.grad = torch.full_like(w, 0.5)
            together.step()
            for optimizer in single:
                optimizer.step()
        for one, other in zip(alone, mixed, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
            assert not torch.equal(one, torch.ones_like(one))
