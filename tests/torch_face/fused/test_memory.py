"""No stray write: every tensor lies between bands of canaries, whatever is done to parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from math import prod
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

import fused_twins as twins
from fused_soak import Arena
from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1, GroupLasso, NuclearNorm, Penalty
from shrinkage.kernels import launch, threads
from shrinkage.kernels.intrinsics import CHUNK
from shrinkage.torch import SGD, Adam
from shrinkage.torch.fused import batch as batch_module

SHAPES: dict[str, tuple[int, ...]] = {"matrix": (6, 5), "vector": (7,), "kernels": (4, 3, 2, 2)}
WIDE: dict[str, tuple[int, ...]] = {"wide": (3, 2500)}  # a row is longer than a chunk
LARGE: dict[str, tuple[int, ...]] = {  # of several pieces, and several blocks of columns
    "matrix": (300, 250),
    "long": (18, 4200),
    "tall": (5000, 15),
    "kernels": (40, 30, 5, 3),
    "vector": (70_001,),
}


class Run:
    """An optimizer with the penalty inside in an arena, beside its twin, which is in none."""

    def __init__(
        self,
        kind: type[Optimizer],
        options: dict[str, Any],
        penalty: Penalty,
        dtype: torch.dtype = torch.float32,
        shapes: dict[str, tuple[int, ...]] = SHAPES,
        how: str = "proximal",
    ) -> None:
        self.arena = Arena(100 * sum(map(prod, shapes.values())) + (1 << 18))
        self.mine, self.other = (twins.parameters(shapes, dtype) for _ in range(2))
        for w in self.mine.values():
            w.data = self.arena.put(w.detach())
        self.one = twins.ours(self.mine, kind, options, penalty, how)
        # torch's own rounds 16 bits at every operation, so the same by torch operations is beside.
        self.is_half = dtype is torch.bfloat16
        make = twins.ours if self.is_half else twins.twin
        self.two = make(self.other, kind, options, penalty, how)
        self.tolerance = 2.0**-7 if self.is_half else 1e-5
        self.steps = 0

    def step(self) -> None:
        """A step of both, the gradients and the state of one in its arena."""
        for model in (self.mine, self.other):
            twins.gradients(model, self.steps)
        for w in self.mine.values():
            if w.grad is not None:
                w.grad = self.arena.put(w.grad)
        self.one.step()
        with twins.torch_operations() if self.is_half else nullcontext():
            self.two.step()
        self.steps += 1
        assert self.arena.is_whole()
        twins.assert_same(self.mine, self.one, self.other, self.two, self.tolerance)
        for w in self.mine.values():
            for key, value in self.one.state[w].items():
                if isinstance(value, torch.Tensor):
                    self.one.state[w][key] = self.arena.put(value)

    def settle(self, served: int | None = None) -> None:
        """Until every table is filled: one pass for all that it serves, and state in the arena."""
        self.step()
        self.step()
        assert twins.served(self.one) == (len(self.mine) if served is None else served)

    def each(self, change: Callable[[nn.Parameter], None]) -> None:
        for model in (self.mine, self.other):
            for w in model.values():
                change(w)


def moved(run: Run) -> None:
    for w in run.mine.values():
        w.data = run.arena.put(w.detach())


def moved_state(run: Run) -> None:
    for w in run.mine.values():
        run.one.state[w] = {k: v.clone() for k, v in run.one.state[w].items()}


def reallocated(run: Run) -> None:
    for w in run.mine.values():
        w.data = w.detach().clone()


def frozen(run: Run) -> None:
    for model in (run.mine, run.other):
        model["matrix"].requires_grad_(False)
        model["matrix"].grad = None


def cast_to_double(run: Run) -> None:
    run.each(lambda w: setattr(w, "data", w.data.double()))
    for model, optimizer in ((run.mine, run.one), (run.other, run.two)):
        for w in model.values():
            for key, value in optimizer.state[w].items():
                if key != "step":
                    optimizer.state[w][key] = value.double()


def cast_weights_alone(run: Run) -> None:
    """torch's own optimizer stops with an error here; its state is cast by hand."""
    run.each(lambda w: setattr(w, "data", w.data.double()))
    for w in run.other.values():
        state = run.two.state[w]
        state.update({k: v.double() for k, v in state.items() if k != "step"})


def channels_last(run: Run) -> None:
    for model in (run.mine, run.other):
        w = model["kernels"]
        w.data = w.data.to(memory_format=torch.channels_last)


def transposed(run: Run) -> None:
    for model in (run.mine, run.other):
        model["matrix"].data = model["matrix"].detach().t().contiguous().t()


