"""A copied optimizer has lost its hooks, and says so."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from shrinkage import L1
from shrinkage.torch import SGD, Regularizer


def network() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 4)


def sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def step(model: nn.Module, optimizer: Optimizer) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda pair: pickle.loads(pickle.dumps(pair)),
    "copy": lambda pair: (pair[0], copy.copy(pair[1])),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copied_optimizer_says_that_it_lost_its_penalty(way: str) -> None:
    model = network()
    optimizer = sgd(model)
    Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")
    for _ in range(2):  # a copy's warning does not use up the original's mark
        model_copy, optimizer_copy = COPIES[way]((model, optimizer))
        with pytest.warns(UserWarning, match="this SGD is a copy of an optimizer with a penalty"):
            step(model_copy, optimizer_copy)
        step(model_copy, optimizer_copy)  # once is enough
    step(model, optimizer)


def test_an_optimizer_with_a_penalty_inside_is_followed_too() -> None:
    """Its step takes the hooks on all optimizers without torch's wrapper around a step."""
    model = network()
    inside = SGD(model.parameters(), lr=0.1)
    attachment = Regularizer(model, L1(0.1)).attach(sgd(model), how="proximal")
    step(model, inside)
    assert attachment.stepped_by == "SGD"
    attachment.detach()
    Regularizer(model, L1(0.1)).attach(inside, how="coupled")
    model_copy, inside_copy = copy.deepcopy((model, inside))
    with pytest.warns(UserWarning, match="this SGD is a copy of an optimizer") as caught:
        step(model_copy, inside_copy)
    assert caught[0].filename == __file__


def test_a_copied_optimizer_takes_a_new_attachment_in_silence() -> None:
    model = network()
    optimizer = sgd(model)
    Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")
    model_copy, optimizer_copy = copy.deepcopy((model, optimizer))
    regularizer = Regularizer(model_copy, L1(0.1))
    regularizer.attach(optimizer_copy, how="proximal")
    before = regularizer.value()
    step(model_copy, optimizer_copy)
    assert regularizer.value() < before


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_regularizer_is_free_to_be_attached(way: str) -> None:
    model = network()
    optimizer, regularizer = sgd(model), Regularizer(model, L1(0.1))
    regularizer.attach(optimizer, how="proximal")
    model_copy, regularizer_copy = COPIES[way]((model, regularizer))
    optimizer_copy = sgd(model_copy)
    regularizer_copy.attach(optimizer_copy, how="proximal")
    before, untouched = regularizer_copy.value(), regularizer.value()
    step(model_copy, optimizer_copy)
    assert regularizer_copy.value() < before
    assert regularizer.value() == untouched


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_regularizer_follows_its_copied_model(way: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1, bias=False))
    model_copy, regularizer = COPIES[way]((model, Regularizer(model, L1(0.5))))
    model_copy[0] = nn.Linear(1, 2)
    nn.init.constant_(model_copy[0].weight, 3.0)
    nn.init.zeros_(model_copy[1].weight)
    assert regularizer.value() == pytest.approx(0.5 * 2 * 3.0)


def test_a_copied_regularizer_follows_a_layer_under_a_new_name() -> None:
    model = nn.Sequential(nn.Linear(3, 1, bias=False))
    model_copy, regularizer = copy.deepcopy((model, Regularizer(model, L1(0.5), on="0.weight")))
    model_copy[0] = nn.Sequential(model_copy[0])
    with pytest.raises(ValueError, match=r"'0\.weight' matches no parameter"):
        regularizer.value()


def test_a_copied_regularizer_refuses_a_copied_model_that_does_not_fit_each_time() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    penalties = {"0.weight": L1(0.5), "1.weight": L1(0.1)}
    model_copy, regularizer = copy.deepcopy((model, Regularizer(model, penalties)))
    del model_copy[1]
    for _ in range(2):
        with pytest.raises(ValueError, match=r"'1\.weight' matches no parameter"):
            regularizer.value()


def test_a_copy_stays_bound_where_its_selector_knows_the_original_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    first = model[0]
    regularizer = Regularizer(model, L1(0.5), on=lambda name, w, module: w is first.weight)
    assert copy.deepcopy(regularizer).value() == regularizer.value()
