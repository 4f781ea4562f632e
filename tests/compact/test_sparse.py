"""Sparse storage is used where it is faster, and says so where it is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compact.networks import relative_error
from shrinkage.compact import sparse, to_sparse


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight[torch.rand(64, 32) < 0.97] = 0.0
        model[2].weight[torch.rand(8, 64) < 0.3] = 0.0
    return model


def test_what_is_faster_is_stored_sparsely(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "time_calls", lambda *_, **__: (3.0, 1.0))
    stored = to_sparse(model, torch.randn(5, 32))
    assert stored.model[0].weight.layout == torch.sparse_csr
    assert stored.model[2].weight.layout == torch.strided
    assert model[0].weight.layout == torch.strided
    assert relative_error(model, stored.model, torch.randn(3, 32)) <= 1e-5
    assert "csr" in str(stored)
    assert "3.00" in str(stored)


def test_what_is_slower_stays_dense(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "time_calls", lambda *_, **__: (1.0, 1.0))
    stored = to_sparse(model, torch.randn(5, 32))
    assert all(
        layer.weight.layout == torch.strided for layer in stored.model if hasattr(layer, "weight")
    )
    assert str(stored) == "no layer is faster on this machine when it is stored sparsely; tried: 1"


def test_both_forms_are_timed(model: nn.Module) -> None:
    (layer,) = to_sparse(model, torch.randn(5, 32)).layers
    assert layer.layer == "0"
    assert layer.times_faster > 0.0
    assert layer.zeros > 0.9
