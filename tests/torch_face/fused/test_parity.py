"""One pass equals two: torch's optimizer with an attached Regularizer, weights and state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

import cases
import fused_twins as twins
from cases import Case
from grid import FULL
from plain_loops import plain_loops
from shrinkage import (
    L1,
    L2,
    MCP,
    Box,
    ElasticNet,
    GroupLasso,
    LogSum,
    Penalty,
)
from shrinkage.kernels.register_forms import scalar_form_of
from shrinkage.penalties.base import terms
from shrinkage.penalties.layout import Layout

SGD: tuple[type[Optimizer], dict[str, Any]] = torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}
ADAM: tuple[type[Optimizer], dict[str, Any]] = torch.optim.Adam, {"lr": 0.1}
VARIANTS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"lr": 0.1}),
    "SGD momentum": SGD,
    "SGD dampening": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "dampening": 0.5}),
    "SGD Nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "SGD maximize": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "maximize": True}),
    "SGD decay": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "Adam": ADAM,
    "Adam betas": (torch.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-2}),
    "Adam amsgrad": (torch.optim.Adam, {"lr": 0.1, "amsgrad": True}),
    "Adam maximize": (torch.optim.Adam, {"lr": 0.1, "maximize": True}),
    "Adam decay": (torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.1}),
    "AdamW": (torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
}
QUICK = [name for name in VARIANTS if name != "Adam amsgrad"]
HOWS = ("coupled", "decoupled", "proximal")
BOTH = ("SGD momentum", "Adam")
SHAPES = {"matrix": (6, 5), "vector": (7,), "number": (), "kernels": (4, 3, 2, 2)}

pytestmark = pytest.mark.filterwarnings("ignore:.*has weight_decay=")


def goes(penalty: Penalty, how: str, kind: type[Optimizer]) -> bool:
    """Whether a penalty can go that way in that optimizer."""
    if how != "proximal":
        return penalty.why_not("gradient") is None
    return penalty.why_not("prox" if kind is torch.optim.SGD else "metric") is None


ROWS = ("out", (0, 1), "heads:2", Layout(None, ()))
COLUMNS = ("in", -1, "in:heads:2", "heads:2x1", Layout((2, 2, 4), (1,)))


def is_compiled(penalty: Penalty) -> bool:
    """Whether a loop is to step it: absolute values and squares, what is alone, rows, columns.

    Not blocks, lists of indices, and sums of others.
    """
    first, *more = terms(penalty)
    if all(isinstance(term, L1 | L2 | ElasticNet) for term in (first, *more)):
        return True
    if isinstance(first, GroupLasso) and not more:
        return first.groups in (*ROWS, *COLUMNS)
    return first._scalar_form() is not None and not more


def loop_of(penalty: Penalty) -> Any:
    """What penalties of one loop have in common: their formulas, or which entries are a group."""
    found = scalar_form_of(penalty) if is_compiled(penalty) else None
    is_by_rows = isinstance(penalty, GroupLasso) and penalty.groups in ROWS
    return found[0] if found is not None else (is_compiled(penalty), is_by_rows)


GRADIENTS = [(how, name) for how in ("coupled", "decoupled") for name in BOTH]
PROXIMAL = {("proximal", name) for name in BOTH}  # with one step for all, and with one for each
EVERY = PROXIMAL | {*GRADIENTS}
# What has lines of its own in the loops is compiled in every way; of groups, what is coupled is so
# in one optimizer, and what is decoupled in the other. Of other formulas the prox is compiled in
# one optimizer, and the gradient in one way; with a second pass, and of sums, the prox in both.
BY_GROUPS = PROXIMAL | {("coupled", "Adam"), ("decoupled", "SGD momentum")}
COMPILED = {
    loop_of(L1(1.0)): EVERY,
    loop_of(LogSum(1.0)): PROXIMAL | {("decoupled", "SGD momentum")},
    loop_of(ElasticNet(1.0)): PROXIMAL | {("decoupled", "SGD momentum")},
    loop_of(GroupLasso(1.0)): BY_GROUPS,
    loop_of(GroupLasso(1.0, "in")): BY_GROUPS,
}
for place, found in enumerate(dict.fromkeys(loop_of(case.penalty) for case in cases.CASES)):
    ways = {("proximal", BOTH[place % 2]), GRADIENTS[place % len(GRADIENTS)]}
    COMPILED.setdefault(found, ways)


def stays_plain(penalty: Penalty, how: str, name: str) -> bool:
    """Whether the loop runs as plain Python: other rows have compiled all that it is made of.

    A loop is an optimizer's update with a penalty's gradient or prox inside.
    """
    return not FULL and (how, name) not in COMPILED[loop_of(penalty)]


def table() -> Iterator[Any]:
    """Every penalty in every way, in SGD and Adam by turns: a loop is put together of all three.

    Each loop stands in both: the penalties that share one take turns, and one alone has two rows.
    """
    quick = {(L1(0.5), how): "Adam" for how in HOWS}
    quick[GroupLasso(0.5), "proximal"] = "SGD momentum"
    times = Counter(loop_of(case.penalty) for case in cases.CASES)
    turns: Counter[Any] = Counter()
    for case in cases.CASES:
        loop = loop_of(case.penalty)
        turns[loop] += 1
        for turn, how in enumerate(HOWS, turns[loop]):
            names = [name for name in BOTH if goes(case.penalty, how, VARIANTS[name][0])]
            is_quick = (case.penalty, how) in quick
            if len(names) == 2 and (times[loop] > 1 or is_quick) and not FULL:
                names = [quick.get((case.penalty, how), BOTH[turn % 2])]
            for name in names:
                marks = () if is_quick else pytest.mark.slow
                yield pytest.param(case, how, name, id=f"{case}-{how}-{name}", marks=marks)


def check_parity(
    shapes: dict[str, tuple[int, ...]],
    kind: type[Optimizer],
    options: dict[str, Any],
    penalty: Penalty,
    how: str,
    *,
    scale: str = "lr",
    dtype: torch.dtype = torch.float64,
    gaps: bool = False,
    is_plain: bool = False,
    threads: int = 1,
) -> None:
    """Both for a few steps, and torch's without a penalty, from which they must differ."""
    tolerance = 1e-10 if dtype is torch.float64 else 1e-5
    mine, other, free = (twins.parameters(shapes, dtype) for _ in range(3))
    if gaps:
        mine, other = twins.strided(mine), twins.strided(other)
    before = torch.get_num_threads()
    with plain_loops() if is_plain else nullcontext():
        torch.set_num_threads(threads)
        one = twins.train(mine, twins.ours(mine, kind, options, penalty, how, scale))
        torch.set_num_threads(before)
    two = twins.train(other, twins.twin(other, kind, options, penalty, how, scale))
    twins.train(free, twins.twin(free, kind, options, None, how))
    served = twins.served(one)
    if gaps:  # a number has none
        assert served == sum(not shape for shape in shapes.values())
    else:
        expected = len(shapes) if is_compiled(penalty) else 0
        assert served == expected, str(one.engine_report())
    twins.assert_same(mine, one, other, two, tolerance)
    for name, w in mine.items():
        assert (w - free[name]).abs().max() > 10 * tolerance, name


