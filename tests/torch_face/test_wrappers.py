"""Names inside wrappers, and penalties over models that several processes share."""

import subprocess
import sys
import textwrap
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from fused_twins import BY_TORCH
from shrinkage import L1, GroupLasso
from shrinkage.torch import Regularizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


compiled = partial(torch.compile, backend="aot_eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled, AveragedModel, nn.Sequential])
def test_names_are_those_inside(wrap: type[nn.Module]) -> None:
    inner = network()
    wrapped = wrap(inner)
    regularizer = Regularizer(wrapped, {"0.*" if wrap is not nn.Sequential else "0.0.*": L1(0.1)})
    prefix = "0." if wrap is nn.Sequential else ""  # an ordinary container is no wrapper
    assert [name for name, _ in regularizer.named_parameters()] == [f"{prefix}0.weight"]
    assert f"Regularizer of {type(wrapped).__name__}" in repr(regularizer)


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled])
def test_parameters_may_be_given_under_either_name(wrap: type[nn.Module]) -> None:
    wrapped = wrap(network())
    regularizer = Regularizer(wrapped, L1(1.0))
    zeros = {name: torch.zeros_like(p) for name, p in wrapped.named_parameters()}
    assert regularizer.penalty(zeros).item() == 0.0
    inside = {name: torch.zeros_like(p) for name, p in network().named_parameters()}
    assert regularizer.penalty(inside).item() == 0.0


DISTRIBUTED = """
import sys, warnings
from functools import partial
import torch, torch.distributed as dist
from torch import nn
import shrinkage.torch
from shrinkage import L1, L2, GroupLasso
from shrinkage.torch import Regularizer
rank, world, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=world)

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()

def whole(p):
    return p.full_tensor().detach() if hasattr(p, "full_tensor") else p.detach()

def run(model, penalty, how, make, inside=False):
    regularizer = Regularizer(model, penalty)
    assert [name for name, _ in regularizer.named_parameters()] == ["0.weight", "2.weight"]
    if inside:
        optimizer = INSIDE[make](model.parameters(), penalty=regularizer, how=how)
    else:
        optimizer = make(model.parameters())
        if how != "loss":
            regularizer.attach(optimizer, how=how)
    x = torch.arange(20.0).view(5, 4).double() / 20
    for _ in range(4):
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        if how == "loss":
            loss = loss + regularizer.penalty()
        loss.backward()
        optimizer.step()
    value, zeros = regularizer.value(), regularizer.sparsity().zeros
    if rank == 0:  # a table needs no other process
        assert "2.weight" in repr(regularizer)
    return [whole(p) for p in model.parameters()], value, zeros

def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)

def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.05)

INSIDE = {sgd: partial(shrinkage.torch.SGD, lr=0.1, momentum=0.9),
          adam: partial(shrinkage.torch.Adam, lr=0.05)}

def same(wrap, penalty, how, make, inside=False):
    expected, value, zeros = run(network(), penalty, how, make)
    got, other_value, other_zeros = run(wrap(network()), penalty, how, make, inside)
    for a, b in zip(expected, got, strict=True):
        assert torch.allclose(a, b, atol=1e-10, rtol=0), (wrap, penalty, how, make)
    assert abs(value - other_value) < 1e-10, (value, other_value)
    assert zeros == other_zeros, (wrap, penalty, how, make, zeros, other_zeros)
    return zeros
"""

DDP = """
from torch.nn.parallel import DistributedDataParallel
zeros = 0
for how in ("loss", "coupled", "decoupled", "proximal"):
    for penalty in (L1(0.05), L1(0.02) + GroupLasso(0.05)):
        zeros += same(DistributedDataParallel, penalty, how, sgd)
assert zeros > 0
"""

FSDP = """
from torch.distributed.fsdp import fully_shard

def shard(model):
    for layer in (model[0], model[2]):
        fully_shard(layer)
    return fully_shard(model)

zeros = 0
for how in ("coupled", "decoupled", "proximal"):
    for make in (sgd, adam):
        for penalty in (L1(0.05), L2(0.1), L1(0.02) + L2(0.1), GroupLasso(0.05),
                        L1(0.02) + GroupLasso(0.05, "in")):
            zeros += same(shard, penalty, how, make)
            same(shard, penalty, how, make, inside=True)
for penalty in (L1(0.05), L2(0.1), GroupLasso(0.05)):
    same(shard, penalty, "loss", sgd)
assert zeros > 0
"""


def run_in_processes(script: str, world: int, store: str) -> None:
    source = textwrap.dedent(BY_TORCH + DISTRIBUTED + script) + "\ndist.destroy_process_group()\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", source, str(rank), str(world), store],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=1800)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stderr.close()


@pytest.mark.slow
def test_two_processes_give_the_same_weights_as_one(tmp_path: object) -> None:
    run_in_processes(DDP + FSDP, 2, f"{tmp_path}/store")


@pytest.mark.slow
def test_a_compiled_model_trains_under_an_attached_penalty() -> None:
    plain, inner = network(), network()
    wrapped = compiled(inner)
    x = torch.arange(20.0).view(5, 4) / 20
    for model, called in ((plain, plain), (inner, wrapped)):
        optimizer = torch.optim.Adam(called.parameters(), lr=0.05)
        Regularizer(called, L1(0.01) + GroupLasso(0.02)).attach(optimizer, how="proximal")
        for _ in range(10):
            optimizer.zero_grad()
            (called(x) - 1).square().mean().backward()
            optimizer.step()
        assert (model[0].weight == 0).any()
    for one, other in zip(plain.parameters(), inner.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


CLIPPED = """
from torch.distributed.fsdp import fully_shard

def shard(model):
    for layer in (model[0], model[2]):
        fully_shard(layer)
    return fully_shard(model)

def run(model, how, way):
    regularizer = Regularizer(model, L1(0.05))
    if way == "inside":
        optimizer = shrinkage.torch.Adam(
            model.parameters(), lr=0.05, penalty=regularizer, how=how, max_norm=0.05)
    else:
        optimizer = sgd(model.parameters()) if way == "method" else adam(model.parameters())
        regularizer.attach(optimizer, how=how, max_norm=0.05 if way == "option" else None)
    x = torch.arange(20.0).view(5, 4).double() / 20
    norms = []
    for _ in range(7):
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        if way == "method":
            norms.append(whole(regularizer.clip_grad_norm_(model.parameters(), 0.05)))
        optimizer.step()
    return [*norms, *[whole(p) for p in model.parameters()]]

for how in ("coupled", "proximal"):
    for way in ("method", "option", "inside"):
        for a, b in zip(run(network(), how, way), run(shard(network()), how, way), strict=True):
            assert torch.allclose(a, b, atol=1e-10, rtol=0), (how, way, a, b)
"""


@pytest.mark.slow
def test_shards_are_clipped_to_the_norm_of_the_whole(tmp_path: object) -> None:
    run_in_processes(CLIPPED, 2, f"{tmp_path}/store")
