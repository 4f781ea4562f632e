"""What is no model, no example or no optimizer gets a sentence; what cannot be followed stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.prune import l1_unstructured
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from compact.networks import Attention, relative_error, stir
from shrinkage.compact import compact


def dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("example", [3, "x", None])
def test_the_example_has_to_be_tensors(example: object) -> None:
    with pytest.raises(TypeError, match="example_inputs must be a tensor, a tuple of arguments"):
        compact(dense(), example)


@pytest.mark.parametrize(
    ("example", "why"),
    [
        (torch.randn(2, 5), "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        (torch.ones(2, 3, dtype=torch.int64), "RuntimeError: mat1 and mat2 must have the same"),
        ((torch.randn(2, 3), 1), "TypeError: .* takes 2 positional arguments"),
        ((), "TypeError: .* missing 1 required positional argument"),
        ({"x": torch.randn(2, 3)}, "TypeError: .* unexpected keyword argument"),
    ],
)
def test_the_example_has_to_fit(example: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"example_inputs must be what the model is .* {why}"):
        compact(dense(), example)


@pytest.mark.parametrize(
    ("model", "error", "why"),
    [
        (torch.relu, TypeError, "torch.nn.Module, got builtin_function_or_method"),
        (nn.ReLU, TypeError, "torch.nn.Module, got the class ReLU: make one"),
        (nn.Linear(3, 4, device="meta"), ValueError, "weight is on the meta device"),
        (nn.LazyLinear(4), ValueError, "weight is not initialized yet: call the model once"),
        (
            nn.Sequential(l1_unstructured(nn.Linear(3, 4), "weight", 0.5)),
            ValueError,
            r"but 0\.weight is computed from others: call torch\.nn\.utils\.prune\.remove",
        ),
    ],
)
def test_the_model_has_to_hold_numbers(model: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=f"model must .*{why}"):
        compact(model, torch.randn(2, 3))


@pytest.mark.parametrize(
    ("optimizer", "error", "why"),
    [
        ("adam", TypeError, "optimizer must be a torch.optim.Optimizer, got str"),
        (torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1), ValueError, "holds none of them"),
    ],
)
def test_the_optimizer_has_to_be_of_the_model(
    optimizer: Any, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        compact(dense(), torch.randn(2, 3), optimizer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_model_stays() -> None:
    small = compact(torch.jit.script(dense()), torch.randn(2, 3), time_it=False)
    assert "compact what it was made of" in small.report.remarks[0]
    assert small.report.parameters.ratio == 1.0


def test_a_model_in_training_mode_is_compacted_as_it_will_be_used() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight[1] = 0.0
    small = compact(model.train(), torch.randn(1, 3), time_it=False).model  # one row: no variance
    assert small[0].out_features == 3
    assert small.training
    assert relative_error(model.eval(), small.eval(), torch.randn(5, 3)) <= 1e-5


class Cells(nn.Module):
    """An LSTM with a unit that nothing enters."""

    def __init__(self, packs: bool = False, **options: Any) -> None:
        super().__init__()
        self.cells = nn.LSTM(3, 4, batch_first=True, **options)
        self.head = nn.Linear(options.get("proj_size", 4), 2)
        self.packs = packs
        with torch.no_grad():
            for tensor in (self.cells.weight_ih_l0, self.cells.weight_hh_l0):
                tensor.view(4, 4, -1)[:, 1] = 0.0
            for bias in (self.cells.bias_ih_l0, self.cells.bias_hh_l0):
                bias.view(4, 4)[:, 1] = 0.0

    def forward(self, x: Any) -> Tensor:
        if self.packs:
            x = pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
        result = self.cells(x)[0]
        return self.head(result.data if isinstance(result, PackedSequence) else result)


@pytest.mark.parametrize("as_tuple", [False, True])
def test_a_packed_sequence_as_the_example(as_tuple: bool) -> None:
    model, packed = Cells(), pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    small = compact(model, (packed,) if as_tuple else packed, time_it=False)
    assert "depends on its lengths" in small.report.remarks[0]
    assert torch.equal(small.model(packed), model(packed))


def test_a_sequence_that_is_packed_inside() -> None:
    model, x = Cells(packs=True), torch.randn(2, 5, 3)
    small = compact(model, x, time_it=False)
    assert "torch.export could not follow the model" in small.report.remarks[0]
    assert torch.equal(small.model(x), model(x))


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projected_lstm_stays() -> None:
    model, x = Cells(proj_size=2), torch.randn(2, 5, 3)
    small = compact(model, x, time_it=False)
    assert small.model.cells.hidden_size == 4
    assert relative_error(model, small.model, torch.randn(2, 7, 3)) <= 1e-6


def test_a_part_of_a_head_stays() -> None:
    model = stir(Attention(4), 0)
    with torch.no_grad():
        model.v.weight[1] = 0.0
    small = compact(model, torch.randn(2, 5, 8, dtype=torch.float64), time_it=False)
    (value,) = (layer for layer in small.report.layers if layer.layer == "v")
    assert (value.units_after, value.dead_left) == (12, 1)
    assert value.why_they_stay


@pytest.mark.quick_where(heads=[False])
@pytest.mark.parametrize("heads", [True, False])
def test_einsum_is_a_product(heads: bool) -> None:
    class Einsum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(8, 12) for _ in range(3))
            self.matrix, self.head = nn.Parameter(torch.randn(12, 12)), nn.Linear(12, 3)
            self.num_heads = 4

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (f(x) for f in (self.q, self.k, self.v))
            if not heads:
                return self.head(torch.einsum("bnd,de->bne", torch.tanh(q + k + v), self.matrix))
            q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in (q, k, v))
            weights = torch.softmax(torch.einsum("bnhd,bmhd->bhnm", q, k), -1)
            return self.head(torch.einsum("bhnm,bmhd->bnhd", weights, v).flatten(2))

    model = stir(Einsum(), 0)
    with torch.no_grad():
        for layer in (model.q, model.k, model.v):
            layer.weight[3:6], layer.bias[3:6] = 0.0, 0.0
    small = compact(model, torch.randn(2, 5, 8, dtype=torch.float64), time_it=False).model
    assert (small.q.out_features, small.v.out_features) == (9, 9)
    assert relative_error(model, small, torch.randn(3, 4, 8, dtype=torch.float64)) <= 1e-10


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_example_that_shows_nothing_is_refused(bad: float) -> None:
    example = torch.ones(2, 3)
    example[1, 2] = bad
    with pytest.raises(
        ValueError, match=r"shape \(2, 3\) holds NaN or infinite entries: give rows"
    ):
        compact(nn.Linear(3, 2), example, time_it=False)
