"""What one of several processes trains and holds against a training in one process.

    python tests/torch_face/two_processes.py STORE

The processes are forks of this one, which has imported what they need. They train by torch
operations: no loop is for shards, and none is compiled for what stands beside them.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

import shrinkage.torch
from shrinkage import L0, L1, L2, GroupL0, GroupLasso, Penalty
from shrinkage.torch import Regularizer
from shrinkage.torch.fused import engine

PROCESSES, STEPS = 2, 3
Make = Callable[[Any], Optimizer]
find_obstacle = engine.find_obstacle


def leave_to_torch(rule: Any, states: Any, entry: Any) -> str:
    found = find_obstacle(rule, states, entry)
    assert found or not hasattr(entry.parameter, "full_tensor")
    return found or "nothing is compiled in this test"


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()


def shard(model: nn.Sequential) -> nn.Module:
    for layer in (model[0], model[2]):
        fully_shard(layer)
    return fully_shard(model)


def whole(p: Tensor) -> Tensor:
    return p.full_tensor().detach() if hasattr(p, "full_tensor") else p.detach()


def backward(model: nn.Module, penalty: Any = 0.0) -> None:
    x = torch.arange(20.0).view(5, 4).double() / 20
    ((model(x) - 1).square().mean() + penalty).backward()


def sgd(parameters: Any) -> Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def adam(parameters: Any) -> Optimizer:
    return torch.optim.Adam(parameters, lr=0.05)


INSIDE: dict[Make, Callable[..., Optimizer]] = {
    sgd: partial(shrinkage.torch.SGD, lr=0.1, momentum=0.9),
    adam: partial(shrinkage.torch.Adam, lr=0.05),
}


def train(
    model: nn.Module, penalty: Penalty, how: str, make: Make, *, inside: bool = False
) -> tuple[list[Tensor], float, int]:
    """The weights after some steps, the penalty's value there, and how many are zero."""
    regularizer = Regularizer(model, penalty)
    assert [name for name, _ in regularizer.named_parameters()] == ["0.weight", "2.weight"]
    if inside:
        optimizer = INSIDE[make](model.parameters(), penalty=regularizer, how=how)
    else:
        optimizer = make(model.parameters())
        if how != "loss":
            regularizer.attach(optimizer, how=how)
    for _ in range(STEPS):
        optimizer.zero_grad()
        backward(model, regularizer.penalty() if how == "loss" else 0.0)
        optimizer.step()
    value, zeros = regularizer.value(), regularizer.sparsity().zeros
    if dist.get_rank() == 0:  # a table needs no other process
        assert "2.weight" in repr(regularizer)
    return [whole(p) for p in model.parameters()], value, zeros


@cache
def train_in_one(penalty: Penalty, how: str, make: Make) -> tuple[list[Tensor], float, int]:
    return train(network(), penalty, how, make)


def check_same(wrap: Any, penalty: Penalty, how: str, make: Make, *, inside: bool = False) -> int:
    """The two trainings give the same; how many zeros there are."""
    case = wrap, penalty, how, make, inside
    expected, value, zeros = train_in_one(penalty, how, make)
    got, other_value, other_zeros = train(wrap(network()), penalty, how, make, inside=inside)
    for a, b in zip(expected, got, strict=True):
        assert torch.allclose(a, b, atol=1e-10, rtol=0), case
    assert abs(value - other_value) < 1e-10, (case, value, other_value)
    assert zeros == other_zeros, (case, zeros, other_zeros)
    return zeros


SUM = L1(0.02) + GroupLasso(0.05, "in")
# Where the step counts, each kind of penalty under one step for all entries and under one for each;
# a gradient is the same under any optimizer.
WAYS: list[tuple[str, Make, list[Penalty]]] = [
    ("proximal", sgd, [L1(0.02) + L2(0.1), GroupLasso(0.05), SUM]),
    ("proximal", adam, [L1(0.05), L2(0.1), GroupLasso(0.05), SUM]),
    ("coupled", sgd, [SUM]),
    ("coupled", adam, [L1(0.02) + L2(0.1)]),
    ("decoupled", sgd, [L1(0.02) + L2(0.1)]),
    ("decoupled", adam, [SUM]),
]


def check_whole_models() -> None:
    """Each process has the model, and a share of the samples."""
    ways = ("loss", "coupled", "decoupled", "proximal")
    assert sum(check_same(DistributedDataParallel, SUM, how, sgd) for how in ways) > 0


