"""Whatever an optimizer wants to be stepped with is found, and said."""

from __future__ import annotations

import functools
import math
import random
import time
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD

from probing.black_boxes import Plain
from probing.short import probe_law
from shrinkage.torch import probe

DECAYED = "w ← (1 − lr·wd)·w"


class NeedsClosure(Plain):
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        if closure is None:
            raise RuntimeError("a closure is required")
        with torch.enable_grad():
            closure()
        super().step()


class NeedsGraph(Plain):
    """Newton's direction, with the curvature from a second derivative, which is 1."""

    def direction(self, p, gradient):
        with torch.enable_grad():
            (curvature,) = torch.autograd.grad(p.grad.sum(), p)
        assert torch.equal(curvature, torch.ones_like(p))
        return gradient / curvature


class NeedsMatrices(Plain):
    def before(self, p, lr, wd, group):
        if p.ndim != 2:
            raise ValueError("for matrices only")


class NeedsNames(Plain):
    def __init__(self, named, lr, weight_decay):
        super().__init__([parameter for _, parameter in named], lr, weight_decay)


class NeedsModel(Plain):
    def __init__(self, model: nn.Module, lr: float, weight_decay: float) -> None:
        super().__init__(model.parameters(), lr, weight_decay)


class NeedsFloat32(Plain):
    def direction(self, p, gradient):
        if p.dtype is torch.float64:
            raise RuntimeError("expected scalar type Float but found Double")
        return gradient


class HasModes(Plain):
    """Schedule-free in miniature: a step outside the mode for training is refused."""

    training = False

    def train(self) -> None:
        self.training = True

    def eval(self) -> None:
        self.training = False

    def update(self, p, lr, wd, group):
        if not self.training:
            raise RuntimeError("call train() before step()")
        super().update(p, lr, wd, group)


# factory -> what the report says of how it was driven
DRIVEN = {
    NeedsClosure: "stepped with a closure",
    NeedsGraph: "stepped with a graph of the gradient",
    NeedsMatrices: "one-dimensional parameters: refused",
    NeedsNames: "made with named parameters",
    NeedsModel: "made with a model",
    NeedsFloat32: "in float32",
    HasModes: "",
}


@pytest.mark.slow
@pytest.mark.parametrize("factory", DRIVEN, ids=lambda factory: factory.__name__)
def test_what_it_wants_is_found_and_said(factory: type) -> None:
    # How it is made changes nothing in the steps of a training, which these rows leave out.
    is_made_otherwise = factory in (NeedsMatrices, NeedsNames, NeedsModel)
    law = (probe_law if is_made_otherwise else probe)(factory)
    assert law.formula == DECAYED
    assert is_made_otherwise or law.objective == "solves J with L2 strength wd (½·s·Σw²)"
    assert DRIVEN[factory] in law.report()


