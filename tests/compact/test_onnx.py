"""The smaller model is exported to ONNX, and computes the same there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from compact.networks import Chain, kill, run, stir
from shrinkage.compact import compact

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def chain() -> tuple[nn.Module, Tensor]:
    model = stir(Chain(), 1).float()
    kill(model, 0.3, 1)
    return model, torch.randn(2, 2, 8, 8)


def heads() -> tuple[nn.Module, Tensor]:
    layer = nn.TransformerEncoderLayer(8, 4, 12, batch_first=True).eval()
    with torch.no_grad():
        layer.self_attn.in_proj_weight.view(3, 4, 2, 8)[2, 1] = 0.0
        layer.self_attn.out_proj.weight[:, 4:6] = 0.0
    return layer, torch.randn(2, 5, 8)


@pytest.mark.parametrize("make", [chain, heads])
def test_it_computes_the_same_in_onnx(make: object) -> None:
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    model, inputs = make()  # type: ignore[operator]
    small = compact(model, inputs, time_it=False)
    assert small.report.parameters.ratio > 1.1
    program = torch.onnx.export(small.model, (inputs,), dynamo=True, verbose=False)
    assert program is not None
    evaluator = reference.ReferenceEvaluator(program.model_proto)
    (found,) = evaluator.run(None, {evaluator.input_names[0]: inputs.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), run(small.model, inputs))
