"""Names inside wrappers, and penalties over models that several processes share."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

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


@pytest.mark.slow
def test_two_processes_give_the_same_weights_as_one(tmp_path: Path) -> None:
    """With whole models, shards, clipped shards, a target over all shards: `two_processes.py`."""
    script = Path(__file__).with_name("two_processes.py")
    run = [sys.executable, script, tmp_path / "store"]
    done = subprocess.run(run, stderr=subprocess.PIPE, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr


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
