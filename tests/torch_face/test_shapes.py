"""A penalty that is none of an array of that shape is refused before anything has moved."""

from typing import Any

import pytest
import torch
from torch import nn

from shrinkage import GroupLasso, LInf, NofM, NuclearNorm, Orthogonality, Penalty, SparseGroupLasso
from shrinkage.torch import SGD, Adam, Regularizer

MISFITS: list[Any] = [
    pytest.param(NuclearNorm(0.1), (5,), "two or more axes", id="nuclear"),
    pytest.param(Orthogonality(0.1), (5,), "two or more axes", id="orthogonal"),
    pytest.param(NofM(2, 4), (3, 5), "m=4 does not divide the last axis", id="n of m"),
    pytest.param(GroupLasso(0.1, groups=5), (3, 5), "has no axis 5", id="axis"),
    pytest.param(GroupLasso(0.1, groups="heads:2"), (3, 5), "does not divide", id="heads"),
    pytest.param(SparseGroupLasso(0.1, groups=5), (3, 5), "has no axis 5", id="sparse"),
    pytest.param(LInf(0.1, groups=5), (3, 5), "has no axis 5", id="linf"),
]


@pytest.mark.parametrize(("penalty", "shape", "said"), MISFITS)
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_inside(kind: Any, penalty: Penalty, shape: tuple[int, ...], said: str) -> None:
    how = "coupled" if penalty.why_not("prox") or kind is Adam else "proximal"
    how = "proximal" if penalty.why_not("gradient") else how
    if how == "proximal" and kind is Adam and penalty.why_not("metric"):
        pytest.skip("not in Adam's metric in any shape")
    named = [("first", nn.Parameter(torch.ones(4, 4))), ("misfit", nn.Parameter(torch.ones(shape)))]
    if isinstance(penalty, GroupLasso | SparseGroupLasso | LInf):
        named = named[1:]
    with pytest.raises(ValueError, match=f"misfit: .*{said}"):
        kind(named, lr=0.1, penalty=penalty, how=how)


@pytest.mark.parametrize(("penalty", "shape", "said"), MISFITS)
def test_attached(penalty: Penalty, shape: tuple[int, ...], said: str) -> None:
    model = nn.ParameterDict({"misfit": nn.Parameter(torch.ones(shape))})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    how = "coupled" if penalty.why_not("prox") else "proximal"
    with pytest.raises(ValueError, match=f"misfit: .*{said}"):
        Regularizer(model, penalty, on="all").attach(optimizer, how=how)
    model["misfit"].grad = torch.ones(shape)
    optimizer.step()
    assert (model["misfit"] == 0.9).all()  # nothing stays attached
