"""A study that is killed goes on where it was."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from shrinkage.study import compare, load

pytestmark = pytest.mark.slow

# The command sends itself the signals when its second record is on the disk. It takes no third one:
# however slow the disk or the machine is, the study ends amid its trials.
CODE = """
import os, threading, time
from shrinkage.cli import main
from shrinkage.study.storage.record_writer import RecordWriter
from shrinkage.study.storage.store import Store

ENOUGH = 2
add_record, store_records = RecordWriter.add, Store.add
added, stored, are_enough = [], [], threading.Event()

def end():
    are_enough.wait()
    for number in {signals}:
        os.killpg(0, number) if {to_all} else os.kill(os.getpid(), number)

def add(self, record):
    if len(added) == ENOUGH:
        time.sleep({patience})
    add_record(self, record)
    added.append(record)
    if len(added) == ENOUGH:
        threading.Thread(target=end, daemon=True).start()

def store(self, *records):
    store_records(self, *records)
    stored.extend(records)
    if len(stored) == ENOUGH:
        are_enough.set()

RecordWriter.add, Store.add = add, store
main()
"""
QUESTION = ("iris", "--penalty", "l1@proximal", "--strengths", "1e-4:1e-1:9", "--seeds", "2")
TRIALS = 20  # and of no penalty
PATIENCE = 1800  # seconds; a slow machine is no failure


def kept(folder):
    """Every record: its trial and its seconds, by which one made again would be noticed."""
    if not (folder / "study.sqlite").exists():
        return set()
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        return set(connection.execute("SELECT method, strength, seed, seconds FROM records"))


def ended(folder, settings, *signals):
    """What stands in the folder after a run that gets these signals, and what it said."""
    before = kept(folder)
    # A terminal sends Ctrl-C to all processes at once.
    code = CODE.format(
        signals=[int(number) for number in signals],
        to_all=signal.SIGINT in signals,
        patience=PATIENCE,
    )
    options = [f"--{key}={value}" for key, value in settings.items()]
    process = subprocess.run(
        [sys.executable, "-c", code, "compare", *QUESTION, *options, "--jobs=2", f"--out={folder}"],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
    )
    after = kept(folder)
    assert len(before) + 2 <= len(after) < TRIALS
    assert before < after, "a record was lost or made again"
    return after, process.returncode, process.stderr


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
