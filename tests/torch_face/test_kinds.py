"""What counts as a weight, for every kind of layer."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from shrinkage import L1
from shrinkage.torch import Regularizer


class FooNorm2d(nn.Module):
    """Somebody's own normalization, with a matrix for a gain."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 3))
        self.bias = nn.Parameter(torch.ones(3))


class Attention(nn.Module):
    """As in T5: an embedding whose name has "bias" in it."""

    def __init__(self) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(32, 8)
        self.q = nn.Linear(4, 4, bias=False)


class Bare(nn.Module):
    """Parameters that no layer owns."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(3, 3))
        self.temperature = nn.Parameter(torch.ones(()))
        self.position = nn.Parameter(torch.ones(4))


def old_weight_norm() -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(nn.Linear(4, 4))


ORIGINAL = "parametrizations.weight.original"
WEIGHTS: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "Linear": (lambda: nn.Linear(4, 4), {"weight"}),
    "Bilinear": (lambda: nn.Bilinear(2, 3, 4), {"weight"}),
    "Conv3d": (lambda: nn.Conv3d(2, 2, 3), {"weight"}),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 2, 3), {"weight"}),
    "Embedding": (lambda: nn.Embedding(4, 4), {"weight"}),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(4, 4), {"weight"}),
    "PReLU": (lambda: nn.PReLU(4), set()),
    "LSTM": (
        lambda: nn.LSTM(3, 4, proj_size=2),
        {f"weight_{key}_l0" for key in ("ih", "hh", "hr")},
    ),
    "GRUCell": (lambda: nn.GRUCell(3, 4), {"weight_ih", "weight_hh"}),
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
        {"in_proj_weight", "out_proj.weight"},
    ),
    "attention, apart": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=3),
        {"q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"},
    ),
    "relative attention": (Attention, {"relative_attention_bias.weight", "q.weight"}),
    "bare": (Bare, {"matrix"}),
    "ParameterList": (lambda: nn.ParameterList([torch.ones(2, 2), torch.ones(2)]), {"0"}),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), set()),
    "SyncBatchNorm": (lambda: nn.SyncBatchNorm(4), set()),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), set()),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), set()),
    "LayerNorm": (lambda: nn.LayerNorm((2, 3, 4)), set()),
    "RMSNorm": (lambda: nn.RMSNorm((3, 4)), set()),
    "somebody's norm": (FooNorm2d, set()),
    "weight norm, old": (old_weight_norm, {"weight_v"}),
    "weight norm": (
        lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
        {ORIGINAL + "1"},
    ),
    "weight norm of a convolution": (
        lambda: parametrizations.weight_norm(nn.Conv2d(2, 4, 3)),
        {ORIGINAL + "1"},
    ),
    "spectral norm, old": (lambda: nn.utils.spectral_norm(nn.Linear(4, 4)), {"weight_orig"}),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(4, 4)), {ORIGINAL}),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(4, 4)), {ORIGINAL}),
}
WHY = [
    (lambda: nn.Linear(4, 4), "bias", "bias"),
    (lambda: nn.LayerNorm((2, 3)), "weight", "a normalization's"),
    (lambda: nn.BatchNorm2d(4), "bias", "a normalization's"),
    (FooNorm2d, "scale", "a normalization's"),
    (old_weight_norm, "weight_g", "a weight-norm gain"),
    (
        lambda: parametrizations.weight_norm(nn.Conv2d(2, 4, 3)),
        ORIGINAL + "0",
        "a weight-norm gain",
    ),
    (lambda: nn.PReLU(4), "weight", "a slope"),
    (lambda: nn.LSTM(3, 4), "bias_ih_l0", "bias"),
    (lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True), "bias_k", "bias"),
    (lambda: nn.MultiheadAttention(4, 2), "in_proj_bias", "bias"),
    (Bare, "temperature", "one-dimensional"),
]


def names(regularizer: Regularizer) -> set[str]:
    return {name for name, _ in regularizer.named_parameters()}


@pytest.mark.parametrize("layer", WEIGHTS)
def test_the_weights_of_a_layer_and_nothing_else(layer: str) -> None:
    make, weights = WEIGHTS[layer]
    model = nn.ModuleDict({"layer": make(), "beside": nn.Linear(2, 2, bias=False)})
    found = names(Regularizer(model, L1(0.1)))
    assert found == {f"layer.{name}" for name in weights} | {"beside.weight"}


@pytest.mark.parametrize(("make", "name", "why"), WHY)
def test_the_table_says_why_a_parameter_is_left_out(
    make: Callable[[], nn.Module], name: str, why: str
) -> None:
    model = nn.ModuleDict({"layer": make(), "beside": nn.Linear(2, 2, bias=False)})
    regularizer = Regularizer(model, L1(0.1))
    row = next(row for row in regularizer.table() if row.parameter == f"layer.{name}")
    assert row.penalty == f"none: {why}"
    assert why in repr(regularizer)


def test_all_reaches_every_parameter() -> None:
    for layer in WEIGHTS.keys() - {"bare"}:
        model = WEIGHTS[layer][0]()
        expected = {name for name, _ in model.named_parameters()}
        assert names(Regularizer(model, L1(0.1), on="all")) == expected, layer


def test_biases_are_the_biases_of_layers() -> None:
    model = nn.ModuleDict(
        {"a": nn.Linear(2, 2), "b": nn.LSTM(2, 2), "n": nn.BatchNorm1d(2), "t": Attention()}
    )
    found = names(Regularizer(model, L1(0.1), on="biases"))
    assert found == {"a.bias", "b.bias_ih_l0", "b.bias_hh_l0"}


def test_a_lazy_module_is_refused_until_it_has_a_shape() -> None:
    model = nn.Sequential(nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r"0\.weight has no shape yet; run the model once"):
        Regularizer(model, L1(0.1))
    model(torch.ones(1, 3))
    assert names(Regularizer(model, L1(0.1))) == {"0.weight"}
