"""What fails, never ends, or is no optimizer gets a sentence; no law is told that is not one."""

from __future__ import annotations

import functools
import math
import os
import signal
import subprocess
import threading
from typing import Any

import pytest
import torch
import torch_optimizer

from probing import black_boxes, hostile
from probing.short import probe_law
from shrinkage.torch import probe

DECAYED = "w ← (1 − lr·wd)·w"
SYSTEM = functools.partial(os.system)

REFUSED = {
    hostile.Raises: "RuntimeError: a bug",
    hostile.RaisesInTheClosure: "ValueError: a bug behind it",
    hostile.RaisesAtTheSecondStep: "RuntimeError: the second step",
    hostile.RaisesWithDecay: "RuntimeError: no decay, please",
    hostile.MakesNaN: "its weights are not finite after 2 steps",
    hostile.DoesNothingAtAll: "no gradient moves its weights, within 300 steps",
    hostile.DecaysAlone: "no gradient moves its weights",
    hostile.StepsAnother: "no gradient moves its weights",
    hostile.of_other_weights: "no gradient moves its weights",
    hostile.made_only_once: "no gradient moves its weights",
    hostile.Exits: "it fails on the way: SystemExit: 0",
    hostile.Random: "two runs from the same start end differently",
    hostile.VectorsAlone: r"of shape \(4, 6\) alone and decays those of shape \(24,\)",
    hostile.LargeAlone: r"of shape \(4, 6\) alone and decays those of shape \(20, 11\)",
    hostile.Nameless: r"arguments without a name \(\*args\)",
}
NO_OPTIMIZERS = {
    os.system: "it is no optimizer, and its arguments are not those of an optimizer",
    SYSTEM: "it is no optimizer",
    exec: "it is no optimizer",
    print: "it is no optimizer",
    subprocess.run: "it is no optimizer",
    subprocess.Popen: r"it has no step\(\); name a class of optimizers",
    dict: r"it has no step\(\)",
    torch.nn.Linear: r"it has no step\(\)",
    torch.nn.Linear(2, 2): "it is no optimizer",
    torch.optim.Optimizer: "it is the class that optimizers descend from",
    torch.optim.lr_scheduler.ConstantLR: "it makes no optimizer: what it returns is of type",
    hostile.returns_a_list: "what it returns is of type list",
    hostile.returns_a_class: "what it returns is a class",
    hostile.trains: "it is no optimizer",
    hostile.runs: "it is no optimizer",
    hostile.deletes: "it is no optimizer",
}


@pytest.mark.quick_where(factory=[next(iter(REFUSED))])
@pytest.mark.parametrize("factory", REFUSED, ids=lambda factory: factory.__name__)
def test_what_takes_no_step_is_refused(factory: Any) -> None:
    with pytest.raises(ValueError, match=f"cannot be probed: .*{REFUSED[factory]}"):
        probe(factory)


@pytest.mark.parametrize(
    "factory", NO_OPTIMIZERS, ids=lambda one: getattr(one, "__name__", type(one).__name__)
)
def test_what_is_no_optimizer_is_refused_and_not_called(factory: Any) -> None:
    with pytest.raises(ValueError, match=f"cannot be probed: .*{NO_OPTIMIZERS[factory]}"):
        probe(factory)


def test_an_optimizer_that_is_made_already_is_refused_with_the_remedy() -> None:
    made = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    with pytest.raises(TypeError, match="must be callable or text, got SGD; give the class, SGD"):
        probe(made)


@pytest.mark.parametrize("box", [hostile.NeverEnds, hostile.CatchesWhatEndsIt])
def test_a_step_that_never_ends_is_given_up(box: type) -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ValueError, match=r"it takes more than 0\.2 s$"):
        probe(box, timeout=0.2)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.slow
