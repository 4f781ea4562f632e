"""Zeros of a model in its running averages."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shrinkage import L1
from shrinkage.torch import Regularizer


class Ema(nn.Module):
    """An average as other libraries wrap it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)


def trained(averaged: Callable[[nn.Module], Any]) -> tuple[Regularizer, nn.Module, Any]:
    """A Lasso without noise, whose average over all steps has no zeros."""
    torch.manual_seed(0)
    model = nn.Linear(6, 1)
    average = averaged(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(0.3))
    inputs = torch.randn(40, 6)
    targets = 2.0 * inputs[:, :1] + 1.0
    with regularizer.attach(optimizer, how="proximal"):
        for _ in range(100):
            optimizer.zero_grad()
            ((model(inputs) - targets) ** 2).mean().backward()
            optimizer.step()
            for mine, other in zip(model.parameters(), average.parameters(), strict=True):
                other.data.lerp_(mine.data, 0.1)
    return regularizer, model, average


@pytest.mark.parametrize("averaged", [AveragedModel, Ema, copy.deepcopy])
def test_an_average_gets_the_zeros_of_the_model_and_keeps_the_rest(averaged: Any) -> None:
    regularizer, model, average = trained(averaged)
    before = {name: w.detach().clone() for name, w in average.named_parameters()}
    weight, bias = before.values()
    zero = model.weight == 0
    assert 0 < int(zero.sum()) < 6
    assert int((weight == 0).sum()) == 0
    regularizer.copy_zeros_to(average)
    found, found_bias = average.parameters()
    assert torch.equal(found, torch.where(zero, 0.0, weight))
    assert torch.equal(found_bias, bias)


def test_a_state_dict_of_another_type_is_changed_in_place() -> None:
    regularizer, model, average = trained(copy.deepcopy)
    state = {name: w.detach().double() for name, w in average.state_dict().items()}
    regularizer.copy_zeros_to(state)
    assert torch.equal(state["weight"] == 0, model.weight == 0)


def test_an_average_by_torch_of_a_wrapped_model() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    regularizer = Regularizer(nn.DataParallel(model), L1(0.1))
    with torch.no_grad():
        model[0].weight[1] = 0.0
    regularizer.copy_zeros_to(average)
    assert average.module[0].weight[1].tolist() == [0.0] * 3
    assert bool((average.module[0].weight[0] != 0).all())


def test_an_average_of_another_model_is_refused_and_stays() -> None:
    model, other = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.zero_()
    before = other[0].weight.detach().clone()
    with pytest.raises(ValueError, match=r"averaged has no 1.weight of shape \(2, 2\)"):
        Regularizer(model, L1(0.1)).copy_zeros_to(other)
    assert torch.equal(other[0].weight, before)
    with pytest.raises(TypeError, match="averaged must be"):
        Regularizer(model, L1(0.1)).copy_zeros_to([1])  # type: ignore[arg-type]
