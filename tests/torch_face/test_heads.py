"""heads() and neurons(): units that leave a model as if they had never been there."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from shrinkage import GroupLasso
from shrinkage.torch import Joint, Regularizer, heads, neurons


class Conv1D(nn.Module):
    """A linear layer that stores (inputs, outputs), as in transformers."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def attend(q: Tensor, k: Tensor, v: Tensor, count: int, shared: int) -> Tensor:
    """Attention by hand: head h of the queries goes with head h·shared/count of the others."""
    q, k, v = (
        w.unflatten(-1, (number, -1)).transpose(1, 2)
        for w, number in ((q, count), (k, shared), (v, shared))
    )
    k, v = (w.repeat_interleave(count // shared, dim=1) for w in (k, v))
    return scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Separate(nn.Module):
    """Llama's names; grouped queries; numbers in the configuration alone."""

    def __init__(self, shared: int = 2) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_attention_heads=4, num_key_value_heads=shared)
        self.q_proj, self.o_proj = nn.Linear(8, 12), nn.Linear(12, 8)
        self.k_proj, self.v_proj = nn.Linear(8, 3 * shared), nn.Linear(8, 3 * shared)

    def forward(self, x: Tensor) -> Tensor:
        shared = self.config.num_key_value_heads
        return self.o_proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), 4, shared))


class Fused(nn.Module):
    """timm's names, or GPT-2's."""

    def __init__(self, names: tuple[str, str], layer: Any) -> None:
        super().__init__()
        self.num_heads, self.names = 4, names
        self.add_module(names[0], layer(8, 24))
        self.add_module(names[1], layer(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        into, out = (self.get_submodule(name) for name in self.names)
        return out(attend(*into(x).chunk(3, dim=-1), 4, 4))


class ByHead(nn.Module):
    """GPT-NeoX's: query, key and value of a head side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.num_attention_heads = 4
        self.query_key_value, self.dense = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.query_key_value(x).unflatten(-1, (4, 3, 2)).unbind(dim=-2)
        return self.dense(attend(*(part.flatten(2) for part in parts), 4, 4))


class Bert(nn.Module):
    """The output projection stands beside the module with query, key and value."""

    def __init__(self) -> None:
        super().__init__()
        self.self = nn.ModuleDict({key: nn.Linear(8, 8) for key in ("query", "key", "value")})
        self.self.num_attention_heads = 4
        self.output = nn.ModuleDict({"dense": nn.Linear(8, 8)})

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.self[key](x) for key in ("query", "key", "value"))
        return self.output["dense"](attend(q, k, v, 4, 4))


class Torch(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 4, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        values = x[..., : self.attention.vdim]
        return self.attention(x, x, values, need_weights=False)[0]


class Latent(nn.Module):
    """Queries of their own, keys and values together, an output with its dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 4
        self.to_q, self.to_kv = nn.Linear(8, 8, bias=False), nn.Linear(8, 16, bias=False)
        self.to_out = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(attend(self.to_q(x), *self.to_kv(x).chunk(2, dim=-1), 4, 4))


def turned(inputs: int, outputs: int) -> nn.Module:
    return Conv1D(outputs, inputs)


# a model, its units
ATTENTION: dict[str, tuple[Any, int]] = {
    "separate": (lambda: Separate(shared=4), 4),
    "grouped queries": (Separate, 2),
    "one head for all queries": (lambda: Separate(shared=1), 1),
    "fused, timm": (lambda: Fused(("qkv", "proj"), nn.Linear), 4),
    "fused, GPT-2": (lambda: Fused(("c_attn", "c_proj"), turned), 4),
    "fused by head": (ByHead, 4),
    "BERT": (Bert, 4),
    "torch": (Torch, 4),
    "torch, other values": (lambda: Torch(vdim=4, bias=False), 4),
    "queries apart": (Latent, 4),
}


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(8, 8), nn.Linear(8, 8)
        self.down_proj = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class GatedTogether(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_up_proj, self.down_proj = nn.Linear(8, 10), nn.Linear(5, 8)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(silu(gate) * up)


class Gpt2Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(6, 8), Conv1D(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(torch.tanh(self.c_fc(x)))


class BertMlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(8, 6)})
        self.output = nn.ModuleDict({"dense": nn.Linear(6, 8)})

    def forward(self, x: Tensor) -> Tensor:
        return self.output["dense"](torch.tanh(self.intermediate["dense"](x)))


FEED_FORWARD: dict[str, tuple[Any, int]] = {
    "gated": (Gated, 8),
    "gates in one layer": (GatedTogether, 5),
    "GPT-2": (Gpt2Mlp, 6),
    "BERT": (BertMlp, 6),
    "sequence": (lambda: nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)), 6),
    "square": (lambda: nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)), 8),
}


