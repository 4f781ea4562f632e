"""A study that is killed goes on where it was."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from shrinkage.study import compare, load

pytestmark = pytest.mark.slow

# Trials in threads would be done too soon for an end amid them.
CODE = """
import time
from shrinkage.study.training import engines
train = engines.run_trial
def run_slowly(study, trial, parts, stop=None):
    time.sleep(0.3)
    return train(study, trial, parts, stop)
if {is_slow}:
    engines.run_trial = run_slowly
from shrinkage.cli import main; main()
"""
QUESTION = ("iris", "--penalty", "l1@proximal", "--strengths", "1e-4:1e-1:9", "--seeds", "2")
TRIALS = 20  # and of no penalty
ENOUGH = 2  # records before each end
PATIENCE = 1800  # seconds; a slow machine is no failure


def start(folder, settings):
    options = [f"--{key}={value}" for key, value in settings.items()]
    code = CODE.format(is_slow=settings["model"] == "linear")
    return subprocess.Popen(
        [sys.executable, "-c", code, "compare", *QUESTION, *options, "--jobs=2", f"--out={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kept(folder):
    """Every record that can be read at this moment: its trial and its seconds."""
    if not (folder / "study.sqlite").exists():
        return set()
    address = f"file:{folder / 'study.sqlite'}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            query = "SELECT method, strength, seed, seconds FROM records"
            return set(connection.execute(query))
    except sqlite3.OperationalError:  # not begun yet, or just being written
        return set()


def until_enough(folder, process, before):
    end = time.monotonic() + PATIENCE
    while len(kept(folder)) < len(before) + ENOUGH:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no records came"
        time.sleep(0.01)


def ended(folder, settings, *signals):
    """What stands in the folder after a run that gets these signals, and what it said."""
    before = kept(folder)
    with start(folder, settings) as process:
        until_enough(folder, process, before)
        for number in signals:
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does: to all processes at once
            else:
                process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    after = kept(folder)
    assert before < after, "a record was lost or made again"
    assert len(after) < TRIALS - 1, "ended too late to show anything"
    return after, process.returncode, said


def ending(folder, how):
    return f"shrinkage: {how}; {folder} keeps what is done, and the same command goes on from it"


@pytest.mark.parametrize(
    "settings",
    [{"model": "mlp:64", "optimizer": "rmsprop", "epochs": 80}, {"model": "linear", "epochs": 80}],
    ids=["processes", "threads"],
)
def test_killed_and_started_again_loses_nothing_and_does_nothing_twice(tmp_path, settings):
    folder = tmp_path / "study"
    ended(folder, settings, signal.SIGKILL)
    _, code, said = ended(folder, settings, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert said.splitlines()[-1] == ending(folder, "terminated")
    before, code, said = ended(folder, settings, signal.SIGINT, signal.SIGINT)
    assert code == 130
    assert said.splitlines()[-1] == ending(folder, "interrupted")
    assert "Traceback" not in said
    settings = {"penalty": "l1@proximal", "strengths": "1e-4:1e-1:9", "seeds": 2, **settings}
    resumed = compare("iris", out=folder, jobs=1, quiet=True, **settings)
    assert before < kept(folder), "a record was lost or made again"
    whole = compare("iris", out=tmp_path / "whole", jobs=1, quiet=True, **settings)
    assert len(resumed.records) == TRIALS
    engine = "solved" if settings["model"] == "linear" else "torch"
    assert {record.engine for record in resumed.records} == {engine}
    assert [r.trial for r in resumed.records] == [r.trial for r in whole.records]
    assert [r.history for r in resumed.records] == [r.history for r in whole.records]
    assert repr(load(folder)) == repr(resumed)
    assert resumed.verdict == whole.verdict
