"""torch's own attention without its dead heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compact.networks import relative_error, stir
from shrinkage.compact import compact


def encoder_layer(batch_first: bool) -> nn.Module:
    layer = stir(nn.TransformerEncoderLayer(8, 4, 12, batch_first=batch_first), 0)
    with torch.no_grad():
        layer.self_attn.in_proj_weight.view(3, 4, 2, 8)[2, 1] = 0.0
        layer.self_attn.out_proj.weight[:, 4:6] = 0.0
        layer.linear1.weight[:5] = 0.0
    return layer


@pytest.mark.quick_where(batch_first=[True])
@pytest.mark.parametrize("batch_first", [True, False])
def test_heads_of_an_encoder_layer_go(batch_first: bool) -> None:
    layer = encoder_layer(batch_first)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    small = compact(layer, x, time_it=False).model
    assert small.self_attn.num_heads == 2
    assert small.self_attn.in_proj_weight.shape == (12, 8)
    assert small.linear1.out_features == 7
    assert relative_error(layer, small, torch.randn(3, 4, 8).double()) <= 1e-10
    assert small.state_dict().keys() == layer.state_dict().keys()
    again = compact(small, x, time_it=False)
    assert again.report.parameters.ratio == 1.0


@pytest.mark.quick_where(dtype=[torch.float32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_multiplications_of_attention_are_counted_before_and_after(dtype: torch.dtype) -> None:
    layer = encoder_layer(True).to(dtype).eval()
    report = compact(layer, torch.randn(2, 5, 8, dtype=dtype), time_it=False).report
    assert report.multiplications is not None
    assert report.multiplications.before > report.multiplications.after >= 2 * 5 * (8 * 16 + 7 * 16)


def test_masks_and_weights_are_those_of_torch() -> None:
    layer = encoder_layer(True)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    small = compact(layer, x, time_it=False).model
    causal = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    padding = torch.tensor([[False] * 4 + [True], [False] * 5])
    ours, theirs = small.self_attn, layer.self_attn
    unbatched = x[0]
    for inputs, options in (
        (x, {"attn_mask": causal}),
        (x, {"attn_mask": causal < 0}),
        (x, {"key_padding_mask": padding, "need_weights": False}),
        (unbatched, {"attn_mask": causal}),
    ):
        found, _ = ours(inputs, inputs, inputs, **options)
        expected, _ = theirs(inputs, inputs, inputs, **options)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    _, each = ours(x, x, x, average_attn_weights=False)
    _, all_of_them = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(each, all_of_them[:, [0, 3]], rtol=1e-10, atol=1e-12)


def test_weights_that_are_returned_keep_their_heads() -> None:
    class Shown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result, weights = self.attention(x, x, x)
            return torch.cat([result, weights], -1)

    model = stir(Shown(), 0)
    with torch.no_grad():
        model.attention.out_proj.weight[:, 4:6] = 0.0
    small = compact(model, torch.randn(2, 8, 8, dtype=torch.float64), time_it=False).model
    assert small.attention.num_heads == 4
