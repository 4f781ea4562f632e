"""Rows at the ends of what floats hold, against torch operations."""

import pytest
import torch
from torch import nn

from shrinkage import GroupLasso
from shrinkage.torch import Adam, Regularizer
from shrinkage.torch.inside.afterwards import Afterwards


@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-30, 1e-24, 1e-10, 1.0, 1e15, 1e20, 1e30])
@pytest.mark.parametrize("groups", ["out", "in"])
def test_groups_of_any_size_are_shrunk_as_by_torch_operations(
    size: float, groups: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = size * torch.tensor([[1.0, -2.0, 0.5], [0.25, 1.0, 3.0]])
    mine, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    penalty = GroupLasso(1e-2, groups=groups)
    one = Adam([mine], lr=1e-3, penalty=penalty)
    two = torch.optim.Adam([other], lr=1e-3)
    monkeypatch.setattr(Afterwards, "_serves", lambda self, held: False)
    Regularizer(nn.ParameterDict({"w": other}), penalty).attach(two, how="proximal")
    for gradient in (0.0, 0.0, 1e-6):
        mine.grad, other.grad = torch.full((2, 3), gradient), torch.full((2, 3), gradient)
        one.step()
        two.step()
    assert mine.isfinite().all()
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-12)
    assert ((mine == 0) == (other == 0)).all()
    assert (mine == 0).all() == (size < 1e-3)
