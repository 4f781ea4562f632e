"""A study that is killed goes on where it was."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from shrinkage.study import compare, load

pytestmark = pytest.mark.slow

# One process imports what the commands need, and each command is a fork of it. A command sends
# itself the signals when its second record is on the disk. It takes no third one: however slow the
# disk or the machine is, the study ends amid its trials.
CODE = """
import json, os, signal, sys, threading, time
import shrinkage.study.comparing
from shrinkage.cli import main
from shrinkage.study.storage.record_writer import RecordWriter
from shrinkage.study.storage.store import Store

ENOUGH = 2
modules, patience = json.loads(sys.argv.pop(1))
for module in modules:
    __import__(module)
add_record, store_records = RecordWriter.add, Store.add
added, stored, are_enough = [], [], threading.Event()

def end():
    are_enough.wait()
    for number in signals:
        os.killpg(0, number) if to_all else os.kill(os.getpid(), number)

def add(self, record):
    if len(added) == ENOUGH:
        time.sleep(patience)
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
for line in sys.stdin:
    signals, to_all = json.loads(line)
    here, there = os.pipe()
    command = os.fork()
    if not command:
        os.setsid()
        # What a shell starts in the background, such as these tests, ignores Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(there, 1), os.dup2(there, 2)
        os.close(there)
        main()
        sys.exit()
    os.close(there)
    with open(here) as pipe:
        said = pipe.read()  # until its workers have ended as well
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    print(json.dumps([code, said]), flush=True)
"""
QUESTION = ("friedman", "--penalty", "l1@proximal", "--strengths", "1e-4:1e-1:4", "--seeds", "2")
TRIALS = 10  # and of no penalty
PATIENCE = 1800  # seconds; a slow machine is no failure


def kept(folder):
    """Every record: its trial and its seconds, by which one made again would be noticed."""
    if not (folder / "study.sqlite").exists():
        return set()
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        return set(connection.execute("SELECT method, strength, seed, seconds FROM records"))


@contextmanager
def command(folder, settings, modules):
    """A function: what stands in the folder after a run that gets signals, and what it said."""
    given = json.dumps([modules, PATIENCE])
    options = [f"--{key}={value}" for key, value in settings.items()]
    arguments = ["compare", *QUESTION, *options, "--jobs=2", f"--out={folder}"]
    with subprocess.Popen(
        [sys.executable, "-c", CODE, given, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:

        def end_by(*signals):
            before = kept(folder)
            to_all = signal.SIGINT in signals  # a terminal sends Ctrl-C to all processes at once
            print(json.dumps([signals, to_all]), file=process.stdin, flush=True)
            code, said = json.loads(process.stdout.readline())
            after = kept(folder)
            assert len(before) + 2 == len(after) < TRIALS, said
            assert before < after, "a record was lost or made again"
            return after, code, said

        yield end_by


def ending(folder, how):
    return f"shrinkage: {how}; {folder} keeps what is done, and the same command goes on from it"


@pytest.mark.parametrize(
    ("settings", "modules", "first"),
    [
        (
            {"model": "mlp:64", "optimizer": "rmsprop", "epochs": 10},
            ["shrinkage.torch", "torch._dynamo"],
            [signal.SIGKILL],
        ),
        # For the command SIGTERM is a SIGINT with another word.
        ({"model": "linear", "epochs": 40}, [], [signal.SIGKILL, signal.SIGTERM]),
    ],
    ids=["processes", "threads"],
)
def test_killed_and_started_again_loses_nothing_and_does_nothing_twice(
    tmp_path, settings, modules, first
):
    folder = tmp_path / "study"
    with command(folder, settings, modules) as end_by:
        for number in first:
            _, code, said = end_by(number)
            if number == signal.SIGKILL:
                assert code == -number
            else:
                assert code == 128 + number
                assert said.splitlines()[-1] == ending(folder, "terminated")
        before, code, said = end_by(signal.SIGINT, signal.SIGINT)
        assert code == 130
        assert said.splitlines()[-1] == ending(folder, "interrupted")
        assert "Traceback" not in said
    settings = {"penalty": "l1@proximal", "strengths": "1e-4:1e-1:4", "seeds": 2, **settings}
    resumed = compare("friedman", out=folder, jobs=1, quiet=True, **settings)
    assert before < kept(folder), "a record was lost or made again"
    whole = compare("friedman", out=tmp_path / "whole", jobs=1, quiet=True, **settings)
    assert len(resumed.records) == TRIALS
    engine = "solved" if settings["model"] == "linear" else "torch"
    assert {record.engine for record in resumed.records} == {engine}
    assert [r.trial for r in resumed.records] == [r.trial for r in whole.records]
    assert [r.history for r in resumed.records] == [r.history for r in whole.records]
    assert repr(load(folder)) == repr(resumed)
    assert resumed.verdict == whole.verdict
