"""What one check of all tensors together must see: each change, after steps without one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fused_twins import torch_operations
from shrinkage import L1
from shrinkage.torch import SGD, Adam, private
from shrinkage.torch.fused.guards import MemoryGuard

Change = Callable[[list[nn.Parameter], Any], None]


def weights_elsewhere(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].data = w[1].data.clone()


def weights_swapped(w: list[nn.Parameter], optimizer: Any) -> None:
    w[0].data, w[1].data = w[1].data, w[0].data


def weights_shared(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].data = w[0].data


def weights_turned(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].data = w[1].data.t().contiguous().t()


def weights_in_double(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].data = w[1].data.double()


def state_cleared(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.state.clear()


def state_of_one_gone(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.state.pop(w[1])


def state_in_another_dictionary(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.state[w[1]] = {key: 0.5 * value for key, value in optimizer.state[w[1]].items()}


def state_replaced(w: list[nn.Parameter], optimizer: Any) -> None:
    for key, value in list(optimizer.state[w[1]].items()):
        optimizer.state[w[1]][key] = 0.5 * value


def state_exchanged(w: list[nn.Parameter], optimizer: Any) -> None:
    first, second = optimizer.state.pop(w[0]), optimizer.state.pop(w[1])
    optimizer.state[w[0]], optimizer.state[w[1]] = second, first


def gradient_gone(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].grad = None


def gradient_turned(w: list[nn.Parameter], optimizer: Any) -> None:
    assert w[1].grad is not None
    w[1].grad = w[1].grad.t().contiguous().t()


def gradient_of_another(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].grad = w[0].grad


def gradient_expanded(w: list[nn.Parameter], optimizer: Any) -> None:
    assert w[1].grad is not None
    w[1].grad = w[1].grad[0].expand(4, 3)


def gradient_negated_by_a_bit(w: list[nn.Parameter], optimizer: Any) -> None:
    assert w[1].grad is not None
    w[1].grad = torch.complex(torch.zeros(4, 3), w[1].grad).conj().imag


def frozen(w: list[nn.Parameter], optimizer: Any) -> None:
    w[1].requires_grad_(False)
    w[1].grad = None


def nothing(w: list[nn.Parameter], optimizer: Any) -> None:
    pass


SEEN = [
    weights_elsewhere,
    weights_swapped,
    weights_shared,
    weights_turned,
    weights_in_double,
    state_cleared,
    state_of_one_gone,
    state_in_another_dictionary,
    state_replaced,
    state_exchanged,
    gradient_gone,
    gradient_turned,
    gradient_of_another,
    gradient_expanded,
    gradient_negated_by_a_bit,
    frozen,
]
KINDS: list[Any] = [
    pytest.param(SGD, {"lr": 0.1, "momentum": 0.9}, id="SGD"),
    pytest.param(Adam, {"lr": 0.1}, id="Adam"),
]


def trained(
    kind: type[Optimizer], options: dict[str, Any], change: Change, answers: list[bool]
) -> list[Tensor]:
    """Weights after four quiet steps and two with the change; forgets the quiet steps' answers."""
    torch.manual_seed(0)
    w = [nn.Parameter(torch.randn(4, 3)) for _ in range(3)]
    optimizer: Any = kind(w, **options, penalty=L1(0.05))
    for step in range(6):
        for one in w:
            one.grad = torch.randn(4, 3).to(one.dtype)
        if step == 4:
            assert answers[-2:] in ([True, True], [])
            answers.clear()
            change(w, optimizer)
            for one in w:
                if one.grad is not None and one.grad.dtype != one.dtype:
                    one.grad = one.grad.to(one.dtype)
        optimizer.step()
    return [one.detach().double() for one in w]


