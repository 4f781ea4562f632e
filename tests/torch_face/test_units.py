"""One group an output or input unit, as each module means it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shrinkage import L1, GroupLasso
from shrinkage.torch import Regularizer


def slices(*indices: object) -> list[list[int]]:
    """Flat indices of each of these parts of an array of shape (6, 2, 3)."""
    return [np.arange(36).reshape(6, 2, 3)[index].ravel().tolist() for index in indices]


ROWS = [[3 * row + column for column in range(3)] for row in range(4)]
COLUMNS = [[3 * row + column for row in range(4)] for column in range(3)]
GATES = [[3 * row + column for row in range(unit, 8, 2) for column in range(3)] for unit in (0, 1)]
Make = Callable[[], nn.Module]


class Conv1D(nn.Module):
    """A linear layer that stores (inputs, outputs), as in transformers."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Fused(nn.Module):
    """Attention with one projection to query, key and value."""

    def __init__(self, layer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.c_attn, self.c_proj = layer(12, 4), layer(4, 4)


def linear(outputs: int, inputs: int) -> nn.Module:
    return nn.Linear(inputs, outputs)


ALONG_0 = [
    [
        4 * (4 * part + 2 * head + row) + column
        for part in range(3)
        for row in (0, 1)
        for column in range(4)
    ]
    for head in (0, 1)
]
ALONG_1 = [
    [
        12 * row + 4 * part + 2 * head + column
        for row in range(4)
        for part in range(3)
        for column in (0, 1)
    ]
    for head in (0, 1)
]
UNITS: dict[str, tuple[Make, str, str, list[list[int]]]] = {
    "Linear out": (lambda: nn.Linear(3, 4), "weight", "out", ROWS),
    "Linear in": (lambda: nn.Linear(3, 4), "weight", "in", COLUMNS),
    "Embedding out": (lambda: nn.Embedding(4, 3), "weight", "out", COLUMNS),
    "Embedding in": (lambda: nn.Embedding(4, 3), "weight", "in", ROWS),
    "EmbeddingBag in": (lambda: nn.EmbeddingBag(4, 3), "weight", "in", ROWS),
    "Conv out": (
        lambda: nn.Conv1d(2, 6, 3),
        "weight",
        "out",
        slices(*range(6)),
    ),
    "Conv in": (lambda: nn.Conv1d(2, 6, 3), "weight", "in", slices(np.s_[:, 0], np.s_[:, 1])),
    "grouped Conv out": (lambda: nn.Conv1d(4, 6, 3, groups=2), "weight", "out", slices(*range(6))),
    "grouped Conv in": (  # input channels 0, 1 serve outputs 0-2; channels 2, 3 outputs 3-5
        lambda: nn.Conv1d(4, 6, 3, groups=2),
        "weight",
        "in",
        slices(np.s_[:3, 0], np.s_[:3, 1], np.s_[3:, 0], np.s_[3:, 1]),
    ),
    "transposed Conv in": (lambda: nn.ConvTranspose1d(6, 2, 3), "weight", "in", slices(*range(6))),
    "transposed Conv out": (
        lambda: nn.ConvTranspose1d(6, 2, 3),
        "weight",
        "out",
        slices(np.s_[:, 0], np.s_[:, 1]),
    ),
    "grouped transposed Conv out": (
        lambda: nn.ConvTranspose1d(6, 4, 3, groups=2),
        "weight",
        "out",
        slices(np.s_[:3, 0], np.s_[:3, 1], np.s_[3:, 0], np.s_[3:, 1]),
    ),
    "LSTM out": (lambda: nn.LSTM(3, 2), "weight_ih_l0", "out", GATES),
    "LSTM in": (
        lambda: nn.LSTM(3, 2),
        "weight_ih_l0",
        "in",
        [list(range(column, 24, 3)) for column in range(3)],
    ),
    "LSTMCell out": (lambda: nn.LSTMCell(3, 2), "weight_ih", "out", GATES),
    "GRU out": (
        lambda: nn.GRU(3, 2),
        "weight_ih_l0",
        "out",
        [
            [3 * row + column for row in (unit, unit + 2, unit + 4) for column in range(3)]
            for unit in (0, 1)
        ],
    ),
    "RNN out": (lambda: nn.RNN(3, 4), "weight_ih_l0", "out", ROWS),
    "projected LSTM": (  # a plain matrix: one row a projected unit
        lambda: nn.LSTM(3, 3, proj_size=2),
        "weight_hr_l0",
        "out",
        [[0, 1, 2], [3, 4, 5]],
    ),
    "heads of a projection": (
        lambda: nn.MultiheadAttention(4, 2),
        "in_proj_weight",
        "heads:2",
        [
            [16 * part + 8 * head + entry for part in range(3) for entry in range(8)]
            for head in (0, 1)
        ],
    ),
    "heads of its bias": (
        lambda: nn.MultiheadAttention(4, 2),
        "in_proj_bias",
        "heads:2",
        [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]],
    ),
    "heads of the output": (  # its columns
        lambda: nn.MultiheadAttention(4, 2).out_proj,
        "weight",
        "heads:2",
        [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]],
    ),
    "Conv1D out": (lambda: Conv1D(3, 4), "weight", "out", COLUMNS),
    "Conv1D in": (lambda: Conv1D(3, 4), "weight", "in", ROWS),
    "heads in columns": (
        lambda: nn.Linear(4, 3),
        "weight",
        "in:heads:2",
        [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]],
    ),
    "heads in rows": (
        lambda: nn.Linear(3, 4),
        "weight",
        "out:heads:2",
        [[*range(6)], [*range(6, 12)]],
    ),
    "heads of a Conv1D": (
        lambda: Conv1D(4, 3),
        "weight",
        "heads:2",
        [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]],
    ),
    "heads into a Conv1D": (
        lambda: Conv1D(3, 4),
        "weight",
        "in:heads:2",
        [[*range(6)], [*range(6, 12)]],
    ),
    "fused heads": (lambda: Fused(linear), "c_attn.weight", "heads:2", ALONG_0),
    "fused heads of Conv1D": (lambda: Fused(Conv1D), "c_attn.weight", "heads:2", ALONG_1),
    "fused heads by hand": (lambda: nn.Linear(4, 12), "weight", "heads:3x2", ALONG_0),
    "heads of a known output": (
        lambda: Fused(linear),
        "c_proj.weight",
        "heads:2",
        [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]],
    ),
    "heads of a known output of Conv1D": (
        lambda: Fused(Conv1D),
        "c_proj.weight",
        "heads:2",
        [[*range(8)], [*range(8, 16)]],
    ),
    "bias": (lambda: nn.Linear(3, 4), "bias", "out", [[0], [1], [2], [3]]),
}


