"""What the callbacks share, and what they say where their framework is not installed."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
import torch
from torch import nn

from shrinkage import L1, GroupL0, GroupLasso
from shrinkage.callback_base import attach, check_settings, hold_when_due, measure, warn_if_not_held
from shrinkage.torch import neurons


class Settings:
    """The arguments of a callback."""

    penalty: Any = "l1:0.1"
    how = "proximal"
    on: Any = None
    lam: Any = None
    scale: Any = None
    metric: Any = None
    schedule: Any = None
    target: Any = None
    target_start: Any = None
    target_steps: Any = None
    target_floor: Any = None
    hold_zeros_at: Any = None

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)


def attached(model: nn.Module, settings: Settings, **given: Any) -> Any:
    check_settings(settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return attach(settings, model, optimizer, **given)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("name", ["lightning", "transformers", "skorch"])
def test_a_framework_that_is_not_installed_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in (name, f"pytorch_{name}"):
        for module in [key for key in sys.modules if key.partition(".")[0] == missing]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"shrinkage.{name}", raising=False)
    with pytest.raises(ImportError, match=rf"shrinkage\.{name} needs .*: pip install {name}"):
        importlib.import_module(f"shrinkage.{name}")


@pytest.mark.parametrize(
    ("penalty", "lam"),
    [
        ("group_lasso:0.5", None),
        ("group_lasso", 0.5),
        (GroupLasso(0.5), None),
        ({"0.weight": "group_lasso:0.5", "2.weight": GroupLasso(0.5)}, None),
        ({"*": "group_lasso"}, 0.5),
        (lambda model: GroupLasso(0.5), None),
        (lambda model: {model[0]: "group_lasso", model[2]: "group_lasso:0.5"}, 0.5),
    ],
)
def test_a_penalty_is_a_text_an_object_a_mapping_or_a_function(penalty: Any, lam: Any) -> None:
    regularizer = attached(network(), Settings(penalty=penalty, lam=lam))
    assert [binding.name for binding in regularizer.bindings] == ["0.weight", "2.weight"]
    for binding in regularizer.bindings:
        assert isinstance(binding.penalty, GroupLasso)
        assert binding.penalty.lam == 0.5


@pytest.mark.parametrize(
    "given",
    [
        {"penalty": GroupL0(1.0), "on": "neurons"},
        {"penalty": GroupL0(1.0), "on": ["neurons"]},
        {"penalty": {"neurons": "group_l0:1"}},
        {"penalty": lambda model: {unit: GroupL0(1.0) for unit in neurons(model)}},
    ],
)
def test_units_come_by_their_name(given: Any) -> None:
    regularizer = attached(network(), Settings(**given))
    assert [binding.name for binding in regularizer.bindings] == [
        "0.weight:out + 0.bias + 2.weight:in"
    ]
    assert measure(regularizer)["penalty"] == 4 * (3 + 1 + 2)


def test_a_target_has_a_third_of_the_training_from_a_sixth_on() -> None:
    settings = Settings(penalty="l0:1", target=0.5)
    target = attached(network(), settings, training_steps=600).bound.target
    assert (target.start, target.steps) == (100, 200)
    settings = Settings(penalty="l0:1", target=0.5, target_steps=50)
    target = attached(network(), settings, training_steps=600).bound.target
    assert (target.start, target.steps) == (0, 50)
    with pytest.raises(ValueError, match="target needs target_steps"):
        attached(network(), Settings(penalty="l0:1", target=0.5))


def test_what_is_measured() -> None:
    model = network()
    model[0].weight.data[:2] = 0.0
    regularizer = attached(model, Settings(penalty={"0.weight": "group_lasso:1"}, hold_zeros_at=0))
    regularizer.factor = 0.5
    numbers = measure(regularizer)
    assert numbers["penalty"] == regularizer.value() > 0
    assert (numbers["zeros"], numbers["dead_groups"], numbers["factor"]) == (0.5, 2.0, 0.5)
    hold_when_due(Settings(hold_zeros_at=1), regularizer)
    assert regularizer.bound.held is None
    hold_when_due(Settings(hold_zeros_at=0), regularizer)
    assert measure(regularizer)["factor"] == 0.0
    regularizer.release()
    model[0].weight.data[3, 0] = float("nan")
    assert measure(regularizer)["penalty"] != measure(regularizer)["penalty"]  # NaN


def test_weights_that_are_flattened_are_refused() -> None:
    flattened = type("FullyShardedDataParallel", (nn.Sequential,), {})(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="FullyShardedDataParallel flattens the weights"):
        attached(flattened, Settings())


@pytest.mark.parametrize("penalty", [None, 0.1, L1, ["l1:1"], {"0.weight": 0.1}])
def test_what_is_no_penalty_is_refused(penalty: Any) -> None:
    with pytest.raises(TypeError, match="penalty must be a"):
        check_settings(Settings(penalty=penalty))


@pytest.mark.parametrize(
    "penalty", ["l1:1e-2", "l1:1e-2 + l2:1", L1(1e-2), {"0.weight": "l1:1e-2", "2.weight": None}]
)
def test_a_strength_that_would_be_ignored_is_refused(penalty: Any) -> None:
    message = r"lam=3.0 would be ignored, .*(1e-2|0\.01).*: leave one of the two out"
    with pytest.raises(ValueError, match=message):
        check_settings(Settings(penalty=penalty, lam=3.0))
    with pytest.raises(ValueError, match=message):
        attached(network(), Settings(penalty=lambda model: penalty, lam=3.0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"target": 0.5, "target_start": 1, "target_steps": 2},
            r"ended after 2 steps .* ends at step 3, 1 \+ 2, .* wanted .*smaller target_start",
        ),
        (
            {"hold_zeros_at": 3},
            r"ended after 2 steps .*hold_zeros_at=3 was never reached.*smaller hold_zeros_at",
        ),
    ],
)
def test_a_training_that_was_too_short_is_told(given: Any, message: str) -> None:
    model, settings = network(), Settings(penalty="l0:1", **given)
    regularizer = attached(model, settings)
    optimizer = regularizer.bound.host.optimizer
    for steps in (2, 3):
        while regularizer.bound.steps < steps:
            optimizer.zero_grad()
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
            hold_when_due(settings, regularizer)
        if steps == 2:
            with pytest.warns(UserWarning, match=message):
                warn_if_not_held(settings, regularizer)
    warn_if_not_held(settings, regularizer)