@pytest.mark.slow
@pytest.mark.parametrize("change", [*SEEN, nothing])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_every_change_is_seen(
    kind: type[Optimizer],
    options: dict[str, Any],
    change: Change,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[bool] = []
    looks = MemoryGuard.holds

    def holds(self: MemoryGuard, *arguments: Any) -> bool:
        answers.append(looks(self, *arguments))
        return answers[-1]

    monkeypatch.setattr(MemoryGuard, "holds", holds)
    results = []
    for way in (nullcontext, torch_operations):
        answers.clear()
        with way():
            results.append(trained(kind, options, change, answers))
        if way is nullcontext:
            assert answers[0] == (change is nothing)
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", [*SEEN, nothing])
def test_without_torchs_guards_every_change_is_seen_too(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "TensorGuards", None)
    with_loops = trained(SGD, {"lr": 0.1, "momentum": 0.9}, change, [])
    with torch_operations():
        by_torch = trained(SGD, {"lr": 0.1, "momentum": 0.9}, change, [])
    for w, other in zip(with_loops, by_torch, strict=True):
        torch.testing.assert_close(w, other, rtol=1e-5, atol=1e-6)


def test_a_gradient_that_lies_elsewhere_in_its_storage_or_has_less_of_it_is_seen() -> None:
    w, gradient = torch.zeros(4, 3), torch.ones(4, 3)
    guard = MemoryGuard({}, [w], [gradient], [[]])
    assert guard.holds({}, [gradient.clone()])
    padded = torch.ones(17)
    assert not guard.holds({}, [padded[:12].view(4, 3)])
    assert not MemoryGuard({}, [w], [padded[5:].view(4, 3)], [[]]).holds(
        {}, [padded[:12].view(4, 3)]
    )
    cut = gradient.clone()
    cut.untyped_storage().resize_(8)
    assert not guard.holds({}, [cut])


def penalty_replaced(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["penalty"] = L1(0.2)


def penalty_gone(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["penalty"] = None


def coupled(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["how"] = "coupled"


def coupled_and_back_between_two_steps(w: list[nn.Parameter], optimizer: Any) -> None:
    group = optimizer.param_groups[0]
    before, group["how"] = group["how"], "coupled"
    optimizer.statistics()  # which also reads the options
    group["how"] = before


def other_momentum(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["momentum"] = 0.5


def no_momentum(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["momentum"] = 0.0


def lr_in_place(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["lr"].mul_(0.5)


def maximize(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["maximize"] = True


def parameter_exchanged(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0]["params"][1] = nn.Parameter(torch.ones(4, 3))


def parameter_removed(w: list[nn.Parameter], optimizer: Any) -> None:
    del optimizer.param_groups[0]["params"][1]


def group_added(w: list[nn.Parameter], optimizer: Any) -> None:
    second = optimizer.param_groups[0]["params"].pop()
    optimizer.add_param_group({"params": [second], "penalty": None})


def differentiable(w: list[nn.Parameter], optimizer: Any) -> None:
    optimizer.param_groups[0].update(differentiable=True, how="coupled")


OPTIONS_REPLACED = [
    penalty_replaced,
    penalty_gone,
    coupled,
    other_momentum,
    no_momentum,
    lr_in_place,
    maximize,
    parameter_exchanged,
    parameter_removed,
    group_added,
    differentiable,
]


def trained_with_options(change: Change, *, reads_all: bool) -> Tensor:
    """Weights after four steps and two with other options; `reads_all`: in every step."""
    torch.manual_seed(0)
    w = [nn.Parameter(torch.randn(4, 3)) for _ in range(3)]
    lr = torch.tensor(0.1)
    optimizer = SGD(w, lr=lr, momentum=0.9, penalty=L1(0.05))
    for step in range(6):
        for one in w:
            one.grad = torch.randn(4, 3)
        if step == 4:
            change(w, optimizer)
        if reads_all:
            assert SGD._checked == ()  # the name of what is forgotten
            optimizer._checked = ()
        optimizer.step()
    return torch.stack(w).detach()


@pytest.mark.slow
def test_every_option_that_is_replaced_is_seen() -> None:
    before = trained_with_options(nothing, reads_all=False)
    for change in [*OPTIONS_REPLACED, coupled_and_back_between_two_steps]:
        after = trained_with_options(change, reads_all=False)
        assert torch.equal(after, trained_with_options(change, reads_all=True)), change.__name__
        assert torch.equal(after, before) == (change not in OPTIONS_REPLACED), change.__name__


def test_options_that_a_prox_refuses_are_refused_between_steps_too() -> None:
    w = nn.Parameter(torch.ones(3))
    optimizer = SGD([w], lr=0.1, momentum=0.9, penalty=L1(0.05))
    for momentum in (0.9, 1.0, 0.9, 1.0):
        w.grad = torch.ones(3)
        optimizer.param_groups[0]["momentum"] = momentum
        with nullcontext() if momentum < 1.0 else pytest.raises(ValueError, match="must be < 1"):
            optimizer.step()
