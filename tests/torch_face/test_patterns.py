"""Which parameters a pattern, a type or a predicate reaches."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from shrinkage import L1, L2
from shrinkage.torch import Regularizer


def network() -> nn.Module:
    return nn.ModuleDict(
        {
            "conv1": nn.Conv2d(1, 2, 3),
            "bn1": nn.BatchNorm2d(2),
            "conv2": nn.Conv2d(2, 2, 3),
            "act": nn.PReLU(),
            "fc": nn.Linear(2, 2),
        }
    )


WEIGHTS = {"conv1.weight", "conv2.weight", "fc.weight"}
BIASES = {"conv1.bias", "conv2.bias", "fc.bias"}
ALL = WEIGHTS | BIASES | {"bn1.weight", "bn1.bias", "act.weight"}
ON: list[tuple[Any, set[str]]] = [
    (None, WEIGHTS),
    ("weights", WEIGHTS),
    ("biases", BIASES),
    ("all", ALL),
    ("conv*", {"conv1.weight", "conv2.weight"}),
    ("*.weight", WEIGHTS),
    ("*", WEIGHTS),
    ("*.bias", BIASES),
    ("conv*.bias", {"conv1.bias", "conv2.bias"}),
    ("conv1.bias", {"conv1.bias"}),
    ("bn1.weight", {"bn1.weight"}),
    ("bn1.bias", {"bn1.bias"}),
    ("act.weight", {"act.weight"}),
    ("conv?.weight", {"conv1.weight", "conv2.weight"}),
    ("conv[1].weight", {"conv1.weight"}),
    (nn.Linear, {"fc.weight", "fc.bias"}),
    (nn.BatchNorm2d, {"bn1.weight", "bn1.bias"}),
    (nn.modules.conv._ConvNd, {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}),
    (lambda name, parameter, module: parameter.ndim == 4, {"conv1.weight", "conv2.weight"}),
    (lambda name, parameter, module: isinstance(module, nn.PReLU), {"act.weight"}),
    (["fc*", "*.bias"], {"fc.weight", *BIASES}),
    (["weights", nn.BatchNorm2d], WEIGHTS | {"bn1.weight", "bn1.bias"}),
]


def names(regularizer: Regularizer) -> set[str]:
    return {name for name, _ in regularizer.named_parameters()}


@pytest.mark.parametrize(("on", "expected"), ON)
def test_on_reaches(on: Any, expected: set[str]) -> None:
    assert names(Regularizer(network(), L1(0.1), on=on)) == expected


def test_the_first_pattern_that_matches_wins() -> None:
    model = network()
    regularizer = Regularizer(
        model, {"conv1*": None, "conv*": L1(0.1), "*.weight": L2(0.2), "*.bias": L2(0.3)}
    )
    got = {binding.name: binding.penalty for binding in regularizer.bindings}
    weights = {"conv2.weight": L1(0.1), "fc.weight": L2(0.2)}
    assert got == weights | dict.fromkeys(BIASES, L2(0.3))
    assert "none: 'conv1*': None" in repr(regularizer)


def test_all_beside_a_mapping_lets_its_patterns_reach_everything() -> None:
    regularizer = Regularizer(network(), {"conv*": L1(0.1), "bn*": L2(0.2)}, on="all")
    got = {binding.name: binding.penalty for binding in regularizer.bindings}
    convolutions = {name for name in ALL if name.startswith("conv")}
    assert got == dict.fromkeys(convolutions, L1(0.1)) | dict.fromkeys(
        {"bn1.weight", "bn1.bias"}, L2(0.2)
    )


def test_a_mapping_takes_types_and_predicates() -> None:
    regularizer = Regularizer(
        network(), {nn.Linear: L1(0.1), (lambda name, p, module: name.startswith("conv1")): L2(0.2)}
    )
    assert {binding.name: binding.penalty for binding in regularizer.bindings} == {
        "fc.weight": L1(0.1),
        "fc.bias": L1(0.1),
        "conv1.weight": L2(0.2),
        "conv1.bias": L2(0.2),
    }


REFUSED: list[tuple[Any, Any, str]] = [
    (L1(1), "convo*", "pattern 'convo*' matches no parameter; the nearest are conv"),
    (L1(1), "fc.wieght", "the nearest are fc.weight"),
    (L1(1), "bn*", "pattern 'bn*' matches no weight, only bn1.weight (a normalization's), bn1.b"),
    ({"conv*": L1(1), "conv1*": L2(1)}, None, "'conv1*' is left with nothing: earlier patterns"),
    ({nn.Conv2d: L1(1), nn.Module: L2(1), "*": L1(2)}, None, "pattern '*' is left with nothing"),
    ({"*": L1(1), nn.Conv2d: None, "fc.bias": L1(1), nn.Linear: None}, None, "type Linear is left"),
    (L1(1), nn.LSTM, "no module of type LSTM owns a parameter; those that do: BatchNorm2d, Conv2d"),
    (L1(1), lambda name, p, module: False, "is true for no parameter"),
    (L1(1), [], "on=[] selects nothing"),
    ({}, None, "the mapping of patterns to penalties is empty; give it an entry"),
    ({"conv*": L1(1)}, "weights", "on='weights' beside a mapping: its keys say what is penalized"),
]


@pytest.mark.parametrize(("penalty", "on", "message"), REFUSED)
def test_refused(penalty: Any, on: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Regularizer(network(), penalty, on=on)


@pytest.mark.parametrize(
    ("model", "penalty", "on", "message"),
    [
        (nn.Linear(1, 1), 0.1, None, "penalty must be a Penalty such as L1(1e-4), or a mapping"),
        (nn.Linear(1, 1), {"*": 0.1}, None, "penalty must be a Penalty such as L1(1e-4)"),
        (nn.Linear(1, 1), None, None, "penalty must be a Penalty such as L1(1e-4)"),
        (nn.Linear(1, 1), L1(1), 3, "a selector is a pattern, a layer, a module type"),
        (nn.Linear(1, 1).parameters(), L1(1), None, "model must be a torch.nn.Module"),
    ],
)
def test_wrong_kinds_are_refused(model: Any, penalty: Any, on: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        Regularizer(model, penalty, on=on)


def test_a_layer_stands_for_the_weights_in_it() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    assert names(Regularizer(model, L1(0.1), on=model[0])) == {"0.weight"}
    assert names(Regularizer(model, L1(0.1), on=[model[0], model[1]])) == {"0.weight", "1.0.weight"}
    assert names(Regularizer(model, L1(0.1), on=model)) == {"0.weight", "1.0.weight"}
    regularizer = Regularizer(model, {model[0]: L1(0.1), model[1]: L2(0.2)}, on="all")
    got = {binding.name: binding.penalty for binding in regularizer.bindings}
    first = dict.fromkeys(("0.weight", "0.bias"), L1(0.1))
    assert got == first | dict.fromkeys(
        ("1.0.weight", "1.0.bias", "1.1.weight", "1.1.bias"), L2(0.2)
    )
    wrapped = nn.DataParallel(model)
    assert names(Regularizer(wrapped, L1(0.1), on=model[1])) == {"1.0.weight"}


def test_a_layer_that_is_exchanged_is_found_by_its_name() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    regularizer = Regularizer(model, L1(0.1), on=model[1])
    model[1] = nn.Linear(3, 5)
    assert [tuple(w.shape) for _, w in regularizer.named_parameters()] == [(5, 3)]


def test_a_parameter_stands_for_itself() -> None:
    model = network()
    assert names(Regularizer(model, {model["bn1"].weight: L1(0.1)})) == {"bn1.weight"}
    assert names(Regularizer(model, L1(0.1), on=model["fc"].parameters())) == {
        "fc.weight",
        "fc.bias",
    }
    pairs = list(model["fc"].named_parameters())
    assert names(Regularizer(model, L1(0.1), on=pairs)) == {"fc.weight", "fc.bias"}
    assert names(Regularizer(model, {pairs[1]: L1(0.1)})) == {"fc.bias"}
    assert names(Regularizer(model, L1(0.1), on=pairs[1])) == {"fc.bias"}


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda m: Regularizer(m, L1(1), on=nn.Linear(2, 2)), ValueError, "this Linear is no layer of"),
    (lambda m: Regularizer(m, L1(1), on=nn.ReLU()), ValueError, "this ReLU holds no parameter"),
    (lambda m: Regularizer(m, L1(1), on=m["bn1"]), ValueError, "only bn1.weight (a normalization"),
    (lambda m: Regularizer(m, L1(1), on=torch.ones(2)), ValueError, "is no parameter of the model"),
    (lambda m: Regularizer(m, {m["fc"]: L1(1), "fc.*": L2(1)}), ValueError, "'fc.*' twice"),
    (lambda m: Regularizer(m, L1(1), on={"fc*": L2(1)}), TypeError, "on= says which parameters"),
    (
        lambda m: Regularizer(m, L1(1), on=lambda p: True),
        TypeError,
        "called with the name, the par",
    ),
    (lambda m: Regularizer(m, [L1(1), L2(2)]), TypeError, "add them up: L1(lam=1.0) + L2(lam=2.0)"),
    (lambda m: Regularizer(m, {"*": (L1(1), L2(2))}), TypeError, "add them up: L1(lam=1.0) + L2"),
    (lambda m: Regularizer(m, L1), TypeError, "give it its strength, L1(1e-4)"),
    (lambda m: Regularizer(m, "l1:1e-4"), TypeError, "a text becomes one by shrinkage.parse"),
    (lambda m: Regularizer(m, L1(1), on=L2(1)), TypeError, "a selector is a pattern, a layer"),
]


@pytest.mark.parametrize(("make", "kind", "said"), WRONG)
def test_what_is_no_selector_and_no_penalty_gets_a_sentence(
    make: Any, kind: Any, said: str
) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        make(network())


@pytest.mark.parametrize("on", [None, "weights", "biases", "all"])
def test_a_model_without_such_a_parameter_is_refused(on: Any) -> None:
    model = nn.Sequential(nn.ReLU(), *[nn.PReLU()] * (on != "all"))
    kind = "parameter" if on == "all" else "bias" if on == "biases" else "weight"
    with pytest.raises(ValueError, match=f"the model has no {kind}"):
        Regularizer(model, L1(0.1), on=on)


def test_the_plain_name_stands_for_what_a_parametrization_holds() -> None:
    model = nn.ModuleDict({"fc": parametrizations.weight_norm(nn.Linear(2, 2))})
    for pattern in ("fc.weight", "fc*", "*.weight", "fc.parametrizations.weight.original1"):
        found = names(Regularizer(model, L1(0.1), on=pattern))
        assert found == {"fc.parametrizations.weight.original1"}


def test_a_tied_parameter_counts_once_and_goes_by_the_first_name_that_matches() -> None:
    model = nn.ModuleDict({"encoder": nn.Embedding(4, 3), "decoder": nn.Linear(3, 4, bias=False)})
    model["decoder"].weight = model["encoder"].weight
    nn.init.constant_(model["encoder"].weight, 1.0)
    assert Regularizer(model, L1(1.0)).value() == 12.0
    regularizer = Regularizer(model, {"decoder*": L1(2.0)})
    assert regularizer.value() == 24.0
    assert [row.parameter for row in regularizer.table()] == ["decoder.weight (tied)"]


def test_a_frozen_parameter_is_left_alone_and_shown_until_it_thaws() -> None:
    model = network()
    model["conv1"].requires_grad_(False)
    regularizer = Regularizer(model, L1(0.1))
    assert names(regularizer) == {"conv2.weight", "fc.weight"}
    assert "frozen" in next(line for line in repr(regularizer).splitlines() if "conv1.w" in line)
    before = regularizer.value()
    model["conv1"].requires_grad_(True)
    assert names(regularizer) == WEIGHTS
    assert regularizer.value() > before
    model.requires_grad_(False)
    assert regularizer.value() == 0.0
    assert regularizer.penalty().item() == 0.0


def test_parameters_added_or_replaced_later_are_found() -> None:
    model = network()
    regularizer = Regularizer(model, L1(1.0))
    model["head"] = nn.Linear(2, 2)
    assert "head.weight" in names(regularizer)
    model["fc"].weight = nn.Parameter(torch.full((2, 2), 5.0))
    assert dict(regularizer.named_parameters())["fc.weight"] is model["fc"].weight
    del model["conv1"], model["conv2"], model["head"]
    assert regularizer.value() == 20.0
    parametrizations.weight_norm(model["fc"])
    assert names(regularizer) == {"fc.parametrizations.weight.original1"}
