"""The folder of a study: every record as it comes, one owner, one question."""

import csv
import itertools
import json
import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from threading import Event, Semaphore

import numpy as np
import pytest

from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Choice, FeatureUse, Surface
from shrinkage.study.storage import sqlite_rows, store
from shrinkage.study.storage.folder_lock import is_in_use
from shrinkage.study.storage.trials_csv import write_csv

FACTS = {
    "question": {"methods": ["none", "l1@proximal"], "seeds": 1, "strengths": [1e-3, 0.1]},
    "provenance": {"command": "shrinkage compare"},
    "data": {"name": "iris", "task": "classes"},
}
IDENTITY = {"seeds": 1, "data": "abc"}


@pytest.fixture
def records(record_of):
    return [
        record_of("l1@proximal", 0.1, 0, None, history={"data_loss": [math.nan]}, state={}),
        record_of("l1@proximal", 1e-3, 0, 1 / 3),
        record_of("none", 0.0, 0, 0.1 + 0.2),
    ]


def equal(one, other):
    same = all(np.array_equal(one.state[k], other.state[k]) for k in one.state | other.state)
    return same and repr(replace(one, state={})) == repr(replace(other, state={}))


def test_records_come_back_exactly_and_in_the_order_of_the_question(tmp_path, records):
    with store.open_store(tmp_path / "a" / "b", IDENTITY, FACTS) as kept:
        for record in records:
            kept.add(record)
    results = store.load(tmp_path / "a" / "b")
    assert len(results.records) == 3
    for one, other in zip(results.records, records[::-1], strict=True):
        assert equal(one, other)
    assert results.records[0].state["0.weight"].dtype == np.float32
    assert (results.question, results.provenance, results.data) == tuple(FACTS.values())


def test_an_unfinished_study_has_choices_so_far_and_no_verdict(tmp_path, records):
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.add(records[1])
        assert not kept.is_finished()
    results = store.load(tmp_path)
    assert [(c.method, c.rule, c.test_scores) for c in results.choices] == [
        ("l1@proximal", "best", []),
        ("l1@proximal", "one-se", []),
    ]
    assert results.verdict == ""


def test_a_record_is_kept_at_once(tmp_path, records):
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.add(records[0])
        assert len(store.load(tmp_path).records) == 1


def test_nothing_is_kept_twice(tmp_path, records):
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.add(records[0])
        with pytest.raises(sqlite3.IntegrityError):
            kept.add(records[0])


def test_choices_come_back_exactly(tmp_path):
    surface = Surface(np.arange(3.0), np.arange(2.0), np.ones((2, 3), dtype=np.int64))
    choices = [
        Choice(
            "none", "best", 0.0, "", 0.1 + 0.2, math.nan, [1 / 3], 0.0, 0.5, 8, 0.1, surface, 0.2
        ),
        Choice("l1@proximal", "one-se", 0.1, "highest", 0.9, 0.01, [0.5], 0.7, 0.0, 8, 0.1, None),
    ]
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.finish(choices)
        kept.finish(choices)
    results = store.load(tmp_path)
    assert repr(results.choices) == repr(choices)
    assert results.choices[0].surface is not None
    np.testing.assert_array_equal(results.choices[0].surface.prediction, surface.prediction)
    assert results.verdict.startswith("Use l1@proximal")


def test_a_folder_of_an_earlier_version_is_read(tmp_path):
    """Its verdict was kept as words, its test scores without their error, its facts without more"""
    choice = Choice("none", "best", 0.0, "", 0.9, 0.01, [0.5], 0.0, 0.0, 8, 0.1, None)
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.finish([choice])
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("DELETE FROM study WHERE key = 'finished'")
        connection.execute("INSERT INTO study VALUES ('verdict', '\"Use none.\"')")
        connection.execute("UPDATE choices SET test_scores = '[0.5]'")
    connection.close()
    results = store.load(tmp_path)
    assert repr(results.choices) == repr([choice])
    assert results.baseline is None
    assert results.verdict.startswith("Use no penalty: its accuracy in validation is 0.900.")
    told = "This older folder does not hold the score of the majority class: compare again"
    assert told in results.verdict


def test_what_is_asked_or_known_now_is_kept_when_a_folder_is_taken_up_again(tmp_path):
    with store.open_store(tmp_path, IDENTITY, FACTS):
        pass
    facts = {
        **FACTS,
        "question": {**FACTS["question"], "prefer": "sparse"},
        "provenance": {"command": "another"},
    }
    with store.open_store(tmp_path, IDENTITY, facts) as kept:
        assert kept.read_results().question["prefer"] == "sparse"
        assert kept.read_results().provenance == FACTS["provenance"]


