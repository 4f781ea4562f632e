"""Names, and what a command line writes."""

from __future__ import annotations

import functools

import pytest
import torch
import torch_optimizer

from shrinkage.probe.documented import DECOUPLED, L2, UNSCALED, find_promise
from shrinkage.probe.factories import accepts, factory_from_text, name_of, parameters_of


@pytest.mark.parametrize(
    ("text", "factory"),
    [
        ("adam", torch.optim.Adam),
        ("SGD", torch.optim.SGD),
        ("torch.optim.AdamW", torch.optim.AdamW),
        ("torch.optim:AdamW", torch.optim.AdamW),
        ("torch_optimizer.SGDW", torch_optimizer.SGDW),
    ],
)
def test_text_names_a_factory(text: str, factory: type) -> None:
    assert factory_from_text(text) is factory


def test_options_are_numbers_truths_and_words() -> None:
    text = "torch_optimizer.QHM, momentum=0.9, weight_decay_type=direct"
    assert factory_from_text(text).keywords == {"momentum": 0.9, "weight_decay_type": "direct"}
    given = factory_from_text("sgd,momentum=1e-1,nesterov=TRUE").keywords
    assert given == {"momentum": 0.1, "nesterov": True}
    assert isinstance(factory_from_text("adamw,amsgrad=1").keywords["amsgrad"], int)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("adm", "optimizer 'adm' is not in torch.optim; did you mean 'Adam'"),
        ("nowhere.Adam", "'nowhere' cannot be imported: ModuleNotFoundError"),
        ("torch_optimizer.SGDX", "is not in torch_optimizer; did you mean 'SGD"),
        ("sgd,momentun=0.9", "there is no option 'momentun=0.9'; did you mean 'momentum'"),
        ("sgd,momentum", "there is no option 'momentum'"),
        ("sgd,lr=1", r"lr has an argument of its own, lr \(--lr\)"),
        ("sgd,weight_decay=1", r"an argument of its own, weight_decay \(--weight-decay\)"),
        ("", "optimizer '' is not in torch.optim"),
        ("torch.optim.", "optimizer 'torch.optim.' is not in torch.optim"),
    ],
)
def test_text_that_names_nothing(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        factory_from_text(text)


def test_the_name_is_where_it_can_be_imported() -> None:
    assert name_of(torch.optim.Adam) == "torch.optim.Adam"
    assert name_of(functools.partial(torch.optim.SGD, momentum=0.9)) == (
        "torch.optim.SGD(momentum=0.9)"
    )
    assert name_of(lambda params: None) == "<lambda>"


def test_what_cannot_be_known_is_taken_for_granted() -> None:
    assert accepts(dict, "weight_decay")
    assert parameters_of(dict) == {}
    assert not accepts(torch.optim.LBFGS, "weight_decay")


def imported_late(*row: object) -> object:
    """A row whose library takes seconds to import."""
    return pytest.param(*row, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("text", "promise", "source"),
    [
        ("torch.optim.SGD", L2, "its name"),
        ("torch.optim.AdamW", DECOUPLED, "its name"),
        ("torch.optim.Adam", L2, "decoupled_weight_decay=False"),
        ("torch.optim.Adam,decoupled_weight_decay=true", DECOUPLED, "decoupled_weight_decay=True"),
        imported_late("pytorch_optimizer.Lion", DECOUPLED, "weight_decouple=True"),
        imported_late("pytorch_optimizer.Lion,weight_decouple=false", L2, "weight_decouple=False"),
        imported_late("pytorch_optimizer.Lion,fixed_decay=true", UNSCALED, "weight_decouple=True"),
        ("torch_optimizer.SGDW", DECOUPLED, "its name"),
        ("torch_optimizer.Yogi", L2, "its documentation"),
        ("shrinkage.torch.SGDW", UNSCALED, "its documentation"),
        ("shrinkage.torch.SGDW,scale=lr", DECOUPLED, "its documentation"),
    ],
)
def test_a_promise_is_by_argument_then_name_then_text(text, promise, source) -> None:
    found = find_promise(factory_from_text(text))
    assert (found.text, found.source) == (promise.text, source)


@pytest.mark.parametrize("name", ["torch.optim.LBFGS", "torch_optimizer.AggMo"])
def test_where_nothing_is_known_nothing_is_promised(name: str) -> None:
    assert find_promise(factory_from_text(name)) is None