@pytest.mark.parametrize(("case", "how", "name"), [*table()])
def test_every_penalty_in_every_way(case: Case, how: str, name: str) -> None:
    is_plain = stays_plain(case.penalty, how, name)
    check_parity({"w": case.shape}, *VARIANTS[name], case.penalty, how, is_plain=is_plain)


def test_each_update_and_each_penalty_is_compiled_in_some_row() -> None:
    """All of a loop that stays plain stands in others; a penalty without gradient has its prox."""
    rows = [row.values for row in table()]
    met = {(loop_of(case.penalty), how, name) for case, how, name in rows}
    compiled = {(loop, *way) for loop, ways in COMPILED.items() for way in ways} & met
    for loop, how, _ in met:
        kinds = {"proximal"} if how == "proximal" else {"coupled", "decoupled"}
        assert any(one == loop and way in kinds for one, way, _ in compiled)
    assert {(how, name) for _, how, name in compiled} == set(product(HOWS, BOTH))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_of_two_minima_each_weight_goes_to_the_lower(name: str) -> None:
    """Few weights are so near to both that it matters."""
    check_parity({"w": (2000,)}, *VARIANTS[name], LogSum(0.5, eps=0.113), "proximal")


@pytest.mark.quick_where(gaps=[False], how=["proximal"], variant=QUICK)
@pytest.mark.parametrize("gaps", [False, True], ids=["one pass", "torch's way"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant(variant: str, how: str, gaps: bool) -> None:
    """Without momentum and with AMSGrad the prox is compiled; what else they have, others have."""
    is_plain = variant in ("SGD", "Adam amsgrad") and how != "proximal" and not FULL
    check_parity(SHAPES, *VARIANTS[variant], L1(0.1), how, gaps=gaps, is_plain=is_plain)


@pytest.mark.slow
@pytest.mark.parametrize("groups", ["out", "in"])
@pytest.mark.parametrize("variant", ["SGD maximize", "Adam maximize"])
def test_groups_pull_to_zero_where_a_loss_is_maximized_too(variant: str, groups: str) -> None:
    penalty = GroupLasso(0.1, groups)
    check_parity({"w": (6, 5)}, *VARIANTS[variant], penalty, "coupled", is_plain=not FULL)


@pytest.mark.quick_where(scale=["schedule"], penalty=[L1(0.05)], variant=["Adam"])
@pytest.mark.parametrize("scale", ["lr", "schedule", "none"])
@pytest.mark.parametrize("penalty", [L1(0.05), L2(0.05), GroupLasso(0.05)], ids=str)
@pytest.mark.parametrize("variant", ["SGD momentum", "Adam"])
def test_every_scale(variant: str, penalty: Penalty, scale: str) -> None:
    is_plain = stays_plain(penalty, "decoupled", variant)
    check_parity(SHAPES, *VARIANTS[variant], penalty, "decoupled", scale=scale, is_plain=is_plain)


SINGLE = [  # first those that are compiled
    *((L1(0.1), "proximal", name) for name in BOTH),
    (L1(0.1), "decoupled", "SGD momentum"),
    (GroupLasso(0.1), "proximal", "Adam"),
    (LogSum(0.1, 0.3), "proximal", "Adam"),  # with a second pass
    (L1(0.1), "coupled", "Adam"),
    (GroupLasso(0.1), "coupled", "SGD momentum"),
    (GroupLasso(0.1), "decoupled", "Adam"),
    (ElasticNet(0.2), "proximal", "SGD momentum"),
    (MCP(0.1), "proximal", "SGD momentum"),
]


@pytest.mark.quick_where(how=["proximal"], penalty=[L1(0.1)])
@pytest.mark.parametrize(("penalty", "how", "variant"), SINGLE, ids=str)
def test_in_single_precision(penalty: Penalty, how: str, variant: str) -> None:
    is_plain = (penalty, how, variant) in SINGLE[5:] and not FULL
    check_parity(SHAPES, *VARIANTS[variant], penalty, how, dtype=torch.float32, is_plain=is_plain)


@pytest.mark.quick_where(variant=["SGD momentum"], penalty=[L1(0.1)])
@pytest.mark.parametrize(
    "penalty",
    [L1(0.1), MCP(0.1), Box(-1.0, 1.0), GroupLasso(0.1), GroupLasso(0.1, "in")],
    ids=str,
)
@pytest.mark.parametrize("variant", ["SGD momentum", "SGD Nesterov", "Adam", "Adam amsgrad"])
def test_a_prox_attached_to_torchs_optimizer(variant: str, penalty: Penalty) -> None:
    """In one pass over memory after the step, and by torch operations.

    The loop after a step is compiled for what has lines of its own in it: one step for all
    entries, one for each, these kept for a group, and √v as the only state, which columns read
    again. What follows is compiled in other tests.
    """
    has_own_lines = isinstance(penalty, L1) or (
        isinstance(penalty, GroupLasso) and variant.startswith("Adam")
    )
    shapes = {"matrix": (6, 5), "kernels": (4, 3, 2, 2)}
    mine, other = twins.parameters(shapes, torch.float64), twins.parameters(shapes, torch.float64)
    one, fast = twins.attached(mine, *VARIANTS[variant], penalty, "proximal")
    two, slow = twins.attached(other, *VARIANTS[variant], penalty, "proximal")
    with nullcontext() if has_own_lines or FULL else plain_loops():
        twins.train(mine, one)
    with twins.torch_operations():
        twins.train(other, two)
    reports = [attachment._proximal._loops.engine_report() for attachment in (fast, slow)]
    assert [len(report.in_one_pass) for report in reports] == [2, 0]
    twins.assert_same(mine, one, other, two, 1e-10)


@pytest.mark.quick_where(variant=["SGD momentum"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_penalty_it_is_torchs(variant: str) -> None:
    kind, options = VARIANTS[variant]
    mine, other = twins.parameters(SHAPES, torch.float64), twins.parameters(SHAPES, torch.float64)
    one = twins.train(mine, twins.ours(mine, kind, options, None, "proximal"))
    two = twins.train(other, kind(other.values(), **options))
    assert twins.served(one) == len(SHAPES)
    twins.assert_same(mine, one, other, two, 1e-10)


@pytest.mark.slow
def test_large_parameters_are_cut_and_put_together_again() -> None:
    """More than one piece, rows longer than a chunk, and more threads than one."""
    shapes = {"wide": (40, 5000), "flat": (200_001,), "small": (3,)}
    for penalty in (L1(0.1), GroupLasso(0.01)):
        check_parity(shapes, *ADAM, penalty, "proximal", threads=2)