def test_an_alarm_of_someone_else_is_left_alone() -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1000.0)
    try:
        assert probe_law(hostile.Plain, timeout=500).formula == DECAYED
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
def test_a_probe_in_another_thread_needs_no_alarm() -> None:
    laws = []
    thread = threading.Thread(target=lambda: laws.append(probe_law(hostile.Plain)))
    thread.start()
    thread.join()
    assert laws[0].formula == DECAYED


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan])
def test_a_time_limit_is_above_0(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be > 0"):
        probe(torch.optim.SGD, timeout=timeout)


# box -> the formula that its code says, at any size of the tensor; each is no L2
SIZED = {
    black_boxes.OfTheNorm: "w ← w − lr·wd·w·‖w‖⁻¹",
    black_boxes.TimesTheNorm: "w ← w − lr·wd·w·‖w‖",
    hostile.OfRMS: "w ← w − 0.01·wd·w·RMS(w)",
    hostile.OfTheMean: "w ← w − lr·wd·w·mean|w|",
    hostile.OfTheLargest: "w ← w − lr·wd·w·max|w|⁻¹",
    hostile.OfTheCount: "w ← w − lr·wd·sign(w)·n⁻¹",
    hostile.OfTheRows: "w ← w − 2·lr·wd·w·(rows + columns)⁻¹",
    torch_optimizer.Adafactor: "w ← w − 0.01·wd·w·RMS(w)",
}
SLOW_TO_CONVERGE = {hostile.OfRMS, torch_optimizer.Adafactor}


@pytest.mark.slow
@pytest.mark.parametrize("box", SIZED, ids=lambda box: box.__name__)
def test_the_law_holds_at_any_size(box: type) -> None:
    law = probe(box)
    assert law.formula == SIZED[box]
    assert law.misfit < 1e-9
    why = (
        "it does not converge within 600 steps"
        if box in SLOW_TO_CONVERGE
        else "its strength differs from tensor to tensor or from weight to weight"
    )
    assert law.objective == f"it is not known what it solves: {why}"


def test_adafactors_law_predicts_its_step_on_another_tensor() -> None:
    moved = []
    for weight_decay in (0.0, 0.1):
        w = torch.nn.Parameter(torch.full((100, 100), 3.0, dtype=torch.float64))
        optimizer = torch_optimizer.Adafactor([w], weight_decay=weight_decay)
        w.grad = torch.zeros_like(w)
        optimizer.step()
        moved.append(w.detach().clone())
    said = 0.01 * 0.1 * 3.0 * 3.0  # RMS(w) is 3, and so is each weight
    torch.testing.assert_close(moved[0] - moved[1], torch.full_like(moved[0], said))


@pytest.mark.slow
@pytest.mark.parametrize(
    "box",
    [hostile.SmallAlone, hostile.PositiveAlone, hostile.OfTheGradient, hostile.OfTheMedian],
)
def test_a_law_that_holds_for_some_alone_is_none(box: type) -> None:
    law = probe_law(box)
    assert law.misfit > 0.3
    assert law.law.startswith("no simple law")


# factory -> what its arguments are called
NAMES = {
    hostile.CalledWd: ("its lr is called learning_rate", "its weight_decay is called wd"),
    hostile.CalledL2: ("its weight_decay is called l2_reg",),
    hostile.CalledLambda: ("its lr is called step_size", "its weight_decay is called lambda_"),
    hostile.ByPosition: ("its weight_decay is called decay",),
    hostile.ByKeyword: ("its weight_decay is called weight_decay_rate",),
    hostile.Plain: (),
}


@pytest.mark.slow
@pytest.mark.parametrize("box", NAMES, ids=lambda box: box.__name__)
def test_other_names_of_the_arguments_are_known_and_said(box: type) -> None:
    law = probe_law(box)
    assert law.formula == DECAYED
    assert tuple(note for note in law.notes if "is called" in note) == NAMES[box]


@pytest.mark.slow
def test_a_decay_that_is_none_of_the_weights_has_no_law() -> None:
    assert not probe_law(hostile.DecayOfTheRate).is_simple


def test_what_is_like_an_optimizer_is_probed() -> None:
    law = probe(hostile.Homemade)
    assert law.formula == "w ← (1 − lr₀·wd)·w"  # no schedule reaches its learning rate
    assert law.objective == "solves J with L2 strength wd (½·s·Σw²)"


@pytest.mark.slow
def test_a_decay_at_some_steps_alone_is_said() -> None:
    facts = probe_law(hostile.EveryThird).facts
    assert "acts at one step in 3" in facts
    assert "acts from step 3 on" in facts


@pytest.mark.slow
def test_the_growth_of_any_decay_is_said() -> None:
    law = probe_law(hostile.WarmedUp)
    assert law.formula == "w ← w − 0.02·lr·wd·sign(w)"
    assert "after 150 steps it is 50 times as strong as at first" in law.facts