def check_shards() -> None:
    """Each process has a part of each weight."""
    zeros = check_same(shard, L1(0.05) + L2(0.1) + GroupLasso(0.05), "loss", sgd)
    for how, make, penalties in WAYS:
        for penalty in penalties:
            zeros += check_same(shard, penalty, how, make)
        check_same(shard, penalties[-1], how, make, inside=True)  # by the same functions
    assert zeros > 0


def train_clipped(model: nn.Module, how: str, way: str) -> list[Tensor]:
    """The norms of the gradients and the weights after some steps."""
    regularizer = Regularizer(model, L1(0.05))
    if way == "inside":
        optimizer: Optimizer = shrinkage.torch.Adam(
            model.parameters(), lr=0.05, penalty=regularizer, how=how, max_norm=0.05
        )
    else:
        optimizer = sgd(model.parameters()) if way == "method" else adam(model.parameters())
        regularizer.attach(optimizer, how=how, max_norm=0.05 if way == "option" else None)
    norms = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        backward(model)
        if way == "method":
            norms.append(whole(regularizer.clip_grad_norm_(model.parameters(), 0.05)))
        optimizer.step()
    return [*norms, *[whole(p) for p in model.parameters()]]


def check_clipped_shards() -> None:
    """Shards are clipped to the norm of the whole."""
    for how in ("coupled", "proximal"):
        for way in ("method", "option", "inside"):
            one, other = (train_clipped(model, how, way) for model in (network(), shard(network())))
            for a, b in zip(one, other, strict=True):
                assert torch.allclose(a, b, atol=1e-10, rtol=0), (how, way, a, b)


def train_to_share(
    penalty: Penalty, *, sharded: bool, tie: bool
) -> tuple[list[Tensor], Any, float | None]:
    """The weights after a target's ramp, their zeros, and the strength that led there.

    Weights that are equal are still so at the end of a ramp of one step.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 21), nn.Tanh(), nn.Linear(21, 5)).double()
    if tie:
        for w in model.parameters():
            nn.init.constant_(w, 0.5)
    if sharded:
        fully_shard(model, mesh=dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    regularizer = Regularizer(model, penalty)
    steps = 1 if tie else 4
    regularizer.attach(optimizer, "proximal", target=0.6, target_start=1, target_steps=steps)
    x = torch.linspace(-1, 1, 48).view(8, 6).sin().double()
    for _ in range(steps + 3):
        optimizer.zero_grad()
        (model(x) - x[:, :5] ** 2).square().mean().backward()
        optimizer.step()
    weights = [whole(w) for w in model.parameters()]
    regularizer.release()
    return weights, regularizer.sparsity(), regularizer.factor


def check_target_over_shards() -> None:
    """A share of zeros is that of all shards; of equal weights any may be chosen."""
    for penalty in (L0(1.0), L1(0.01), GroupL0(1.0), GroupL0(1.0, "in")):
        for tie in (False, True):
            plain, zeros, factor = train_to_share(penalty, sharded=False, tie=tie)
            shards, sharded_zeros, sharded_factor = train_to_share(penalty, sharded=True, tie=tie)
            assert zeros == sharded_zeros or (tie and zeros.zeros == sharded_zeros.zeros), penalty
            if not tie:
                for a, b in zip(plain, shards, strict=True):
                    assert torch.allclose(a, b, atol=1e-9, rtol=0), penalty
                assert factor is not None
                assert sharded_factor is not None
                assert abs(factor - sharded_factor) <= 1e-6 * factor


def check_all(rank: int, store: str) -> None:
    engine.find_obstacle = leave_to_torch
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=PROCESSES)
    check_whole_models()
    check_shards()
    check_clipped_shards()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        check_target_over_shards()
    dist.destroy_process_group()


def check_all_in_forks(store: str) -> list[int]:
    """The exit codes of the processes."""
    torch.set_num_threads(1)
    importlib.import_module("torch._dynamo")  # a torch optimizer imports it
    forks = []
    for rank in range(PROCESSES):
        forks.append(os.fork())
        if not forks[-1]:
            check_all(rank, store)
            os._exit(0)  # what both have imported is cleared away once, by the process they share
    return [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]


if __name__ == "__main__":
    codes = check_all_in_forks(sys.argv[1])
    assert codes == [0] * PROCESSES, codes
