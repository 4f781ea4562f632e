"""A study's file that is foreign, damaged, busy, or on a disk that fails: one sentence, no loss."""

import io
import random
import shutil
import sqlite3
import warnings
from contextlib import closing

import numpy as np
import pytest

from shrinkage.report.study_page import render_report
from shrinkage.study import StoppedError, UsageError, compare, load
from shrinkage.study.comparing import run_study
from shrinkage.study.storage import database, store

QUICK = {
    "penalty": "l1@proximal",
    "strengths": [1e-3, 1e-2],
    "seeds": 1,
    "model": "mlp:3",
    "epochs": 2,
    "jobs": 1,
    "quiet": True,
}
FACTS = {
    "question": {"methods": ["none", "l1@proximal"], "seeds": 9, "strengths": [1e-3, 0.1]},
    "provenance": {"command": "shrinkage compare"},
    "data": {"name": "iris", "task": "classes"},
}
IDENTITY = {"seeds": 9, "data": "abc"}
EMPTY_FILE = "PRAGMA application_id = 0; PRAGMA user_version = 0;"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    compare("spiral", out=folder, **QUICK)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of a finished study."""
    return shutil.copytree(finished, tmp_path / "study")


@pytest.fixture
def again():
    return lambda folder: compare("spiral", out=folder, **QUICK)


def execute(folder, statements):
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / store.FILE)) as connection:
        connection.executescript(statements)


def header(folder):
    with closing(sqlite3.connect(folder / store.FILE)) as connection:
        names = ("application_id", "user_version")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]


def opened(folder):
    return store.open_store(folder, IDENTITY, FACTS)


def trials(results):
    return [(record.trial, record.validation_score, record.history) for record in results.records]


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE trials (a)",
        "CREATE TABLE study (a, b, c); INSERT INTO study VALUES (1, 2, 3)",
        "CREATE TABLE records (a)",
        "CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "CREATE VIEW study AS SELECT 1",
        "PRAGMA application_id = 1234",
        "PRAGMA user_version = 3",
        "PRAGMA application_id = 1234; CREATE TABLE trials (a)",
    ],
)
def test_the_database_of_another_program_is_refused_and_stays_as_it_is(tmp_path, statements):
    execute(tmp_path / "theirs", statements)
    before = (tmp_path / "theirs" / store.FILE).read_bytes()
    for attempt in (
        lambda: load(tmp_path / "theirs"),
        lambda: opened(tmp_path / "theirs").__enter__(),
    ):
        with pytest.raises(UsageError, match=r"study.sqlite' is the database of another program"):
            attempt()
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == [store.FILE]
    assert (tmp_path / "theirs" / store.FILE).read_bytes() == before


@pytest.mark.parametrize(
    "statements",
    [
        "ALTER TABLE records ADD COLUMN later TEXT",
        "CREATE TABLE later (a)",
        "PRAGMA user_version = 3",
        EMPTY_FILE + "ALTER TABLE choices ADD COLUMN later TEXT",
    ],
)
def test_a_study_of_a_later_version_is_refused(folder, again, statements):
    execute(folder, statements)
    before = (folder / store.FILE).read_bytes()
    for attempt in (load, again):
        with pytest.raises(UsageError, match="was made by a later version of shrinkage"):
            attempt(folder)
    assert (folder / store.FILE).read_bytes() == before


def test_a_new_study_says_in_its_header_what_it_is(folder):
    assert header(folder) == [database.APPLICATION, database.VERSION]


def test_a_study_from_before_the_header_goes_on_and_gets_it_with_the_next_record(folder, again):
    whole = trials(load(folder))
    execute(
        folder,
        EMPTY_FILE + "DELETE FROM study WHERE key = 'checksum'; DELETE FROM choices;"
        "DELETE FROM study WHERE key = 'verdict'; DELETE FROM records WHERE strength = 0.01",
    )
    assert len(load(folder).records) == 2
    assert header(folder) == [0, 0]
    assert trials(again(folder)) == whole
    assert header(folder) == [database.APPLICATION, database.VERSION]


def test_a_finished_study_from_before_the_header_is_read_and_left_as_it_is(folder, again):
    execute(folder, EMPTY_FILE + "DELETE FROM study WHERE key = 'checksum'")
    before = (folder / store.FILE).read_bytes()
    assert repr(again(folder)) == repr(load(folder))
    assert (folder / store.FILE).read_bytes() == before


def test_a_study_of_the_first_tables_is_read(folder):
    expected = repr(load(folder))
    execute(folder, "ALTER TABLE records DROP COLUMN engine; PRAGMA user_version = 1")
    assert repr(load(folder)) == expected
    assert {record.engine for record in load(folder).records} == {"torch"}


DAMAGE = {
    "one byte more in a state": "state = substr(state, 1, 200) || x'ff' || substr(state, 202)",
    "no state": "state = x''",
    "a state of text": "state = 'weights'",
    "an unknown method": "method = 'zzz'",
    "a method in broken UTF-8": "method = CAST(x'ff41' AS TEXT)",
    "a strength beside the grid": "strength = 0.5",
    "a seed that was not asked for": "seed = 77",
    "an unknown status": "status = 'oj'",
    "a score of text": "validation_score = 'high'",
    "no score": "validation_score = NULL",
    "a score without bounds": "validation_score = 1e300",
    "a history that is cut": "history = substr(history, 1, 9)",
    "a history of numbers": "history = '[1, 2]'",
    "a history of text": """history = '{"epoch": ["a"]}'""",
    "a negative count": "weights = -1",
    "a count of text": "neurons = 'many'",
}


@pytest.mark.quick_where(
    change=[DAMAGE["no state"], DAMAGE["no score"], DAMAGE["a history of text"]]
)
@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_is_left_out_with_a_warning_and_then_run_again(folder, again, change):
    whole = load(folder)
    execute(folder, f"UPDATE records SET {change} WHERE rowid = 2")
    with pytest.warns(UserWarning, match=r"1 damaged record of .*study.sqlite' left out"):
        left = load(folder)
    assert trials(left) == [one for one in trials(whole) if one[0] != left_out(whole, left)]
    resumed = again(folder)
    assert trials(resumed) == trials(whole)
    assert resumed.verdict == whole.verdict
    assert trials(load(folder)) == trials(whole)


def left_out(whole, left):
    (missing,) = {r.trial for r in whole.records} - {r.trial for r in left.records}
    return missing


def test_a_run_says_how_many_damaged_records_it_runs_again(folder, small, capsys):
    execute(folder, "UPDATE records SET state = x''")
    compare("spiral", out=folder, **{**QUICK, "quiet": False})
    assert "3 damaged records removed: the same trials run again" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    ["surface = x'00'", "test_scores = 'x'", "rule = 'worst'", "edge = 'sharp'", "method = 'zzz'"],
)
def test_damaged_choices_are_made_again(folder, again, change):
    whole = load(folder)
    execute(folder, f"UPDATE choices SET {change} WHERE rowid = 1")
    assert load(folder).verdict == ""
    assert [choice.test_scores for choice in load(folder).choices] == [[], [], []]
    resumed = again(folder)
    assert resumed.verdict == whole.verdict
    assert [c.test_scores for c in resumed.choices] == [c.test_scores for c in whole.choices]


@pytest.mark.quick_where(change=["'[{}]'", "'['"])
@pytest.mark.parametrize(
    "change",
    [
        "'[{}]'",
        "'['",
        "''",
        "'{}'",
        "'null'",
        "'{\"a\": 1}'",
        "'[3]'",
        "replace(value, ': 1', ': \"x\"')",
    ],
)
def test_damaged_inputs_of_the_chosen_models_are_told_of_and_found_again(folder, again, change):
    whole = load(folder)
    assert whole.features
    execute(folder, f"UPDATE study SET value = {change} WHERE key = 'features'")
    with pytest.warns(UserWarning, match=r"inputs of the chosen models in .*study.sqlite' are dam"):
        left = load(folder)
    assert (left.features, left.verdict) == ([], whole.verdict)
    assert repr(again(folder).features) == repr(whole.features)
    assert repr(load(folder).features) == repr(whole.features)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ("DELETE FROM study WHERE key = 'identity'", "does not agree with its checksum"),
        ("DELETE FROM study WHERE key = 'question'", "does not agree with its checksum"),
        ("UPDATE study SET value = '{' WHERE key = 'data'", "does not agree with its checksum"),
        ("UPDATE study SET value = replace(value, 'l1', 'l2')", "does not agree with its checksum"),
        ("DELETE FROM study WHERE key IN ('checksum', 'identity')", "its identity cannot be read"),
        ("DELETE FROM study WHERE key IN ('checksum', 'question')", "its question cannot be read"),
        (
            "DELETE FROM study WHERE key = 'checksum';"
            "UPDATE study SET value = '{\"methods\": 3}' WHERE key = 'question'",
            "its question cannot be read",
        ),
        ("DROP TABLE choices", "tables are missing"),
    ],
)
def test_a_study_that_does_not_know_its_question_is_refused(folder, again, statements, said):
    execute(folder, statements)
    before = (folder / store.FILE).read_bytes()
    for attempt in (load, again):
        with pytest.raises(
            UsageError, match=rf"study.sqlite' is damaged \(.*{said}.*\), and was left"
        ):
            attempt(folder)
    assert (folder / store.FILE).read_bytes() == before


def garbled(whole, seed):
    """The bytes of a file with some of them replaced, or without its end."""
    draw = random.Random(seed)
    content = bytearray(whole)
    for _ in range(draw.choice([1, 1, 3])):
        page = draw.randrange(len(content) // 4096) * 4096
        at = draw.choice(
            [draw.randrange(len(content)), draw.randrange(110), page + draw.randrange(40)]
        )
        size = draw.choice([1, 2, 8, 64, 500])
        content[at : at + size] = draw.randbytes(len(content[at : at + size]))
    return bytes(content[: draw.randrange(len(content))] if draw.random() < 0.1 else content)


@pytest.mark.slow
def test_garbled_bytes_end_in_a_sentence_or_do_no_harm(folder, again):
    whole = (folder / store.FILE).read_bytes()
    told = harmless = 0
    for seed in range(60):
        (folder / store.FILE).write_bytes(garbled(whole, seed))
        attempts = (load, again) if seed % 10 == 0 else (load,)
        for attempt in attempts:
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message=".* (damaged records|are damaged)")
                    render_report(attempt(folder))
            except UsageError as error:
                told += store.FILE in str(error)
            else:
                harmless += 1
    assert told > 10
    assert harmless > 10
    assert told + harmless == 60 + 6


def test_a_reader_that_stays_is_told_of_and_nothing_is_lost(tmp_path, record_of, monkeypatch):
    monkeypatch.setattr(database, "TIMEOUT", 0.05)
    with opened(tmp_path) as kept:
        kept.add(record_of("none", 0.0, 0, 0.5))
        with closing(sqlite3.connect(tmp_path / store.FILE)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM study").fetchone()
            with pytest.raises(StoppedError, match=r"is locked by another program, such as a data"):
                kept.add(record_of("none", 0.0, 1, 0.5))
        kept.add(record_of("none", 0.0, 2, 0.5))
    assert [record.trial.seed for record in load(tmp_path).records] == [0, 2]


def test_a_writer_that_stays_is_told_of_by_who_only_reads(folder, monkeypatch):
    monkeypatch.setattr(database, "TIMEOUT", 0.05)
    with closing(sqlite3.connect(folder / store.FILE)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="is locked by another program"):
            load(folder)


class Failing:
    """A connection whose transactions fail at their end."""

    def __init__(self, connection, error):
        self._connection, self._error = connection, error
        self.executemany = connection.executemany

    def execute(self, statement, *values):
        if statement == "COMMIT":
            raise self._error
        return self._connection.execute(statement, *values)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (sqlite3.OperationalError("database or disk is full"), "the disk is full: .* make room"),
        (sqlite3.OperationalError("disk I/O error"), r"written any more \(disk I/O error\)"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "see to its folder"),
        (sqlite3.OperationalError("unable to open database file"), "the records so far are kept"),
        (sqlite3.DatabaseError("database disk image is malformed"), "written any more"),
        (OSError(122, "Disk quota exceeded"), "the disk is full"),
        (OSError(28, "No space left on device"), "the disk is full"),
    ],
)
def test_a_disk_that_fails_stops_the_study_in_a_sentence(tmp_path, record_of, error, said):
    with opened(tmp_path) as kept:
        kept.add(record_of("none", 0.0, 0, 0.5))
        connection = kept._connection
        kept._connection = Failing(connection, error)
        with pytest.raises(StoppedError, match=said):
            kept.add(record_of("none", 0.0, 1, 0.5))
        kept._connection = connection
        kept.add(record_of("none", 0.0, 2, 0.5))
    assert [record.trial.seed for record in load(tmp_path).records] == [0, 2]


def test_a_folder_that_is_deleted_during_the_run_stops_it_in_a_sentence(tmp_path, record_of):
    with opened(tmp_path / "study") as kept:
        shutil.rmtree(tmp_path / "study")
        with pytest.raises(StoppedError, match="cannot be written any more"):
            kept.add(record_of("none", 0.0, 0, 0.5))
    assert not (tmp_path / "study").exists()


def test_a_folder_that_is_moved_during_the_run_keeps_its_records(tmp_path, record_of):
    with opened(tmp_path / "study") as kept:
        kept.add(record_of("none", 0.0, 0, 0.5))
        (tmp_path / "study").rename(tmp_path / "moved")
        with pytest.raises(StoppedError, match="cannot be written any more"):
            kept.add(record_of("none", 0.0, 1, 0.5))
    with opened(tmp_path / "moved") as kept:
        kept.add(record_of("none", 0.0, 1, 0.5))
    assert len(load(tmp_path / "moved").records) == 2


@pytest.mark.parametrize("content", ["x" * 5000, "SQLite format 3\0" + "x" * 5000, "short"])
def test_a_lock_that_is_no_lock_is_told_of(tmp_path, content):
    (tmp_path / "study.lock").write_text(content)
    with (
        pytest.raises(UsageError, match=r"study.lock' is no lock of shrinkage .*: move it away"),
        opened(tmp_path),
    ):
        pass
    assert (tmp_path / "study.lock").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["study.lock"]


def make_loop(path):
    path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    "place",
    [
        lambda tmp: make_loop(tmp / "loop"),
        lambda tmp: make_loop(tmp / "loop") / "below",
        lambda tmp: tmp / ("a" * 300),
        lambda tmp: tmp / ("a/" * 3000),
        lambda tmp: tmp / "null\0character",
    ],
    ids=["loop", "below a loop", "a long name", "a long path", "a null character"],
)
def test_an_impossible_folder_is_refused(tmp_path, place):
    with pytest.raises(UsageError, match=r"out .* cannot be written"), opened(place(tmp_path)):
        pass


@pytest.mark.parametrize("name", ["with a ?#%20 in it", "no-utf8-\udcff", "trailing/"])
def test_a_curious_folder_is_as_good_as_any(tmp_path, record_of, name):
    with opened(tmp_path / name) as kept:
        kept.add(record_of("none", 0.0, 0, 0.5))
    assert len(load(tmp_path / name).records) == 1


def test_an_empty_name_of_a_folder_is_refused():
    with pytest.raises(UsageError, match="out is empty: name a folder"):
        compare("iris", out="")


def test_a_folder_in_the_place_of_the_file_is_told_of(tmp_path):
    (tmp_path / store.FILE).mkdir()
    with (
        pytest.raises(UsageError, match=r"study.sqlite' is no file: move it away"),
        opened(tmp_path),
    ):
        pass


def test_states_may_be_named_as_numpys_own_arguments_are(tmp_path, record_of):
    state = record_of("none", 0.0, 0, 0.5).state["0.weight"]
    with opened(tmp_path) as kept:
        kept.add(record_of("none", 0.0, 0, 0.5, state={"file": state, "allow_pickle": state}))
    assert list(load(tmp_path).records[0].state) == ["file", "allow_pickle"]


def test_states_of_every_kind_of_array_come_back(tmp_path, record_of):
    state = {
        "half": np.ones((2, 3), dtype=np.float16)[:, ::2],
        "none": np.empty((0, 4)),
        "count": np.array(7),
        "line\n": np.array([True, False]),
        "waves": np.array([[1j]], order="F"),
    }
    with opened(tmp_path) as kept:
        kept.add(record_of("none", 0.0, 0, 0.5, state=state))
    (record,) = load(tmp_path).records
    assert list(record.state) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(record.state[name], array, strict=True)
        assert record.state[name].flags.writeable


def test_the_states_of_earlier_versions_are_read(folder):
    """They were compressed .npz files."""
    before = load(folder).records
    with closing(sqlite3.connect(folder / store.FILE)) as connection:
        for record in before:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **record.state)
            change = "UPDATE records SET state = ? WHERE method = ? AND strength = ?"
            trial = record.trial
            connection.execute(change, (buffer.getvalue(), trial.method, trial.strength))
        connection.commit()
    for one, other in zip(load(folder).records, before, strict=True):
        assert repr(one) == repr(other)


def test_a_study_without_records_can_be_taken_up(tmp_path, small):
    (tmp_path / store.FILE).touch()
    assert len(run_study(small, out=tmp_path, jobs=1, quiet=True).records) == 10