@pytest.mark.parametrize(
    ("function", "case"),
    [(heads, key) for key in ATTENTION] + [(neurons, key) for key in FEED_FORWARD],
)
@torch.no_grad()
def test_a_unit_of_zeros_is_one_that_is_not_there(function: Any, case: str) -> None:
    """All of it zero, or what leaves it alone: the same outputs, which no other unit's are."""
    make, units = (ATTENTION if function is heads else FEED_FORWARD)[case]
    torch.manual_seed(0)
    model, x = make().double().eval(), torch.randn(2, 5, 8).double()
    for w in model.parameters():
        w.copy_(torch.randn_like(w))
    (joint,) = function(model)
    (binding,) = Regularizer(model, GroupLasso(1.0), on=[joint]).bindings
    matrix, whole = binding.read_array().clone(), model(x)
    assert matrix.shape[0] == units
    assert matrix.numel() == sum(w.numel() for w in model.parameters()) - out_bias(model)
    columns = binding.parts[-1].parameter.numel() // units

    def output(changed: Tensor) -> Tensor:
        for part, piece in zip(binding.parts, binding._scatter(changed), strict=True):
            part.parameter.copy_(piece)
        return model(x)

    for unit in range(units):
        removed, silenced, stirred, other = (matrix.clone() for _ in range(4))
        removed[unit] = 0.0
        for one in (silenced, stirred, other):
            one[unit, -columns:] = 0.0
        stirred[unit, :-columns] += 1.0
        other[(unit + 1) % units, :-columns] *= 2.0
        assert torch.allclose(output(removed), output(silenced), atol=1e-12)
        assert torch.allclose(output(stirred), output(silenced), atol=1e-12)
        assert not torch.allclose(output(silenced), whole)
        if units > 1:
            assert not torch.allclose(output(other), output(silenced))


def out_bias(model: nn.Module) -> int:
    """The entries of the last layer's bias, which belong to no unit."""
    *_, last = (m for m in model.modules() if isinstance(m, nn.Linear | Conv1D))
    outs = [m for name, m in model.named_modules() if name.endswith(("o_proj", "down_proj"))]
    layer = outs[0] if outs else last
    return 0 if layer.bias is None else layer.bias.numel()


def test_every_layer_of_a_transformer_has_its_joints() -> None:
    model = nn.Transformer(8, 2, 2, 1, 16, batch_first=True)
    found = heads(model) + neurons(model)
    assert len(found) == 2 + 2 + 3  # self-attention of 3 layers, one across, 3 feed-forward
    regularizer = Regularizer(model, dict.fromkeys(found, GroupLasso(0.1)))
    assert {zeros.groups for zeros in regularizer.sparsity().parameters.values()} == {2, 16}
    wrapped = torch.compile(nn.DataParallel(model), backend="eager")
    assert heads(wrapped) + neurons(wrapped) == found


def test_a_weight_between_two_hidden_layers_belongs_to_the_first() -> None:
    layers = [nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU()]
    assert neurons(nn.Sequential(*layers, nn.Linear(5, 2))) == [
        Joint("0.weight:out", "0.bias", "1.weight", "1.bias", "3.weight:in"),
        Joint("3.bias", "5.weight:in"),
    ]
    numbered = nn.ModuleDict({"fc1": nn.Linear(3, 4), "fc2": nn.Linear(4, 2)})
    assert neurons(numbered) == [Joint("fc1.weight:out", "fc1.bias", "fc2.weight:in")]


class StrangeAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix, self.unmix = nn.Linear(4, 4), nn.Linear(4, 4)


class StrangeMlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.there, self.back = nn.Linear(4, 8), nn.Linear(8, 4)


@pytest.mark.parametrize(
    ("function", "model", "said"),
    [
        (heads, StrangeAttention(), r"heads\(\) leaves out StrangeAttention"),
        (neurons, StrangeMlp(), r"neurons\(\) leaves out StrangeMlp"),
        (heads, nn.Linear(2, 2), r"heads\(\) knows no attention in Linear"),
        (neurons, nn.Linear(2, 2), r"neurons\(\) knows no feed-forward layers in Linear"),
        (neurons, nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), nn.Linear(2, 2)), "knows no feed"),
    ],
)
def test_what_is_not_known_is_said(function: Any, model: nn.Module, said: str) -> None:
    with pytest.warns(UserWarning, match=said):
        assert function(model) == []


def test_sizes_that_do_not_fit_the_number_of_heads_are_said() -> None:
    model = Separate()
    model.config.num_attention_heads = 5
    with pytest.warns(UserWarning, match=r"heads\(\) leaves out Separate"):
        assert heads(model) == []
