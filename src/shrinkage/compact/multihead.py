"""torch's attention with fewer heads than fill its width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, softmax


class FewerHeads(nn.MultiheadAttention):
    """A `torch.nn.MultiheadAttention` that lost heads: heads · head_dim is below the width.

    torch's own forward derives the width of a head from the width of the model. This one derives
    it from the weights, and computes the same, with the same arguments. An attention becomes one
    by `drop_heads`.
    """

    @property
    def _qkv_same_embed_dim(self) -> bool:
        """Tells torch's encoder layers to call `forward`, and not their own fused operation."""
        return False

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As in torch; `is_causal` is a hint there and the mask decides."""
        is_batched = query.ndim == 3
        tensors = [t if is_batched else t.unsqueeze(0) for t in (query, key, value)]
        if is_batched and not self.batch_first:
            tensors = [tensor.transpose(0, 1) for tensor in tensors]
        heads = [
            self._split(linear(tensor, weight, bias))
            for tensor, weight, bias in zip(tensors, *self._projections(), strict=True)
        ]
        scores = heads[0] @ heads[1].transpose(-2, -1) * self.head_dim**-0.5
        scores = self._mask(scores, attn_mask, key_padding_mask)
        weights = softmax(scores, -1)
        averaged = dropout(weights, self.dropout, self.training) @ heads[2]
        result = self.out_proj(averaged.transpose(1, 2).flatten(2))
        if average_attn_weights:
            weights = weights.mean(1)
        if not is_batched:
            return result.squeeze(0), weights.squeeze(0) if need_weights else None
        result = result if self.batch_first else result.transpose(0, 1)
        return result, weights if need_weights else None

    def _split(self, projected: Tensor) -> Tensor:
        """(N, L, heads · head_dim) as (N, heads, L, head_dim)."""
        rows, places, _ = projected.shape
        return projected.reshape(rows, places, self.num_heads, self.head_dim).transpose(1, 2)

    def _projections(self) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        """Weights and biases to queries, keys and values."""
        apart = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        weights = apart if self.in_proj_weight is None else self.in_proj_weight.chunk(3)
        biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return weights, biases

    def _mask(self, scores: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor:
        """Add the masks: (L, S) or (N · heads, L, S), and (N, S); True hides."""
        keys = scores.shape[-1]
        if mask is not None:
            mask = mask.reshape(-1, *scores.shape[1:]) if mask.ndim == 3 else mask
            scores = _hide(scores, mask)
        return scores if padding is None else _hide(scores, padding.reshape(-1, 1, 1, keys))


def _hide(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


def drop_heads(attention: nn.MultiheadAttention) -> None:
    """Let an attention whose projections lost rows compute without the heads they belonged to."""
    if attention.bias_k is not None or attention.add_zero_attn:
        raise ValueError("an attention with bias_k, bias_v or add_zero_attn keeps its heads")
    packed = attention.in_proj_weight
    rows = len(attention.q_proj_weight) if packed is None else len(packed) // 3
    if rows != attention.num_heads * attention.head_dim:
        attention.num_heads = rows // attention.head_dim
        attention.__class__ = FewerHeads
