"""Trials in threads of this process, which an engine allows that does not hold Python's lock."""

import threading
import time
from concurrent.futures import CancelledError

import pytest

from shrinkage.study.errors import StoppedError
from shrinkage.study.running import local
from shrinkage.study.training import engines

PATIENCE = 600  # seconds; a slow machine is no failure


@pytest.fixture
def engine(monkeypatch):
    """Run trials by a function of (trial, stop), as if by the compiled engine."""

    def install(run, method=None):
        monkeypatch.setattr(
            engines,
            "choose_engine",
            lambda study, name, outputs: "compiled" if method in (None, name) else "torch",
        )
        train = engines.run_trial
        monkeypatch.setattr(
            engines,
            "run_trial",
            lambda study, trial, parts, stop=None: (
                run(trial, stop) if method in (None, trial.method) else train(study, trial, parts)
            ),
        )

    return install


def test_trials_run_in_threads_at_the_same_time(engine, ready):
    together = threading.Barrier(2, timeout=PATIENCE)

    def run(trial, stop):
        together.wait()  # breaks, unless two trials wait at the same time
        return trial, threading.current_thread()

    engine(run)
    study, parts = ready()
    came = list(local.run_trials(study, study.trials(), [parts, parts], 2))
    assert {trial for trial, _ in came} == set(study.trials())
    assert threading.main_thread() not in {thread for _, thread in came}
    assert not [thread for _, thread in came if thread.is_alive()]


def test_those_of_torch_follow_in_processes(engine, ready, monkeypatch):
    handed = []
    monkeypatch.setattr(
        local,
        "run_in_processes",
        lambda study, trials, *rest: handed.extend(trials) or iter(trials),
    )
    engine(lambda trial, stop: trial, method="l1@proximal")
    study, parts = ready()
    came = list(local.run_trials(study, study.trials(), [parts, parts], 2))
    assert {trial.method for trial in handed} == {"none", "l2@coupled"}
    assert {trial.method for trial in came[: -len(handed)]} == {"l1@proximal"}
    assert came[-len(handed) :] == handed
    assert set(came) == set(study.trials())


def test_no_process_starts_where_no_trial_needs_torch(engine, ready, monkeypatch):
    monkeypatch.setattr(local, "run_in_processes", None)
    engine(lambda trial, stop: trial)
    study, parts = ready()
    assert len(list(local.run_trials(study, study.trials(), [parts, parts], 2))) == 10


def test_an_interrupt_stops_the_trials_that_run(engine, ready):
    begun, ended = [], []

    def run(trial, stop):
        begun.append(trial)
        if trial == study.trials()[0]:
            return trial
        assert stop.wait(PATIENCE)
        ended.append(trial)
        raise CancelledError

    engine(run)
    study, parts = ready()
    records = local.run_trials(study, study.trials(), [parts, parts], 2)
    assert next(records) == study.trials()[0]
    until = time.monotonic() + PATIENCE
    while len(begun) < 3:
        assert time.monotonic() < until
        time.sleep(0.001)
    with pytest.raises(KeyboardInterrupt):
        records.throw(KeyboardInterrupt)
    assert len(ended) == 2
    assert len(begun) == 3  # of those that waited none began


def test_a_trial_that_fails_ends_the_study_in_a_sentence(engine, ready):
    def run(trial, stop):
        raise ZeroDivisionError("of all things")

    engine(run)
    study, parts = ready()
    with pytest.raises(StoppedError, match="cannot be trained: ZeroDivisionError: of all things"):
        list(local.run_trials(study, study.trials(), [parts, parts], 2))