def with_gaps(run: Run) -> None:
    for model in (run.mine, run.other):
        w = model["matrix"]
        wide = torch.zeros(6, 10, dtype=w.dtype)
        wide[:, ::2] = w.detach()
        w.data = wide[:, ::2]


def reloaded(run: Run) -> None:
    run.one.load_state_dict(deepcopy(run.one.state_dict()))


def reloaded_from_torch(run: Run) -> None:
    """Both forget how full the buffers are; so does the attachment, of which nothing was kept."""
    kept = run.two.state_dict()
    for group in kept["param_groups"]:
        group.pop("shrinkage", None)
    run.one.load_state_dict(deepcopy(kept))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*momentum buffers count as full")
        run.two.load_state_dict(deepcopy(kept))


def through_torch(run: Run) -> None:
    """There and back, which casts all state to the type of the weights."""
    plain = type(run.two)(run.other.values())
    plain.load_state_dict(deepcopy(run.one.state_dict()))
    run.one.load_state_dict(deepcopy(plain.state_dict()))


def viewed(run: Run) -> None:
    """All weights in one buffer, as flattened parameters are."""
    sizes = [w.numel() for w in run.mine.values()]
    flat = run.arena.put(torch.cat([w.detach().flatten() for w in run.mine.values()]))
    for w, part in zip(run.mine.values(), flat.split(sizes), strict=True):
        w.data = part.view(w.shape)


CHANGES = [
    moved,
    moved_state,
    reallocated,
    frozen,
    cast_to_double,
    cast_weights_alone,
    channels_last,
    transposed,
    with_gaps,
    reloaded,
    reloaded_from_torch,
    through_torch,
    viewed,
]
KINDS: list[Any] = [
    pytest.param(torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, id="SGD"),
    pytest.param(torch.optim.Adam, {"lr": 0.1}, id="Adam"),
]


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [L1(0.05), GroupLasso(0.05)], ids=["l1", "groups"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_nothing_else_is_written(
    kind: type[Optimizer], options: dict[str, Any], change: Callable[[Run], None], penalty: Penalty
) -> None:
    run = Run(kind, options, penalty)
    run.settle()
    change(run)
    for _ in range(4):  # among them one without gradients
        run.step()


MOVES = [moved, moved_state, reallocated, frozen, transposed, with_gaps, reloaded, viewed]


@pytest.mark.slow
@pytest.mark.parametrize("change", [one for one in CHANGES if "cast" not in one.__name__])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_columns_write_nothing_else(
    kind: type[Optimizer], options: dict[str, Any], change: Callable[[Run], None]
) -> None:
    run = Run(kind, options, GroupLasso(0.05, "in"))
    run.settle()
    change(run)
    for _ in range(4):
        run.step()


@pytest.mark.slow
@pytest.mark.parametrize("change", [*MOVES, through_torch, reloaded_from_torch])
def test_amsgrad_writes_nothing_else(change: Callable[[Run], None]) -> None:
    """A third tensor of state."""
    run = Run(torch.optim.Adam, {"lr": 0.1, "amsgrad": True}, L1(0.05))
    run.settle()
    change(run)
    for _ in range(4):
        run.step()
    assert all("max_exp_avg_sq" in run.one.state[w] for w in run.mine.values())


@pytest.mark.slow
@pytest.mark.parametrize("change", MOVES)
@pytest.mark.parametrize(
    ("kind", "options", "penalty"),
    [
        pytest.param(*KINDS[0].values, L1(0.05), id="SGD"),
        pytest.param(*KINDS[1].values, GroupLasso(0.05), id="Adam"),
    ],
)
def test_16_bits_write_nothing_else(
    kind: type[Optimizer], options: dict[str, Any], penalty: Penalty, change: Callable[[Run], None]
) -> None:
    """Weights and gradients take half the bytes of their state."""
    run = Run(kind, options, penalty, torch.bfloat16)
    run.settle()
    change(run)
    for _ in range(4):
        run.step()


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [WIDE, LARGE], ids=["wide", "large"])
@pytest.mark.parametrize(
    ("name", "penalty", "how", "dtype"),
    [
        ("Adam", L1(0.05), "proximal", torch.float32),
        ("Adam", GroupLasso(0.05), "proximal", torch.float32),
        ("Adam", GroupLasso(0.05, "in"), "proximal", torch.float32),
        ("Adam", GroupLasso(0.05, "in"), "coupled", torch.bfloat16),
        ("Adam", GroupLasso(0.05, "in"), "proximal", torch.bfloat16),
        ("SGD", L1(0.05), "proximal", torch.bfloat16),
        ("SGD", GroupLasso(0.05), "proximal", torch.float32),
        ("SGD", GroupLasso(0.05, "in"), "proximal", torch.float32),
    ],
    ids=str,
)
def test_pieces_larger_than_a_chunk_write_nothing_else(
    name: str, penalty: Penalty, how: str, dtype: torch.dtype, shapes: dict[str, tuple[int, ...]]
) -> None:
    kind, options = next(one.values for one in KINDS if one.id == name)
    if how == "coupled":  # groups of one entry, which are no columns, would compile another loop
        shapes = {key: shape for key, shape in shapes.items() if len(shape) > 1}
    run = Run(kind, options, penalty, dtype, shapes, how)
    run.settle()
    for batch in run.one._current_engine().batches:
        assert batch.table["size"][batch.pieces["parameter"]].max() > CHUNK
    moved(run)
    for _ in range(3):
        run.step()


