"""What the model says must not decay, and gains in any shape, are no weights."""

from typing import Any

import pytest
import torch
from torch import nn

from grid import covering
from shrinkage import L1, L2
from shrinkage.torch import Regularizer
from shrinkage.torch.models.owners import candidates


def names(model: nn.Module, **options: Any) -> set[str]:
    return {name for name, _ in Regularizer(model, L2(0.1), **options).named_parameters()}


class Holder(nn.Module):
    """A linear layer beside parameters of its own, in the given shapes."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        for key, shape in shapes.items():
            self.register_parameter(key, nn.Parameter(torch.ones(shape)))


@pytest.mark.parametrize("shape", [(1, 1, 1, 5), (5, 1, 1), (1, 1), (1, 5), (5, 1), (1, 5, 1, 1)])
def test_at_most_one_axis_longer_than_1_is_one_dimensional(shape: tuple[int, ...]) -> None:
    model = Holder(gamma=shape)
    assert names(model) == {"fc.weight"}
    assert "none: one-dimensional" in repr(Regularizer(model, L1(0.1)))
    assert names(model, on="gamma") == {"gamma"}
    assert "gamma" in names(model, on="all")
    assert "gamma" in names(model, on=Holder)


LAYERS = {
    "Linear": (lambda: nn.Linear(4, 1), {"weight"}),
    "Linear of one input": (lambda: nn.Linear(1, 4), {"weight"}),
    "Linear of one to one": (lambda: nn.Linear(1, 1), {"weight"}),
    "depthwise": (lambda: nn.Conv2d(4, 4, 1, groups=4), {"weight"}),
    "Conv of one to one": (lambda: nn.Conv1d(1, 1, 3), {"weight"}),
    "Embedding": (lambda: nn.Embedding(5, 1), {"weight"}),
    "LSTM": (lambda: nn.LSTM(1, 1), {"weight_ih_l0", "weight_hh_l0"}),
    "attention": (lambda: nn.MultiheadAttention(1, 1), {"in_proj_weight", "out_proj.weight"}),
    "a layer of one's own": (lambda: MyLinear(), {"weight"}),
}


class MyLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 5))
        self.scale = nn.Parameter(torch.ones(1, 5))


@pytest.mark.parametrize("case", LAYERS)
def test_the_weight_of_a_layer_is_one_in_any_shape(case: str) -> None:
    make, expected = LAYERS[case]
    assert names(make()) == expected


def test_a_marked_parameter_is_left_out_and_said() -> None:
    model = nn.ModuleDict({"mixer": Holder(A_log=(8, 3), B=(8, 3)), "words": nn.Embedding(5, 3)})
    model["mixer"].A_log._no_weight_decay = True
    model["mixer"].B._optim = {"weight_decay": 0.0}
    model["words"].weight._no_weight_decay = True
    model["mixer"].fc.weight._no_weight_decay = False
    assert names(model) == {"mixer.fc.weight"}
    assert repr(Regularizer(model, L1(0.1))).count("none: asks for no weight decay") == 3
    assert names(model, on="mixer.A_log") == {"mixer.A_log"}
    assert "words.weight" in names(model, on=nn.Embedding)
    asked = {
        one.name for one in candidates(model) if any(owner.asks_no_decay for owner in one.owners)
    }
    assert asked == {"mixer.A_log", "mixer.B", "words.weight"}


class Asking(Holder):
    def __init__(self, asked: Any, keywords: Any = (), **shapes: tuple[int, ...]) -> None:
        super().__init__(**shapes)
        self.inner = Holder(table=(4, 2), other=(4, 2))
        self.asked, self.keywords = asked, keywords

    def no_weight_decay(self) -> Any:
        return self.asked

    def no_weight_decay_keywords(self) -> Any:
        return self.keywords


ASKED: list[tuple[Any, Any, set[str]]] = [
    ({"absolute", "dist"}, (), {"absolute"}),
    (["inner.table"], (), {"inner.table"}),
    ({"table"}, (), {"inner.table"}),
    ({"inner"}, (), {"inner.table", "inner.other", "inner.fc.weight"}),
    ({"*.other"}, (), {"inner.other"}),
    ({"fc.weight"}, (), {"fc.weight"}),
    ((), {"tab"}, {"inner.table"}),
    (None, None, set()),
]


@pytest.mark.parametrize(("case", "wrap"), covering(ASKED, [None, "module", "parallel", "compile"]))
def test_what_a_model_names_is_left_out(case: tuple[Any, Any, set[str]], wrap: str | None) -> None:
    asked, keywords, expected = case
    model: Any = Asking(asked, keywords, absolute=(2, 5))
    every = {"fc.weight", "absolute", "inner.fc.weight", "inner.table", "inner.other"}
    if wrap == "module":
        model = nn.ModuleDict({"backbone": model, "fc": nn.Linear(2, 2)})
        every = {f"backbone.{name}" for name in every} | {"fc.weight"}
        expected = {f"backbone.{name}" for name in expected}
    elif wrap == "parallel":
        model = nn.DataParallel(model)
    elif wrap == "compile":
        model = torch.compile(model, backend="eager")
    assert names(model) == every - expected


def test_a_method_that_raises_warns_and_leaves_nothing_out() -> None:
    class Broken(Holder):
        def no_weight_decay(self) -> set[str]:
            raise KeyError("blocks")

    with pytest.warns(UserWarning, match=r"Broken.no_weight_decay\(\) raised KeyError") as caught:
        assert names(nn.Sequential(nn.Sequential(Broken()))) == {"0.0.fc.weight"}
    assert {warning.filename for warning in caught} == {__file__}


def test_positions_and_tokens_are_no_weights() -> None:
    keys = ("pos_embed", "position_embeddings", "pos_embedding", "positional_embedding")
    keys += ("cls_token", "class_token", "reg_tokens", "mask_token", "relative_position_bias_table")
    model = Holder(**dict.fromkeys(keys, (2, 3)), possible=(2, 3), masks=(2, 3))
    assert names(model) == {"fc.weight", "possible", "masks"}
    assert "none: a position embedding or a token" in repr(Regularizer(model, L1(0.1)))
    learned = nn.ModuleDict({"pos_embed": nn.Embedding(4, 3)})
    assert names(learned) == {"pos_embed.weight"}


def test_a_tied_parameter_asks_at_all_of_its_places() -> None:
    model = nn.ModuleDict({"decoder": nn.Linear(3, 4, bias=False), "encoder": Asking({"tied"})})
    model["encoder"].tied = model["decoder"].weight
    assert "decoder.weight" not in names(model)