def test_a_folder_is_taken_up_again_by_the_same_question_alone(tmp_path, records):
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.add(records[0])
    with store.open_store(tmp_path, dict(IDENTITY), FACTS) as kept:
        kept.add(records[1])
    other = {"seeds": 5, "data": "xyz"}
    with (
        pytest.raises(
            UsageError,
            match=r"different in data \(other contents\), seeds \(1 there, 5 here\): name",
        ),
        store.open_store(tmp_path, other, FACTS),
    ):
        pass
    assert len(store.load(tmp_path).records) == 2


def test_a_folder_of_another_version_is_refused_in_words(tmp_path):
    with store.open_store(tmp_path, {**IDENTITY, "format": 1}, FACTS):
        pass
    with (
        pytest.raises(UsageError, match="another version of shrinkage made it"),
        store.open_store(tmp_path, {**IDENTITY, "format": 2}, FACTS),
    ):
        pass


def test_a_second_owner_is_refused_while_the_first_is_there(tmp_path):
    with (
        store.open_store(tmp_path, IDENTITY, FACTS),
        pytest.raises(UsageError, match="in use by another"),
        store.open_store(tmp_path, IDENTITY, FACTS),
    ):
        pass
    with store.open_store(tmp_path, IDENTITY, FACTS):
        pass


def test_a_full_disk_stops_with_a_sentence_and_keeps_what_is_there(tmp_path, records):
    """SQLite meets its page limit with the very error of a full disk."""
    large = replace(records[1], state={"w": np.random.default_rng(0).normal(size=100_000)})
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.add(records[0])
        pages = kept._connection.execute("PRAGMA page_count").fetchone()[0]
        kept._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoppedError, match=r"the disk is full: .* keeps the records so far"):
            kept.add(large)
    assert len(store.load(tmp_path).records) == 1
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        kept.add(large)
    assert len(store.load(tmp_path).records) == 2


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="cannot be written"),
        store.open_store(tmp_path / name, IDENTITY, FACTS),
    ):
        pass


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / store.FILE).write_text("hello, I am a text" * 100)
    for attempt in (lambda: store.load(tmp_path), lambda: _open(tmp_path)):
        with pytest.raises(UsageError, match="cannot be opened as a study"):
            attempt()


def _open(folder):
    with store.open_store(folder, IDENTITY, FACTS):
        pass


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no study: there is no study.sqlite"):
        store.load(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_trials_csv_is_made_from_the_records_alone(tmp_path, records):
    with store.open_store(tmp_path, IDENTITY, FACTS) as kept:
        for record in records:
            kept.add(record)
    write_csv(store.load(tmp_path), tmp_path / "trials.csv")
    lines = (tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines))
    assert [(row["method"], float(row["strength"]), row["status"]) for row in rows] == [
        ("none", 0.0, "ok"),
        ("l1@proximal", 0.001, "ok"),
        ("l1@proximal", 0.1, "diverged"),
    ]
    assert float(rows[0]["validation_score"]) == 0.1 + 0.2
    assert rows[2]["validation_score"] == ""
    assert rows[2]["reason"] == "step 3: the loss is nan"
    assert not list(tmp_path.glob(".*"))


def test_a_running_study_can_be_read_at_any_time(tmp_path, record_of):
    """A reader and the writer wait for each other, and neither is told of a lock."""
    question = {**FACTS["question"], "seeds": 100_000}
    numbers = itertools.count(1)
    room = Semaphore(0)  # for records: without a bound each reading would take longer than the last
    is_written = Event()

    def read_as_they_come():
        counts = [len(store.load(tmp_path).records)]
        while len(counts) < 10 or not is_written.is_set():
            room.release(5)
            counts.append(len(store.load(tmp_path).records))
        return [*counts, len(store.load(tmp_path).records)]

    with store.open_store(tmp_path, IDENTITY, {**FACTS, "question": question}) as kept:
        kept.add(record_of("l1@proximal", 1e-3, 0, 0.5))
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_as_they_come)
            try:
                while not reading.done():
                    if room.acquire(timeout=0.1):
                        kept.add(record_of("l1@proximal", 1e-3, next(numbers), 0.5))
                        is_written.set()
            finally:  # a writer that fails leaves no reader waiting
                is_written.set()
        counts = reading.result()
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] <= len(store.load(tmp_path).records)


def test_a_process_that_runs_the_study_is_known(tmp_path):
    assert not is_in_use(tmp_path)
    with store.open_store(tmp_path, IDENTITY, FACTS):
        assert is_in_use(tmp_path)
    assert not is_in_use(tmp_path)


def test_the_slope_of_a_column_in_tiny_units_is_not_damaged():
    use = FeatureUse("none", 0.0, "mass", 2, 2, 0.9, 0.1, coefficient=1.0, original=3e130)
    assert sqlite_rows.decode_features(json.dumps([asdict(use)])) == [use]