def test_canaries_see_a_stray_write() -> None:
    arena = Arena()
    w = arena.put(torch.zeros(3))
    assert arena.is_whole()
    torch.as_strided(arena.bytes, (1,), (1,), w.storage_offset() * 4 + 12).fill_(0)
    assert not arena.is_whole()


OPTIMIZERS: list[Any] = [
    pytest.param(SGD, {"lr": 0.1}, id="SGD"),
    pytest.param(SGD, {"lr": 0.1, "momentum": 0.9}, id="SGD momentum"),
    pytest.param(Adam, {"lr": 0.1}, id="Adam"),
]


def plain_without_momentum(
    kind: type[Any], options: dict[str, Any]
) -> AbstractContextManager[None]:
    """SGD without momentum as plain Python, where no other test compiles that loop."""
    is_plain = kind is SGD and "momentum" not in options and not FULL
    return plain_loops() if is_plain else nullcontext()


@pytest.mark.quick_where(options=[{"lr": 0.1, "momentum": 0.9}])
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_aliased_parameters_are_stepped_one_after_the_other(
    kind: type[Any], options: dict[str, Any]
) -> None:
    """As torch does it; they become so when the table is filled already."""
    results = []
    for make in (kind, OPTIMIZERS_OF[kind]):
        shared = torch.linspace(-1.0, 1.0, 12)
        v, w = nn.Parameter(shared[:8].clone()), nn.Parameter(shared[4:].clone())
        optimizer = make([v, w], **options)
        for step in range(6):
            if step == 3:
                v.data, w.data = shared[:8], shared[4:]
            v.grad, w.grad = torch.full((8,), 0.5), torch.linspace(0.0, 1.0, 8)
            with plain_without_momentum(kind, options):
                optimizer.step()
        results.append(shared)
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)
    assert not torch.equal(results[0], torch.linspace(-1.0, 1.0, 12))


OPTIMIZERS_OF = {ours: kind for kind, ours in twins.OURS.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_a_resized_parameter_has_groups_of_its_new_shape(
    kind: type[Any], options: dict[str, Any]
) -> None:
    w = nn.Parameter(torch.ones(4, 6))
    optimizer = kind([w], **options, penalty=GroupLasso(0.5))
    with plain_without_momentum(kind, options):
        w.grad = torch.zeros(4, 6)
        optimizer.step()
        w.data, w.grad = torch.arange(24.0).view(6, 4), torch.zeros(6, 4)
        optimizer.state.clear()
        optimizer.step()
        fresh = nn.Parameter(torch.arange(24.0).view(6, 4))
        fresh.grad = torch.zeros(6, 4)
        kind([fresh], **options, penalty=GroupLasso(0.5)).step()
    assert torch.equal(w, fresh)
    assert (w.flatten()[1:] < torch.arange(1.0, 24.0)).all()


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS[1:])
def test_state_of_another_shape_is_an_error_as_in_torch(
    kind: type[Any], options: dict[str, Any]
) -> None:
    w = nn.Parameter(torch.ones(4))
    optimizer = kind([w], **options, penalty=L1(0.1))
    w.grad = torch.zeros(4)
    optimizer.step()
    w.data, w.grad = torch.ones(5), torch.zeros(5)
    with pytest.raises(RuntimeError, match="size of tensor"):
        optimizer.step()


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_memory_that_was_given_back_is_not_written(
    kind: type[Any], options: dict[str, Any]
) -> None:
    """FSDP cuts storages to nothing between its uses; the tensor still has its shape."""
    v, w = nn.Parameter(torch.ones(8)), nn.Parameter(torch.ones(8))
    optimizer = kind([v, w], **options, penalty=L1(0.1))
    for _ in range(2):
        v.grad, w.grad = torch.ones(8), torch.ones(8)
        optimizer.step()
    w.data.untyped_storage().resize_(16)
    v.grad, w.grad = torch.ones(8), torch.ones(8)
    before = v.detach().clone()
    with pytest.raises(RuntimeError, match="less memory than its shape says"):
        optimizer.step()
    assert torch.equal(v, before)
    v.grad, w.grad = torch.ones(8), None
    optimizer.step()
    assert (v < before).all()
    w.data.untyped_storage().resize_(0)  # nothing at all, and nothing to do
    before = v.detach().clone()
    optimizer.step()
    assert (v < before).all()
    w.data.untyped_storage().resize_(32)
    w.data.copy_(v)
    optimizer.state[w] = deepcopy(optimizer.state[v])
    v.grad, w.grad = torch.ones(8), torch.ones(8)
    optimizer.step()
    assert twins.served(optimizer) == 2
    assert torch.equal(v, w)