@pytest.mark.parametrize("case", UNITS)
def test_groups_are_the_modules_units(case: str) -> None:
    make, key, side, lists = UNITS[case]
    model = make().double()
    by_unit = Regularizer(model, GroupLasso(0.3, side), on=key)
    by_list = Regularizer(model, GroupLasso(0.3, lists), on=key)
    assert by_unit.value() == pytest.approx(by_list.value(), rel=1e-12)
    one, other = by_unit.bindings[0].penalty, by_list.bindings[0].penalty
    w = model.get_parameter(key).detach()
    assert torch.allclose(one.prox(w, 0.5), other.prox(w, 0.5), atol=1e-14)
    steps = torch.rand(w.shape, dtype=w.dtype) + 0.1
    assert torch.allclose(one.prox(w, steps), other.prox(w, steps), atol=1e-12)
    assert by_unit.sparsity().parameters[key].groups == len(lists)


def test_heads_that_do_not_divide_the_output_are_refused() -> None:
    with pytest.raises(ValueError, match='"heads:3" does not divide the 4 columns'):
        Regularizer(nn.MultiheadAttention(4, 2), {"out_proj.weight": GroupLasso(1, "heads:3")})


def output(model: nn.Module, x: Tensor) -> Tensor:
    result = model(x)
    return result[0] if isinstance(result, tuple) else result


