"""Processes that run trials: how many, how they end, and what they say when a trial cannot."""

import os
import signal
import subprocess
import sys
import time

import joblib
import pytest

from shrinkage.study import StoppedError, UsageError
from shrinkage.study.records import Trial
from shrinkage.study.running import local
from shrinkage.study.training import engines

PATIENCE = 1800  # seconds; a slow machine is no failure
SLEEPER = """
import os, sys, time
sys.modules["torch"] = None  # the watch needs none
from shrinkage.study.running import parent_watch
parent_watch.HEARTBEAT = 0.02
parent_watch.end_with_parent(os.getppid(), os.getcwd())
print(os.getpid(), flush=True)
time.sleep(600)
"""
STARTER = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), flush=True)
time.sleep(600)
"""


def is_running(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_waits_ends_with_the_process_that_started_it(number):
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        worker = int(starter.stdout.readline())
        os.kill(worker, signal.SIGINT)  # is left to the starter
        assert is_running(worker)
        starter.send_signal(number)
        starter.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while is_running(worker):
            assert time.monotonic() < until, "the worker is left behind"
            time.sleep(0.05)


def test_workers_watch_before_their_first_trial(ready, monkeypatch):
    """What a process starts with is the watch over this one."""
    given = {}

    class Parallel:
        def __init__(self, **options):
            given.update(options)

        def __call__(self, tasks):
            return (task for task in ())

    monkeypatch.setattr(joblib, "Parallel", Parallel)
    monkeypatch.setattr(engines, "choose_engine", lambda *arguments: "torch")
    study, parts = ready()
    assert list(local.run_trials(study, study.trials(), [parts, parts], 2)) == []
    assert given["initializer"].__module__ == "shrinkage.study.running.parent_watch"
    assert given["initargs"] == (os.getpid(), os.getcwd())


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True, "2", 10**5, 10**20])
def test_a_number_of_processes_that_cannot_be_is_refused(jobs):
    with pytest.raises(UsageError, match=rf"jobs must be .*, got '?{jobs}'?"):
        local.check_jobs(jobs)


def test_some_processes_for_each_processor_are_taken():
    for jobs in (None, 1, 8 * joblib.cpu_count()):
        local.check_jobs(jobs)


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(0), RecursionError()])
def test_a_trial_that_raises_stops_the_study_and_names_itself(ready, monkeypatch, error):
    def failing(*arguments):
        raise error

    monkeypatch.setattr("shrinkage.study.training.fit_trial.run_trial", failing)
    study, parts = ready(optimizer="rmsprop")
    trial = Trial("l1@proximal", 0.001, 0)
    with pytest.raises(StoppedError, match=r"l1@proximal at 0.001, seed 0, cannot be trained: "):
        list(local.run_trials(study, [trial], [parts], 1))


@pytest.mark.slow
def test_a_process_that_is_killed_stops_the_study_in_a_sentence(ready, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "killed_nets.py").write_text(
        "import os, signal\n"
        f"if os.getpid() != {os.getpid()}:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "import torch\n"
        "def build(features, outputs):\n    return torch.nn.Linear(features, outputs)\n"
    )
    study, parts = ready(model="killed_nets:build")
    with pytest.raises(StoppedError, match="a trial's process was killed"):
        list(local.run_trials(study, study.trials(), [parts, parts], 2))