@pytest.mark.parametrize("penalty", [L1(0.1), NuclearNorm(0.1)], ids=["loops", "torch operations"])
@pytest.mark.parametrize("what", ["gradient", "momentum_buffer"])
def test_a_gradient_or_state_without_memory_is_refused(what: str, penalty: Penalty) -> None:
    w = nn.Parameter(torch.ones(3, 3))
    optimizer = SGD([w], lr=0.1, momentum=0.9, penalty=penalty)
    for _ in range(2):
        w.grad = torch.ones(3, 3)
        optimizer.step()
    w.grad = torch.ones(3, 3)
    tensor = w.grad if what == "gradient" else optimizer.state[w][what]
    kept, before = tensor.clone(), w.detach().clone()
    tensor.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match=rf"{what}.* less memory than its shape says"):
        optimizer.step()
    assert torch.equal(w, before)
    tensor.untyped_storage().resize_(36)
    tensor.copy_(kept)
    optimizer.step()
    assert (w < before).all()


@pytest.mark.parametrize(
    "where", [(launch, "compile_loop"), (batch_module, "compile_counts"), (threads, "run")]
)
def test_a_first_step_that_is_interrupted_leaves_no_state_behind(
    where: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's buffer begins with the gradient itself, without dampening."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    options = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    mine, other = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
    ours, theirs = SGD([mine], **options), torch.optim.SGD([other], **options)
    mine.grad = other.grad = torch.arange(4.0)
    with monkeypatch.context() as patched:
        patched.setattr(*where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            ours.step()
    assert not any(ours.state_dict()["state"].values())
    for _ in range(3):
        ours.step()
        theirs.step()
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.bfloat16])
def test_a_count_of_another_type_is_not_written_in_memory(dtype: torch.dtype) -> None:
    arena = Arena()
    w = nn.Parameter(torch.ones(3))
    optimizer = Adam([w], penalty=L1(0.1))
    for _ in range(3):
        w.grad = torch.ones(3)
        optimizer.step()
        optimizer.state[w]["step"] = arena.put(optimizer.state[w]["step"].to(dtype))
    assert arena.is_whole()
    assert optimizer.state[w]["step"] == 3
    assert optimizer.state[w]["step"].dtype is dtype


def test_a_complex_count_is_an_error_as_in_torch_and_writes_nothing_else() -> None:
    weights = []
    for kind in (Adam, torch.optim.Adam):
        arena = Arena()
        w = nn.Parameter(arena.put(torch.ones(3)))
        optimizer = kind([w])
        for _ in range(2):
            w.grad = arena.put(torch.ones(3))
            optimizer.step()
            state = optimizer.state[w]
            state.update({key: arena.put(value) for key, value in state.items()})
        state["step"] = arena.put(state["step"].to(torch.complex64))
        w.grad = arena.put(torch.ones(3))
        with pytest.raises(RuntimeError, match="ComplexFloat can't be cast"):
            optimizer.step()
        assert arena.is_whole()
        assert state["step"] == 3
        weights.append(w.detach())
    assert torch.equal(*weights)


def test_a_parameter_in_the_place_of_another_is_stepped() -> None:
    old, new = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = SGD([old], lr=0.1, penalty=L1(0.1))
    old.grad, new.grad = torch.ones(3), torch.ones(3)
    optimizer.step()
    optimizer.param_groups[0]["params"][0] = new
    before = old.detach().clone()
    optimizer.step()
    assert torch.equal(old, before)
    assert (new < 1).all()


@pytest.mark.parametrize("way", [{}, {"foreach": True}, {"fused": True}], ids=str)
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_gaps_within_a_parameter_are_not_written(
    kind: type[Any], options: dict[str, Any], way: dict[str, bool]
) -> None:
    """torch's own fused step on a CPU writes into them."""
    wide = torch.full((6, 10), 9.0)
    w = nn.Parameter(wide[:, ::2])
    optimizer = kind([w], **options, **way, penalty=L1(0.1))
    for _ in range(3):
        w.grad = torch.ones(6, 5)
        optimizer.step()
    assert (wide[:, 1::2] == 9.0).all()
    assert (w < 9.0).all()
