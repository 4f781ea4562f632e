"""Folders of one study are put together, and the whole is the study in one go."""

import dataclasses
import shutil
import sqlite3
from contextlib import closing

import pytest

from shrinkage.study import StoppedError, UsageError, load, merge
from shrinkage.study.comparing import run_study
from shrinkage.study.merging import is_same


@pytest.fixture
def quick(small):
    return dataclasses.replace(small, methods=("l2@coupled",), epochs=5)


def run_shard(study, folder, shard, **settings):
    return run_study(study, out=folder, shard=shard, jobs=1, quiet=True, **settings)


@pytest.fixture
def shards(quick, tmp_path):
    """Two folders with three of the six trials each."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(folders, 1):
        run_shard(quick, folder, f"{number}/2")
    return folders


def change(folder, statement):
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection, connection:
        connection.execute(statement)


def test_the_whole_is_the_study_in_one_go(quick, shards, tmp_path):
    whole = run_study(quick, out=tmp_path / "whole", jobs=1, quiet=True)
    merged = merge(shards, out=tmp_path / "all", quiet=True)
    assert len(merged.records) == 6
    assert all(map(is_same, merged.records, whole.records))
    assert merged.verdict == whole.verdict
    assert [c.test_scores for c in merged.choices] == [c.test_scores for c in whole.choices]
    assert merged.question["digest"] == whole.question["digest"]
    assert repr(merged.model) == repr(whole.model)
    assert merge(shards, out=tmp_path / "all", quiet=True).verdict == whole.verdict  # once more


def test_a_shard_chooses_nothing_and_goes_on_as_a_whole(quick, shards, tmp_path):
    assert len(load(shards[0]).records) == 3
    assert load(shards[0]).verdict == ""
    assert not (shards[0] / "model").exists()
    again = run_shard(quick, shards[0], "1/2")
    assert len(again.records) == 3
    assert run_study(quick, out=shards[0], jobs=1, quiet=True).verdict


def test_what_is_missing_runs_in_the_merged_folder(quick, shards, tmp_path):
    change(shards[1], "DELETE FROM records WHERE seed = 1")
    merged = merge(shards, out=tmp_path / "all", quiet=True)
    assert 3 < len(merged.records) < 6
    assert merged.verdict == ""
    finished = run_study(quick, out=tmp_path / "all", jobs=1, quiet=True)
    assert len(finished.records) == 6
    assert finished.verdict


def test_a_trial_in_two_folders_is_kept_once(quick, shards, tmp_path, capsys):
    shutil.copytree(shards[0], tmp_path / "copy")
    merged = merge([*shards, tmp_path / "copy"], out=shards[0])  # also into one of them
    assert len(merged.records) == 6
    assert merged.verdict
    assert "other numbers" not in capsys.readouterr().err


def test_what_was_preferred_in_the_merged_folder_stays(quick, shards, tmp_path):
    merge(shards, out=tmp_path / "all", quiet=True)
    sparse = dataclasses.replace(quick, prefer="sparse")
    run_study(sparse, out=tmp_path / "all", jobs=1, quiet=True)
    assert merge(shards, out=tmp_path / "all", quiet=True).question["prefer"] == "sparse"


def test_other_numbers_of_the_same_trial_are_said_and_the_first_stay(shards, tmp_path, capsys):
    other = tmp_path / "other"
    merge(shards[:1], out=other, quiet=True)
    change(other, "UPDATE records SET train_score = train_score / 2")
    merged = merge([*shards, other], out=tmp_path / "all")
    assert "other: 3 trials already there with other numbers" in capsys.readouterr().err
    kept = {record.trial: record for record in merged.records}
    assert all(is_same(kept[record.trial], record) for record in load(shards[0]).records)


def test_a_damaged_record_is_left_out_and_said(shards, tmp_path, capsys):
    change(shards[0], "UPDATE records SET state = x'00' WHERE rowid = 1")
    merged = merge(shards, out=tmp_path / "all")
    assert len(merged.records) == 5
    assert "a: 1 damaged record left out" in capsys.readouterr().err


def test_another_study_is_refused_and_nothing_is_written(quick, shards, tmp_path):
    run_shard(dataclasses.replace(quick, epochs=6), tmp_path / "c", "2/2")
    with pytest.raises(UsageError, match=r"c' holds another study .*epochs \(5 there, 6 here\)"):
        merge([*shards, tmp_path / "c"], out=tmp_path / "all", quiet=True)
    for folders, said in (
        ([], "folders is empty"),
        ([tmp_path / "nowhere"], "holds no study"),
        ([shards[0], tmp_path / "b" / ".." / "a"], "is named twice: name each folder once"),
    ):
        with pytest.raises(UsageError, match=said):
            merge(folders, out=tmp_path / "all", quiet=True)
    assert not (tmp_path / "all").exists()


def test_data_that_are_elsewhere_are_named(quick, tmp_path):
    rows = "\n".join(f"{row % 7},{row % 5},{'pq'[row % 2]}" for row in range(60))
    data = tmp_path / "t.csv"
    data.write_text(f"a,b,y\n{rows}\n")
    study = dataclasses.replace(quick, data=str(data), target="y")
    for number in (1, 2):
        run_shard(study, tmp_path / f"{number}", f"{number}/2")
    moved = data.rename(tmp_path / "moved.csv")
    folders = [tmp_path / "1", tmp_path / "2"]
    with pytest.raises(StoppedError, match=r"has all 6 trials, but .* is no file .* --data"):
        merge(folders, out=tmp_path / "all", quiet=True)
    assert len(load(tmp_path / "all").records) == 6
    assert merge(folders, out=tmp_path / "all", data=moved, quiet=True).verdict
    assert merge(folders, out=tmp_path / "all", quiet=True).question["data"] == str(moved)
    moved.write_text(moved.read_text() + "1,2,p\n")
    with pytest.raises(StoppedError, match="different in data"):
        merge(folders, out=tmp_path / "more", data=moved, quiet=True)


def test_data_that_were_in_memory_are_given_again(quick, tmp_path):
    from shrinkage.study.data.sources import read_source

    frame = read_source("iris").frame
    study = dataclasses.replace(quick, data="", target="target")
    for number in (1, 2):
        run_shard(study, tmp_path / f"{number}", f"{number}/2", frame=frame)
    folders = [tmp_path / "1", tmp_path / "2"]
    with pytest.raises(StoppedError, match="were in memory"):
        merge(folders, out=tmp_path / "all", quiet=True)
    assert merge(folders, out=tmp_path / "all", data=frame, quiet=True).verdict
