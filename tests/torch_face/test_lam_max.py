"""The strength from which on nothing leaves zero, against scikit-learn and a solver."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, enet_path
from torch import nn

from shrinkage import L0, L1, L2, MCP, SCAD, CappedL1, ElasticNet, GroupLasso, LInf, LogSum
from shrinkage.torch import Joint, Regularizer

X, Y = load_diabetes(return_X_y=True)
X = X * 20 + 0.3
GROUPS = [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]


def linear() -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model = nn.Linear(10, 1).double()
    x, y = torch.tensor(X), torch.tensor(Y)[:, None]
    return model, lambda: (model(x) - y).square().mean() / 2


def slopes() -> np.ndarray:
    """The gradient at 0, with the intercept at the mean."""
    return (X.T @ (Y - Y.mean())) / len(Y)


def expected() -> list[tuple[Any, float]]:
    g = slopes()
    groups = [np.linalg.norm(g[members]) for members in GROUPS]
    sizes = [len(members) ** 0.5 for members in GROUPS]
    return [
        (L1(0.3), abs(g).max()),
        (L1(0.3) + L2(1.0), abs(g).max()),
        (ElasticNet(0.3, 0.25), abs(g).max() / 0.25),
        (GroupLasso(2.0, GROUPS), max(n / s for n, s in zip(groups, sizes, strict=True))),
        (GroupLasso(2.0, GROUPS, "none"), max(groups)),
        (LInf(0.1, GROUPS), max(abs(g[members]).sum() for members in GROUPS)),
        (MCP(1e4, 3.0), abs(g).max()),
        (SCAD(1e4), abs(g).max()),
        (CappedL1(1.0, 2.0), abs(g).max()),
        (LogSum(1.0, 0.5), abs(g).max() * 0.5),
        (L2(1.0), np.inf),
    ]


@pytest.mark.parametrize(("penalty", "lam"), expected(), ids=lambda value: str(value)[:30])
def test_it_is_the_formulas(penalty: Any, lam: float) -> None:
    model, loss = linear()
    before = [w.detach().clone() for w in model.parameters()]
    found = Regularizer(model, penalty).lam_max(loss)
    assert found == pytest.approx(lam, rel=1e-6)
    for w, kept in zip(model.parameters(), before, strict=True):
        assert torch.equal(w, kept)
        assert w.grad is None


def test_it_is_scikit_learns_alpha_max() -> None:
    model, loss = linear()
    lam = Regularizer(model, L1(1.0)).lam_max(loss)
    alphas, _, _ = enet_path(X - X.mean(0), Y - Y.mean(), l1_ratio=1.0, alphas=2)
    assert lam == pytest.approx(alphas[0], rel=1e-6)
    assert not Lasso(alpha=lam * 1.0001, tol=1e-10).fit(X, Y).coef_.any()
    assert Lasso(alpha=lam * 0.999, tol=1e-10).fit(X, Y).coef_.any()


def test_groups_of_a_joint_and_of_a_first_layer() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    model[2].requires_grad_(False)
    x, y = torch.tensor(X), torch.tensor(Y)[:, None]
    lam = Regularizer(model, {"0.weight": GroupLasso(1.0, "in")}).lam_max(
        lambda: (model(x) - y).square().mean() / 2e4
    )
    assert 0.0 < lam < np.inf
    unit = Joint("0.weight", "0.bias")
    assert (
        Regularizer(model, {unit: GroupLasso(1.0)}).lam_max(
            lambda: (model(x) - y).square().mean() / 2e4
        )
        > 0.0
    )


def test_what_has_none_is_refused() -> None:
    model, loss = linear()
    with pytest.raises(ValueError, match="zero is a local minimum at any strength"):
        Regularizer(model, L0(1.0)).lam_max(loss)
    with pytest.raises(ValueError, match="loss_closure must return the data loss as a tensor"):
        Regularizer(model, L1(1.0)).lam_max(lambda: 1.0)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match=r"loss_closure must be a function .* got a Tensor: pass l"):
        Regularizer(model, L1(1.0)).lam_max(loss())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a strength lam above 0"):
        Regularizer(model, L1(0.0)).lam_max(loss)
    regularizer = Regularizer(model, L1(1.0))
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="all of them are frozen"):
        regularizer.lam_max(loss)
