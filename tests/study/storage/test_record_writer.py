"""Records are written while others are made, and an error is raised where records are added."""

import threading

import pytest

from shrinkage.study.errors import StoppedError
from shrinkage.study.storage.record_writer import RecordWriter

PATIENCE = 60.0  # seconds; a slow machine is no failure


def test_records_that_come_during_a_transaction_share_the_next_one(record_of):
    records = [record_of("none", 0.0, seed, 0.5) for seed in range(4)]
    groups = []
    begun, released = threading.Event(), threading.Event()

    def write(*group):
        begun.set()
        assert released.wait(PATIENCE)
        groups.append(list(group))

    with RecordWriter(write) as writer:
        writer.add(records[0])
        assert begun.wait(PATIENCE)  # it is being written, before any other comes
        for record in records[1:]:
            writer.add(record)
        released.set()
    assert groups == [records[:1], records[1:]]


def add_and_interrupt(write, record):
    with RecordWriter(write) as writer:
        writer.add(record)
        raise KeyboardInterrupt


def test_what_was_added_is_written_when_the_trials_end_early(record_of):
    written = []
    with pytest.raises(KeyboardInterrupt):
        add_and_interrupt(lambda *group: written.extend(group), record_of("none", 0.0, 0, 0.5))
    assert [record.trial.seed for record in written] == [0]


def test_ctrl_c_on_leaving_waits_for_what_is_being_written(record_of, monkeypatch):
    written, left = [], threading.Event()

    def write(*group):
        assert left.wait(PATIENCE)
        written.extend(group)

    def release_and_join():
        left.set()
        join()

    def interrupted_join():
        monkeypatch.setattr(writer._thread, "join", release_and_join)
        raise KeyboardInterrupt

    writer = RecordWriter(write)
    join = writer._thread.join
    monkeypatch.setattr(writer._thread, "join", interrupted_join)
    with pytest.raises(KeyboardInterrupt), writer:
        writer.add(record_of("none", 0.0, 0, 0.5))
    assert not writer._thread.is_alive()
    assert len(written) == 1


def add_twice(write, record):
    with RecordWriter(write) as writer:
        writer.add(record)
        writer._thread.join(PATIENCE)
        writer.add(record)
        raise AssertionError("a record was taken that will not be written")


def test_an_error_stops_the_trials_with_the_next_record_or_at_the_end(record_of):
    def write(*group):
        raise StoppedError("the disk is full")

    record = record_of("none", 0.0, 0, 0.5)
    with pytest.raises(StoppedError, match="the disk is full"):
        add_twice(write, record)
    with pytest.raises(StoppedError, match="the disk is full"), RecordWriter(write) as writer:
        writer.add(record)
