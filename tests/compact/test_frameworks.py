"""Heads of attention as transformers and timm write it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from frameworks.conftest import register_operators
from shrinkage.compact import compact

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
SIZES = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}


def make(name: str) -> tuple[nn.Module, Any, dict[str, slice]]:
    """A model, what it is called with, and which rows of which weights write one head's values."""
    register_operators()
    ids = {"input_ids": torch.randint(0, 50, (2, 7))}
    if name == "vit":
        timm = pytest.importorskip("timm")
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=3)
        return model, torch.randn(2, 3, 32, 32), {"attn.qkv": slice(2 * 192, 2 * 192 + 64)}
    transformers = pytest.importorskip("transformers")
    if name == "bert":
        config = transformers.BertConfig(num_attention_heads=4, **SIZES)
        return transformers.BertModel(config), ids, {"self.value": slice(8, 16)}
    config = transformers.LlamaConfig(num_attention_heads=4, num_key_value_heads=2, **SIZES)
    config.use_cache = False
    return transformers.LlamaForCausalLM(config), ids, {"v_proj": slice(8)}


@pytest.mark.parametrize(
    ("name", "query", "rows_left"),
    [("vit", "attn.qkv", 384), ("bert", "self.query", 24), ("llama", "q_proj", 16)],
)
def test_a_head_goes_from_all_its_projections(name: str, query: str, rows_left: int) -> None:
    torch.manual_seed(0)
    model, inputs, rows = make(name)
    model.eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            for part, dead in rows.items():
                if part in key:
                    tensor[dead] = 0.0
    small = compact(model, inputs, time_it=False)
    widths = [len(p) for key, p in small.model.named_parameters() if f"{query}.weight" in key]
    assert widths == [rows_left] * 2
    assert small.report.difference <= 1e-10
    assert small.report.rounding <= 1e-5
    assert not small.report.remarks