@pytest.mark.slow
def test_of_what_wants_nothing_nothing_is_said() -> None:
    report = probe_law(Plain).report()
    assert [sentence for sentence in DRIVEN.values() if sentence in report] == [""]


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (lambda params, lr, weight_decay: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda params, lr, weight_decay: SGD(params, lr=math.inf), "are not finite"),
    ],
)
def test_what_cannot_be_probed_says_why(factory: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        probe(factory)


def test_any_callable_is_a_factory() -> None:
    law = probe_law(lambda params, **options: SGD(params, momentum=0.9, **options))
    assert (law.optimizer, law.formula, law.coupled) == ("<lambda>", DECAYED, True)


@pytest.mark.slow
def test_a_decay_that_a_partial_gives_is_replaced() -> None:
    law = probe_law(functools.partial(SGD, momentum=0.9, weight_decay=1.0))
    assert law.optimizer == "torch.optim.SGD(momentum=0.9, weight_decay=1.0)"
    assert (law.formula, law.coupled) == (DECAYED, True)


@pytest.mark.slow
def test_what_maximizes_is_given_minus_the_loss() -> None:
    law = probe("torch.optim.SGD,maximize=true")
    assert (law.coupled, law.gradient_term, law.as_documented) == (True, "wd·w", True)
    assert law.objective == "solves J with L2 strength wd (½·s·Σw²)"


@pytest.mark.slow
def test_a_decay_that_rounding_takes_away_is_no_law() -> None:
    with pytest.raises(ValueError, match="what it does is lost in rounding; raise them"):
        probe_law(SGD, lr=1e-8, weight_decay=1e-8)


@pytest.mark.slow
def test_an_argument_it_does_not_take_is_said() -> None:
    assert "takes no lr" in probe_law(lambda params, weight_decay: SGD(params, 0.1)).notes
    law = probe_law(lambda params, lr: SGD(params, lr))
    assert (law.form, law.verdict) == ("none", "takes no weight_decay")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"lr": 0.0}, ValueError, "lr must be > 0 and finite, got 0.0"),
        ({"lr": math.nan}, ValueError, "lr must be > 0"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay must be > 0 and finite, got -1.0"),
        ({"weight_decay": "much"}, TypeError, "weight_decay must be a number"),
        ({"factory": 3}, TypeError, "factory must be callable or text, got int"),
    ],
)
def test_bad_arguments(options: dict, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        probe(**{"factory": SGD, **options})


class Loud(Plain):
    """Prints, warns, and moves every global state that there is."""

    def before(self, p, lr, wd, group):
        print("loud")
        warnings.warn("weight_decay will change", stacklevel=1)
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)


@pytest.mark.slow
def test_nothing_is_left_behind(capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> tuple:
        return (
            torch.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            random.getstate(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            len(warnings.filters),
        )

    before = state()
    law = probe_law(Loud)
    assert state() == before
    assert capsys.readouterr() == ("", "")
    assert law.formula == DECAYED
    assert "it says: weight_decay will change" in law.notes


class Slow(Plain):
    """On one shape: that of the quadratic, so that its law is found at once."""

    shape = (2, 4)
    spent = 0.0  # seconds of processor time that its steps say they took

    def before(self, p, lr, wd, group):
        if p.shape == self.shape:
            Slow.spent += 0.02


class Stuck(Slow):
    shape = (4, 6)


@pytest.fixture
def processor_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the processor goes on by what the steps of `Slow` say they took."""
    monkeypatch.setattr(Slow, "spent", 0.0)
    clocks = SimpleNamespace(process_time=lambda: Slow.spent, monotonic=time.monotonic)
    monkeypatch.setattr("shrinkage.probe.isolation.time", clocks)


@pytest.mark.slow
@pytest.mark.usefixtures("processor_clock")
def test_what_is_slow_is_given_up_in_part_or_as_a_whole() -> None:
    law = probe(Slow, seconds=2)  # 600 steps of 0.02 s each are more
    assert law.formula == DECAYED
    assert law.objective == "its steps are too slow to find what it solves"
    with pytest.raises(ValueError, match=r"it takes more than 0.5 s"):
        probe(Stuck, seconds=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("lr", "lost"), [(1e-3, True), (1.0, False)])
def test_a_decay_that_half_precision_loses_is_said(lr: float, lost: bool) -> None:
    law = probe_law("torch.optim.AdamW", lr=lr, weight_decay=0.1)
    assert ("in bfloat16 a decay this weak is lost: no weight moves" in law.notes) is lost


@pytest.mark.slow
def test_a_law_shows_itself() -> None:
    law = probe_law("torch.optim.SGD,momentum=0.9", lr=0.01, weight_decay=0.5)
    assert "\n" not in str(law)
    assert law.report().startswith("torch.optim.SGD(momentum=0.9) at lr=0.01, weight_decay=0.5\n")
    assert "<table>" in law._repr_html_()
    assert (
        "<lambda>" not in probe_law(lambda params, lr, weight_decay: SGD(params, lr))._repr_html_()
    )
