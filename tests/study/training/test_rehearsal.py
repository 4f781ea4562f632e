"""What a rehearsal tells of the trials to come."""

import time
from dataclasses import replace

import pytest
from torch import nn

from shrinkage.study.errors import UsageError
from shrinkage.study.records import Trial
from shrinkage.study.training import engines, torch_rehearsal
from shrinkage.study.training.fit_trial import run_trial
from shrinkage.study.training.rehearsal import rehearse


@pytest.fixture
def by_torch(monkeypatch):
    monkeypatch.setattr(engines, "choose_engine", lambda *arguments: "torch")


@pytest.mark.usefixtures("by_torch")
def test_a_trial_takes_its_steps_and_its_measurements(ready, monkeypatch):
    """By a clock that each step puts forward by 2 seconds, the first by an hour."""
    study, parts = ready(epochs=300, batch=40)  # 2 steps in each epoch of 75 rows
    clock = [0.0]
    taken: list[int] = []

    def step(*arguments: object) -> None:
        clock[0] += 2.0 if taken else 3600.0
        taken.append(1)

    def score(*arguments: object) -> None:
        clock[0] += 0.5

    monkeypatch.setattr(torch_rehearsal, "take_step", step)
    monkeypatch.setattr(torch_rehearsal, "score_model", score)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    seconds = rehearse(study, parts, study.methods)
    assert seconds == dict.fromkeys(study.methods, 600 * 2.0 + 40 * 0.5)


def test_what_diverges_at_once_takes_no_time(ready):
    study, parts = ready(optimizer="sgd", lr=1e38, model="linear", methods=("none",))
    assert run_trial(study, Trial("none", 0.0, 0), parts).status == "diverged"
    assert rehearse(study, parts, study.methods)["none"] >= 0.0


def test_what_torch_refuses_is_refused_before_a_loop_is_compiled(ready, monkeypatch):
    def compile_loops(*arguments):
        raise AssertionError("compiled")

    monkeypatch.setattr(engines, "run_trial", compile_loops)
    study, parts = ready(methods=("none", "l1@proximal", "nuclear_norm@proximal"))
    with pytest.raises(UsageError, match=r"nuclear_norm@proximal cannot be trained .* use SGD"):
        rehearse(study, parts, study.methods)


@pytest.mark.usefixtures("by_torch")
def test_long_steps_are_taken_twice(ready, monkeypatch):
    monkeypatch.setattr(torch_rehearsal, "LONG", 0.0)
    study, parts = ready(methods=("none",))
    calls = []
    forward = nn.Sequential.forward
    monkeypatch.setattr(
        nn.Sequential, "forward", lambda self, x: (calls.append(self.training), forward(self, x))[1]
    )
    rehearse(study, parts, study.methods)
    assert calls.count(True) == 2


def test_a_compiled_trial_is_timed_by_a_few_of_its_steps(ready, monkeypatch):
    """By an engine that takes a second for each epoch."""
    study, parts = ready(epochs=300, batch=40, methods=("none",))  # 2 steps in each epoch
    record = run_trial(study, Trial("none", 0.0, 0), parts)
    rows = []

    def train(study, trial, parts):
        rows.append((len(parts.train.X), len(parts.validation.X)))
        return replace(record, seconds=float(study.epochs))

    monkeypatch.setattr(engines, "choose_engine", lambda *arguments: "compiled")
    monkeypatch.setattr(engines, "run_trial", train)
    assert rehearse(study, parts, study.methods) == {"none": 600.0}
    assert rows == [(40, min(40, len(parts.validation.X)))] * 2
