"""One-pass optimizers under hooks and a profiler, and with tensors that move between steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile

from shrinkage import L1
from shrinkage.torch import SGD, Adam, Regularizer

KINDS = {"SGD": (SGD, {"lr": 0.1, "momentum": 0.9}), "Adam": (Adam, {"lr": 0.1})}
STATE = {"SGD": "momentum_buffer", "Adam": "exp_avg_sq"}


def weight() -> nn.Parameter:
    torch.manual_seed(0)
    return nn.Parameter(torch.randn(4, 4, dtype=torch.float64))


def pulled(w: Tensor, seed: int) -> None:
    """A gradient that depends on the step alone."""
    generator = torch.Generator().manual_seed(seed)
    w.grad = torch.randn(w.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", KINDS)
def test_hooks_run_once_a_step_and_may_change_the_gradient(name: str) -> None:
    kind, options = KINDS[name]
    w, seen = weight(), []
    optimizer = kind([w], **options, penalty=L1(0.1))
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    handle = register_optimizer_step_post_hook(lambda *_: seen.append("everywhere"))
    try:
        pulled(w, 0)
        optimizer.step()
    finally:
        handle.remove()
    assert seen == ["before", "after", "everywhere"]


@pytest.mark.parametrize("name", KINDS)
def test_a_profiler_names_the_step(name: str) -> None:
    kind, options = KINDS[name]
    w = weight()
    optimizer = kind([w], **options, penalty=L1(0.1))
    pulled(w, 0)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        optimizer.step()
    assert f"Optimizer.step#{name}.step" in {event.key for event in found.key_averages()}


def moved_weight(w: nn.Parameter, state: dict[str, Tensor], key: str) -> None:
    w.data = w.data.clone()


def turned_weight(w: nn.Parameter, state: dict[str, Tensor], key: str) -> None:
    w.data = w.data.t()  # the same memory in another order


def moved_state(w: nn.Parameter, state: dict[str, Tensor], key: str) -> None:
    state[key].data = state[key].data.clone()


def other_state(w: nn.Parameter, state: dict[str, Tensor], key: str) -> None:
    state[key] = torch.full_like(state[key], 0.5)


def no_state(w: nn.Parameter, state: dict[str, Tensor], key: str) -> None:
    state.clear()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "change", [moved_weight, turned_weight, moved_state, other_state, no_state]
)
def test_what_moves_between_steps_is_found_again(name, change) -> None:
    """As torch's optimizer with the same penalty attached, whose tensors change alike."""
    kind, options = KINDS[name]
    ours, theirs = weight(), weight()
    inside = kind([ours], **options, penalty=L1(0.1))
    outside = getattr(torch.optim, name)([theirs], **options)
    Regularizer(nn.ParameterList([theirs]), L1(0.1), on="all").attach(outside, how="proximal")
    for step in range(6):
        if step == 3:
            change(ours, inside.state[ours], STATE[name])
            change(theirs, outside.state[theirs], STATE[name])
        for w, optimizer in ((ours, inside), (theirs, outside)):
            pulled(w, step)
            optimizer.step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)
