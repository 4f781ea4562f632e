"""Penalized regression on the diabetes data, where every minimum is known from elsewhere."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet as SkElasticNet
from sklearn.linear_model import Lasso, Ridge

from optimizer_cases import Factory
from oracles import prox
from shrinkage import L1, L2, ElasticNet, Penalty
from shrinkage.torch import Regularizer

GROUPS = ((0, 1, 2), (3, 5), (4, 6, 7), (8, 9))


@lru_cache
def standardized() -> tuple[np.ndarray, np.ndarray]:
    """X and y with mean 0 and variance 1."""
    X, y = load_diabetes(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()


@lru_cache
def normal_equations() -> tuple[np.ndarray, np.ndarray]:
    """A and b of the data loss ½‖y − Xw‖²/n, whose gradient is Aw − b."""
    X, y = standardized()
    return X.T @ X / len(y), X.T @ y / len(y)


@lru_cache
def minimum(penalty: Penalty, shape: tuple[int, ...] = (10,)) -> np.ndarray:
    """The least ½‖y − Xw‖²/n + Ω(w): scikit-learn's where it has the penalty, else `descend`'s."""
    X, y = standardized()
    options = {"fit_intercept": False, "tol": 1e-12}
    match penalty:
        case L1(lam):
            model = Lasso(lam, max_iter=100_000, **options)
        case ElasticNet(lam, l1_ratio):
            model = SkElasticNet(lam, l1_ratio=l1_ratio, max_iter=100_000, **options)
        case L2(lam):
            model = Ridge(2 * len(y) * lam, **options)
        case _:
            return descend(penalty, shape)
    return model.fit(X, y).coef_.reshape(shape)


def descend(penalty: Penalty, shape: tuple[int, ...]) -> np.ndarray:
    """Proximal gradient descent with the slow prox of `oracles`, to the last digit."""
    A, b = normal_equations()
    step = 1.0 / float(np.linalg.eigvalsh(A).max())
    w = np.zeros(shape)
    for _ in range(100_000):
        following = prox(penalty, w - step * (A @ w.ravel() - b).reshape(shape), step)
        if np.abs(following - w).max() < 1e-15:
            return following
        w = following
    raise AssertionError("did not converge")


def least_squares() -> Callable[[torch.Tensor], torch.Tensor]:
    A, b = (torch.tensor(part) for part in normal_equations())
    return lambda w: A @ w - b


def fit(
    optimizer_of: Factory,
    penalty: Penalty | Mapping[object, Penalty],
    how: str,
    *,
    model: torch.nn.ParameterDict | None = None,
    shape: tuple[int, ...] = (10,),
    steps: int = 4000,
    scale: str | None = None,
    slope: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> tuple[np.ndarray, str]:
    """Train on the full batch, lr constant for half the steps, then on a line to 0.

    `slope` is the data loss's gradient, that of ½‖y − Xw‖²/n if none is given; w is `model`'s
    parameters one after the other, or zeros of `shape`. Returns the weights, and where the
    attachment says that they rest.
    """
    if model is None:
        model = torch.nn.ParameterDict({"w": torch.zeros(shape).double()})
    parts = list(model.parameters())
    optimizer = optimizer_of(parts)
    regularizer = Regularizer(model, penalty, on="all")
    said = "loss"
    if how != "loss" and "penalty" in optimizer.param_groups[0]:
        options = {"penalty": regularizer, "how": how, "scale": scale or "lr"}
        optimizer.param_groups[0].update(options)
        optimizer.statistics()  # takes the regularizer in
        said = repr(regularizer.bound.host)
    elif how != "loss":
        said = repr(regularizer.attach(optimizer, how=how, scale=scale))
    slope, sizes = slope or least_squares(), [w.numel() for w in parts]
    first_lr = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = first_lr * min(1.0, 2 * (1 - step / steps))
        gradient = slope(torch.cat([w.detach().view(-1) for w in parts]))
        if how == "loss":
            optimizer.zero_grad()
            regularizer.penalty().backward()
        for w, part in zip(parts, torch.split_with_sizes(gradient, sizes), strict=True):
            w.grad = w.grad + part.view_as(w) if how == "loss" else part.view_as(w)
        optimizer.step()
    return torch.cat([w.detach().ravel() for w in parts]).reshape(shape).numpy(), said
