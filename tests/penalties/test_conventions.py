"""Decay conventions, as exact one-step equivalences with the optimizers that have them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from shrinkage import L2, convert
from shrinkage.penalties.conventions import CONVENTIONS
from shrinkage.torch import SGDW, Regularizer

LR, FIRST, BATCH, SHARE = 0.1, 0.4, 20, 0.03
START = np.array([[1.0, -2.0], [0.5, 3.0]])


def with_torch(kind: type, **options: float) -> np.ndarray:
    w = torch.nn.Parameter(torch.tensor(START))
    optimizer = kind([w], **options)
    w.grad = torch.zeros_like(w)
    optimizer.step()
    return w.detach().numpy()


def with_penalty(lam: float, how: str, scale: str | None = None) -> np.ndarray:
    model = torch.nn.Linear(2, 2, bias=False, dtype=torch.float64)
    torch.nn.init.constant_(model.weight, 0)
    with torch.no_grad():
        model.weight += torch.tensor(START)
    optimizer = torch.optim.SGD(model.parameters(), lr=FIRST)
    Regularizer(model, L2(lam)).attach(optimizer, how=how, scale=scale)
    optimizer.param_groups[0]["lr"] = LR
    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()
    return model.weight.detach().numpy()


def with_sklearn(alpha: float) -> np.ndarray:
    options = {"momentum": 0.0, "nesterovs_momentum": False, "activation": "identity"}
    options |= {"hidden_layer_sizes": (2,), "learning_rate_init": LR}
    model = MLPRegressor(solver="sgd", alpha=alpha, **options)
    X, y = np.zeros((BATCH, 2)), np.zeros(BATCH)
    model.set_params(batch_size=BATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.partial_fit(X, y)
        model.coefs_[0] = START.copy()
        model.intercepts_ = [np.zeros(2), np.zeros(1)]  # nothing to learn: the output is 0
        model.partial_fit(X, y)
    return model.coefs_[0]


ONE_STEP = {
    "torch": [
        lambda s: with_torch(torch.optim.SGD, lr=LR, weight_decay=s),
        lambda s: with_torch(torch.optim.AdamW, lr=LR, weight_decay=s),
    ],
    "l2": [lambda s: with_penalty(s, "coupled")],
    "keras": [],
    "loshchilov_hutter": [lambda s: with_penalty(s / 2, "decoupled", "schedule")],
    "composer": [],
    "sklearn": [with_sklearn],
    "unscaled": [
        lambda s: with_torch(SGDW, lr=LR, weight_decay=s),
        lambda s: with_penalty(s / 2, "decoupled", "none"),
    ],
}


@pytest.mark.parametrize("target", CONVENTIONS)
def test_one_step_is_one_step(target: str) -> None:
    strength = convert(SHARE, "unscaled", target, lr=LR, first_lr=FIRST, batch_size=BATCH)
    assert strength > 0
    for step in ONE_STEP[target]:
        np.testing.assert_allclose(step(strength), (1 - SHARE) * START, rtol=1e-12)
    back = convert(strength, target, "unscaled", lr=LR, first_lr=FIRST, batch_size=BATCH)
    assert back == pytest.approx(SHARE, rel=1e-15)


def test_keras_and_composer_go_with_theirs() -> None:
    """Neither is installed for tests; their own documentation has these formulas."""
    rates = {"lr": LR, "first_lr": FIRST}
    assert convert(0.5, "keras", "l2", **rates) == 0.5
    assert convert(0.5, "composer", "loshchilov_hutter", **rates) == 0.5
    assert convert(0.01, "torch", "l2", lr=7.0) == L2.from_weight_decay(0.01).lam


@pytest.mark.parametrize(
    ("arguments", "rates", "error", "sentence"),
    [
        ((-1, "torch", "l2"), {"lr": 1}, ValueError, "strength must be >= 0 and finite, got -1"),
        (
            (1, "pytorch", "l2"),
            {"lr": 1},
            ValueError,
            "source must be one of .* did you mean 'torch'",
        ),
        (
            (1, "torch", "zzz"),
            {"lr": 1},
            ValueError,
            "target must be one of torch, l2, .* got 'zzz'",
        ),
        ((1, "torch", "l2"), {}, ValueError, "lr is needed: the convention 'torch' depends on it"),
        ((1, "unscaled", "composer"), {"lr": 1}, ValueError, "first_lr is needed: the convention"),
        ((1, "unscaled", "sklearn"), {"lr": 1}, ValueError, "batch_size is needed"),
        ((1, "torch", "l2"), {"lr": 0}, ValueError, "lr must be > 0 and finite, got 0"),
        ((1, "torch", "l2"), {"lr": "a"}, TypeError, "lr must be a number, got 'a'"),
    ],
)
def test_bad_input(arguments: tuple, rates: dict, error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        convert(*arguments, **rates)
