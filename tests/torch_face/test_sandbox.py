"""The sandbox: each way's law, read off its own runs."""

from __future__ import annotations

import math

import pytest

from fused_twins import torch_operations
from shrinkage.torch.sandbox import Trace, sandbox

LR, STRENGTH, STEPS = 0.1, 0.1, 30
pytestmark = pytest.mark.usefixtures("torch_operations")  # nothing has to be compiled


@pytest.fixture(scope="module")
def traces() -> dict[str, Trace]:
    with torch_operations():
        return {trace.way: trace for trace in sandbox(lr=LR, strength=STRENGTH, steps=STEPS)}


# way -> (after one step from 1 and -1.5, penalty, gradient); the figures of the sandbox document
# (its penalty is over three weights: 1, -1.5, -1.5).
DOCUMENT = {
    "SGD weight_decay: L2 coupled, with ½": ((0.99, -1.485), None, (0, 0)),
    "SGDW: L2 decoupled, not scaled by lr": ((0.9, -1.35), None, (0, 0)),
    "L2 in the loss": ((0.98, -1.47), 0.55, (0.2, -0.3)),
    "SGDW weight_norm=1: L1 decoupled, not scaled by lr": ((0.9, -1.4), None, (0, 0)),
    "L1 in the loss": ((0.99, -1.49), 0.40, (0.1, -0.1)),
    "torch_optimizer's SGDW 0.3.0: a constant shift": ((0.99, -1.51), None, (0, 0)),
}


@pytest.mark.parametrize("way", DOCUMENT)
def test_one_step_is_the_documents(way: str, traces: dict[str, Trace]) -> None:
    weights, penalty, gradient = DOCUMENT[way]
    trace = traces[way]
    assert trace.paths[0] == (1.0, -1.5, -1.5)
    assert trace.paths[1][:2] == pytest.approx(weights, abs=1e-12)
    assert trace.penalty == (None if penalty is None else pytest.approx(penalty, abs=1e-12))
    assert trace.gradient[:2] == pytest.approx(gradient, abs=1e-12)


# way -> what the weight 1 is after k steps
LAWS = {
    "SGD weight_decay: L2 coupled, with ½": lambda k: (1 - LR * STRENGTH) ** k,
    "SGDW: L2 decoupled, not scaled by lr": lambda k: (1 - STRENGTH) ** k,
    "L2 in the loss": lambda k: (1 - 2 * LR * STRENGTH) ** k,
    "L2 decoupled, scaled by lr": lambda k: (1 - 2 * LR * STRENGTH) ** k,
    "L2 proximal": lambda k: (1 + 2 * LR * STRENGTH) ** -k,
    "SGDW weight_norm=1: L1 decoupled, not scaled by lr": lambda k: max(1 - STRENGTH * k, 0),
    "L1 in the loss": lambda k: 1 - LR * STRENGTH * k,
    "L1 coupled": lambda k: 1 - LR * STRENGTH * k,
    "L1 decoupled, scaled by lr": lambda k: 1 - LR * STRENGTH * k,
    "L1 proximal": lambda k: 1 - LR * STRENGTH * k,
    "AdamW weight_decay": lambda k: (1 - LR * STRENGTH) ** k,
    "torch_optimizer's SGDW 0.3.0: a constant shift": lambda k: 1 - LR * STRENGTH * k,
}


@pytest.mark.parametrize("way", LAWS)
def test_every_step_follows_the_law(way: str, traces: dict[str, Trace]) -> None:
    path = [weights[0] for weights in traces[way].paths]
    assert path == pytest.approx([LAWS[way](k) for k in range(STEPS + 1)], abs=1e-12)


def test_the_strength_cancels_in_adams_coupled_decay() -> None:
    way = "Adam weight_decay: the strength cancels"
    first = [
        next(trace for trace in sandbox(strength=strength, steps=1) if trace.way == way).paths[1]
        for strength in (0.1, 10.0)
    ]
    assert first[0] == pytest.approx((0.9, -1.4, -1.4), abs=1e-6)
    assert first[1] == pytest.approx(first[0], abs=1e-6)


def test_an_exact_zero_stays_where_a_threshold_is_and_a_subgradient_hops() -> None:
    runs = {t.way: t for t in sandbox([0.015], strength=0.1, lr=0.1, steps=5)}
    assert [w[0] for w in runs["L1 proximal"].paths[2:]] == [0.0] * 4
    assert [math.copysign(1, w[0]) for w in runs["L1 in the loss"].paths[1:]] == [1, -1, 1, -1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": []}, "weights must be one or more finite numbers"),
        ({"weights": [math.nan]}, "weights must be one or more finite numbers"),
        ({"strength": -1.0}, "strength must be >= 0 and finite, got -1"),
        ({"lr": math.inf}, "lr must be >= 0 and finite, got inf"),
        ({"steps": 0}, "steps must be >= 1, got 0"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sandbox(**arguments)  # type: ignore[arg-type]