LAYERS = [
    (lambda: nn.Linear(3, 4), (2, 3)),
    (lambda: Conv1D(4, 3), (2, 3)),
    (lambda: nn.Conv2d(3, 4, 2), (2, 3, 5, 5)),
    (lambda: nn.Conv2d(4, 6, 2, groups=2), (2, 4, 5, 5)),
    (lambda: nn.ConvTranspose2d(3, 4, 2), (2, 3, 5, 5)),
    (lambda: nn.ConvTranspose2d(4, 6, 2, groups=2), (2, 4, 5, 5)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_a_zeroed_group_silences_one_unit(make: Make, shape: tuple[int, ...]) -> None:
    """ "out": that output no longer depends on any input; "in": that input reaches no output."""
    torch.manual_seed(0)
    model = make()
    with torch.no_grad():
        model.bias.zero_()
    x = torch.randn(shape)
    for side in ("out", "in"):
        layer = make()
        layer.load_state_dict(model.state_dict())
        penalty = Regularizer(layer, GroupLasso(1.0, side, weight="none")).bindings[0].penalty
        w = layer.weight.detach()
        with torch.no_grad():
            layer.weight.copy_(torch.where(smallest_group(penalty, w), 0.0, w))
        silent = (
            output(layer, x).abs().amax(dim=(0, *range(2, len(shape)))) == 0
            if side == "out"
            else input_reach(layer, x) == 0
        )
        assert silent.sum() == 1


def smallest_group(penalty: GroupLasso, w: Tensor) -> Tensor:
    """Where the group with the smallest norm lies: w/gradient is the norm of an entry's group."""
    norms = w / penalty.gradient(w)
    return norms < norms.min() * (1 + 1e-4)


def input_reach(layer: nn.Module, x: Tensor) -> Tensor:
    """For each input channel, how much the output changes with it."""
    x = x.clone().requires_grad_()
    (output(layer, x) ** 2).sum().backward()
    return x.grad.abs().amax(dim=(0, *range(2, x.ndim)))


def test_tied_weights_take_the_units_of_the_layer_whose_name_matched() -> None:
    model = nn.ModuleDict({"encoder": nn.Embedding(4, 3), "decoder": nn.Linear(3, 4, bias=False)})
    model["decoder"].weight = model["encoder"].weight
    counts = {
        pattern: Regularizer(model, {pattern: GroupLasso(0.1)}).sparsity().parameters[name].groups
        for pattern, name in (("encoder*", "encoder.weight"), ("decoder*", "decoder.weight"))
    }
    assert counts == {"encoder*": 3, "decoder*": 4}


@pytest.mark.slow
@pytest.mark.usefixtures("torch_operations")
def test_a_neuron_of_a_network_dies_whole() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(64, 2)
    y = torch.tanh(x[:, :1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    regularizer = Regularizer(
        model, {"0*": GroupLasso(2e-2), "2*": L1(1e-3) + GroupLasso(1e-3, "in")}
    )
    regularizer.attach(optimizer, how="proximal")
    for _ in range(200):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    found = regularizer.sparsity().parameters["0.weight"]
    assert 0 < found.dead_groups < 8
    assert found.zeros == 2 * found.dead_groups


def test_the_table_says_where_units_are_not_known() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Parameter(torch.randn(2, 3, 4))

    model = nn.ParameterDict({"w": nn.Parameter(torch.randn(3, 4))})
    (row,) = Regularizer(model, GroupLasso(0.1)).table()
    assert row.penalty.endswith("(out: axis 0, for want of a known layer)")
    (row, _) = Regularizer(nn.Linear(3, 4), GroupLasso(0.1, "heads:2")).table()
    assert row.penalty.endswith("(heads along axis 0)")
    (row, _) = Regularizer(nn.Linear(3, 4), GroupLasso(0.1)).table()
    assert row.penalty == "GroupLasso(lam=0.1)"
    with pytest.raises(ValueError, match=r"down holds a matrix for each expert"):
        Regularizer(Experts(), GroupLasso(0.1))
    by_axes = Regularizer(Experts(), GroupLasso(0.1, (0, 1)))
    assert by_axes.sparsity().parameters["down"].groups == 6
