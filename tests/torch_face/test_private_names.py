"""What importing the Regularizer loads; without torch's private names no number changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from shrinkage.torch import private

STEPS = """
import json
import torch
from shrinkage import GroupLasso, L1, L2
from shrinkage.torch import Adam, Regularizer

def run(how, penalty, **options):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(200, 100), torch.nn.ReLU(), torch.nn.Linear(100, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    regularizer = Regularizer(model, penalty)
    attachment = regularizer.attach(optimizer, how, **options)
    x = torch.randn(8, 200)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    attachment.detach()
    loss = regularizer.penalty()
    loss.backward()
    gradient = model[0].weight.grad.abs().sum()
    return regularizer.value(), loss.item(), gradient.item(), regularizer.sparsity().zeros

def run_inside(**options):
    w = torch.nn.Parameter(torch.linspace(-1.0, 1.0, 50))
    optimizer = Adam([w], lr=0.1, penalty=L1(0.1), **options)
    for _ in range(3):
        w.grad = w.detach() ** 3
        optimizer.step()
    return w.tolist()

results = [
    run_inside(max_norm=1.0),
    run("coupled", L1(1e-3) + L2(1e-2)),
    run("decoupled", L1(1e-3)),
    run("proximal", L1(1e-2), max_norm=1.0),
    run("proximal", GroupLasso(1e-2)),
]
"""
HIDE = """
import torch
import torch.optim
import torch._compile
del torch._compile._disable_dynamo
del torch._C._functorch.peek_interpreter_stack
del torch._C._autograd._profiler_enabled
del torch._C._dynamo.guards.TensorGuards
from shrinkage.kernels import private as numba_private
from shrinkage.torch import private
hidden = (
    numba_private.loop_compilers() is None
    and numba_private.kept_compiler() is None
    and private.skip_compiling is torch.compiler.disable
    and private.is_inside_transform()
    and private.is_watched(torch.optim.SGD([torch.ones(1, requires_grad=True)]))
    and private.TensorGuards is None
)
"""


def in_fresh_process(code: str) -> object:
    """What the code prints as JSON."""
    arguments = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOADED = """
import json, sys
def loaded():
    roots = "numba", "llvmlite", "shrinkage.kernels", "shrinkage.torch.fused"
    return [root for root in roots if root in sys.modules]
"""


def test_penalties_load_no_torch_and_the_regularizer_neither_numba_nor_the_engine() -> None:
    code = """
import shrinkage
found = [loaded(), "torch" in sys.modules]
from shrinkage.torch import Regularizer, audit
print(json.dumps([*found, loaded()]))
"""
    assert in_fresh_process(LOADED + code) == [[], False, []]


@pytest.mark.slow
def test_nor_do_its_steps_before_a_prox_is_taken() -> None:
    code = """
import torch
from shrinkage import L1, NuclearNorm
from shrinkage.torch import Regularizer, audit

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
found = [loaded()]
for how in ("coupled", "decoupled", "proximal"):
    # That no loop steps is found out by the engine, and nothing is compiled.
    penalty = NuclearNorm(0.1) if how == "proximal" else L1(0.1)
    with Regularizer(model, penalty).attach(optimizer, how) as attachment:
        found.append(loaded())
        model(torch.ones(4)).sum().backward()
        optimizer.step()
        attachment.bound.value()
        audit(model, optimizer), repr(attachment)
    found.append(loaded())
from shrinkage.kernels import launch, step_counts
compilers = launch.compile_loop, step_counts.compile_counts
print(json.dumps([*found, [compiler.cache_info().currsize for compiler in compilers]]))
"""
    *before, after, compiled = in_fresh_process(LOADED + code)  # type: ignore[misc]
    assert compiled == [0, 0]
    assert before == [[]] * 6
    assert after == ["numba", "llvmlite", "shrinkage.kernels", "shrinkage.torch.fused"]


@pytest.mark.slow
def test_without_private_names_of_torch_and_numba_all_numbers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names: dict[str, Any] = {}
    exec(STEPS, names)
    usual = names["results"]
    monkeypatch.setenv("SHRINKAGE_PUBLIC_ONLY", "1")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))  # nothing that was compiled before
    hidden, without = in_fresh_process(  # type: ignore[misc]
        HIDE + STEPS + "print(json.dumps([hidden, results]))"
    )
    assert hidden
    assert len(usual) == 5
    for one, other in zip(usual, without, strict=True):
        assert all(abs(a - b) <= 1e-5 * abs(a) for a, b in zip(one, other, strict=True))


class Public:
    """A module with its public methods alone."""

    def __init__(self, module: nn.Module) -> None:
        self.named_parameters, self.named_children = module.named_parameters, module.named_children


def test_members_of_a_module_by_its_public_methods() -> None:
    module = nn.TransformerEncoderLayer(4, 2, 8)
    module.own = nn.Parameter(torch.ones(2))
    public: Any = Public(module)
    assert private.own_parameters(public) == private.own_parameters(module) == {"own": module.own}
    children = private.own_children(module)
    assert len(children) > 5
    assert private.own_children(public) == children
    for values, expected in zip(
        private.member_values(public), private.member_values(module), strict=True
    ):
        assert list(map(id, values())) == list(map(id, expected()))


@pytest.mark.parametrize("hooks", [{3: print, 4: print}, {1: print, 3: print}, {1: print}])
def test_hooks_of_others_are_told_from_ours_by_more_than_their_number(
    hooks: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody has emptied torch's list of hooks on all optimizers."""
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)])
    monkeypatch.setattr(private, "quiet_hooks", {1: print, 2: print})
    monkeypatch.setattr(private, "_global_optimizer_pre_hooks", {1: print, 2: print})
    assert not private.is_watched(optimizer)
    monkeypatch.setattr(private, "_global_optimizer_pre_hooks", hooks)
    assert private.is_watched(optimizer)
