"""Rows divided into parts; preprocessing that knows the training part alone."""

import numpy as np
import pandas as pd
import pytest

from shrinkage.study.data import splits
from shrinkage.study.data.splits import SeedParts, fit_preprocessing, make_parts, split_rows
from shrinkage.study.errors import UsageError
from shrinkage.study.spec import Study

ROWS = 80
GENERATOR = np.random.default_rng(1)
X = GENERATOR.normal(5.0, 3.0, ROWS)
Y = np.arange(ROWS) % 4
STUDY = Study(seeds=3)


def test_parts_are_disjoint_and_complete_and_the_test_part_is_the_studys(table_of):
    table = table_of({"x": X, "y": Y})
    rows = [split_rows(table, STUDY, seed) for seed in range(3)]
    for own in rows:
        together = np.concatenate([own.train, own.validation, own.test])
        assert sorted(together) == list(range(ROWS))
        assert (len(own.train), len(own.validation), len(own.test)) == (40, 20, 20)
        np.testing.assert_array_equal(own.test, rows[0].test)
    assert set(rows[0].validation) != set(rows[1].validation)
    np.testing.assert_array_equal(rows[1].train, split_rows(table, STUDY, 1).train)


def test_classes_have_the_same_share_in_every_part(table_of):
    table = table_of({"x": X, "y": Y})
    rows = split_rows(table, STUDY, 0)
    for part in (rows.train, rows.validation, rows.test):
        assert len(set(np.bincount(table.target[part]))) == 1


def test_a_class_too_rare_to_be_shared_out_still_divides(table_of):
    y = np.where(np.arange(ROWS) == 7, "rare", np.where(Y > 1, "a", "b"))
    rows = split_rows(table_of({"x": X, "y": y}), STUDY, 0)
    assert len(rows.train) + len(rows.validation) + len(rows.test) == ROWS


def test_a_subject_is_in_one_part_only(table_of):
    who = GENERATOR.integers(0, 12, ROWS)
    table = table_of({"who": [f"p{w}" for w in who], "x": X, "y": Y}, subject="who")
    for seed in range(5):
        rows = split_rows(table, STUDY, seed)
        parts = [set(who[part]) for part in (rows.train, rows.validation, rows.test)]
        assert sum(map(len, parts)) == len(set(who))
        assert set.union(*parts) == set(who)
        np.testing.assert_array_equal(rows.test, split_rows(table, STUDY, 0).test)


FOLDS = Study(seeds=2, folds=5)


def test_each_row_outside_the_test_part_is_validated_once_a_seed(table_of):
    table = table_of({"x": X, "y": Y})
    rows = [split_rows(table, FOLDS, number) for number in range(10)]
    for repetition in (rows[:5], rows[5:]):
        for own in repetition:
            together = np.concatenate([own.train, own.validation, own.test])
            assert sorted(together) == list(range(ROWS))
            np.testing.assert_array_equal(own.test, rows[0].test)
            assert len(own.validation) == 12
            assert set(np.bincount(table.target[own.validation])) == {3}  # 15 of each class by 5
        validated = np.concatenate([own.validation for own in repetition])
        assert sorted([*validated, *rows[0].test]) == list(range(ROWS))
    assert set(rows[0].validation) != set(rows[5].validation)
    np.testing.assert_array_equal(rows[3].train, split_rows(table, FOLDS, 3).train)


def test_a_class_rarer_than_the_folds_is_dealt_out_as_far_as_it_goes(table_of):
    y = np.where(np.arange(ROWS) % 20 == 7, "rare", np.where(Y > 1, "a", "b"))
    table = table_of({"x": X, "y": y})
    rare = [(table.target[split_rows(table, FOLDS, k).validation] == 2).sum() for k in range(5)]
    assert sorted(rare) == [0, 0, 1, 1, 1]


def test_a_subject_is_in_one_fold_only_and_each_fold_has_every_class(table_of):
    who = np.arange(ROWS) // 2  # 40 subjects, each of one class
    table = table_of({"who": [f"p{w}" for w in who], "x": X, "y": (who % 2)}, subject="who")
    for number in range(10):
        rows = split_rows(table, FOLDS, number)
        assert not set(who[rows.train]) & set(who[rows.validation])
        assert not set(who[rows.train]) & set(who[rows.test])
        assert np.bincount(table.target[rows.validation]).min() >= 4


def test_more_folds_than_rows_or_subjects_allow_are_refused(table_of):
    numbers = table_of({"x": X, "y": X**2})
    with pytest.raises(UsageError, match=r"folds must be at most 30 here, two rows .* got 31"):
        split_rows(numbers, Study(folds=31), 0)
    assert len(split_rows(numbers, Study(folds=30), 29).validation) == 2
    table = table_of({"who": np.arange(ROWS) % 4, "x": X, "y": Y}, subject="who")
    with pytest.raises(UsageError, match=r"folds must be at most 3 here, one subject .* got 4"):
        split_rows(table, Study(folds=4), 0)
    lone = table_of({"who": [*range(7), *[7] * (ROWS - 7)], "x": X, "y": X**2}, subject="who")
    with pytest.raises(UsageError, match="fewer than two rows: name fewer folds"):
        split_rows(lone, Study(folds=5), 0)


@pytest.mark.parametrize("rows", [2, 4, 5])
def test_fewer_rows_than_parts_are_refused(table_of, rows):
    table = table_of({"x": X[:rows], "y": X[:rows] ** 2})
    with pytest.raises(UsageError, match=f"has {rows} rows with a target: a study needs 6"):
        split_rows(table, STUDY, 0)


def test_six_rows_are_enough(table_of):
    rows = split_rows(table_of({"x": X[:6], "y": X[:6] ** 2}), STUDY, 0)
    assert [len(part) for part in (rows.train, rows.validation, rows.test)] == [2, 2, 2]


def test_fewer_subjects_than_parts_are_refused(table_of):
    table = table_of({"who": Y % 2, "x": X, "y": Y}, subject="who")
    with pytest.raises(UsageError, match="subject has 2 different values: a study needs 3"):
        split_rows(table, STUDY, 0)


def test_preprocessing_is_fitted_on_the_training_part_alone(table_of):
    """Whatever the other rows hold, the training part comes out the same."""
    text = np.where(Y % 2, "north", "south").astype(object)
    clean = table_of({"x": X, "z": X**2, "text": text, "y": X + 1})
    rows = split_rows(clean, STUDY, 0)
    others = np.concatenate([rows.validation, rows.test])
    x, z, y, site = X.copy(), X**2, X + 1, text.copy()
    x[others] *= 1000
    z[others[::2]] = np.nan
    y[others] -= 500
    site[others] = "elsewhere"
    changed = table_of({"x": x, "z": z, "text": site, "y": y})
    before = fit_preprocessing(clean, rows).examples(clean, rows.train)
    after = fit_preprocessing(changed, rows).examples(changed, rows.train)
    np.testing.assert_array_equal(before.X, after.X)
    np.testing.assert_array_equal(before.y, after.y)
    np.testing.assert_allclose(before.X[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(before.X[:, :2].std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose([before.y.mean(), before.y.std()], [0, 1], atol=1e-6)
    unseen = fit_preprocessing(changed, rows).features(changed.frame.iloc[rows.test])
    np.testing.assert_array_equal(unseen[:, 2:], 0)  # a level that training never saw


def test_holes_become_the_training_median_and_a_level_of_their_own(table_of):
    holed = np.where(np.arange(ROWS) % 5 == 0, np.nan, X)
    text = np.where(np.arange(ROWS) % 3 == 0, None, "a")
    table = table_of({"x": holed, "text": text, "y": Y})
    rows = split_rows(table, STUDY, 0)
    values = fit_preprocessing(table, rows).features(table.frame)
    hole = np.isnan(holed)
    train = holed[rows.train]
    filled = np.where(np.isnan(train), np.nanmedian(train), train)
    expected = (np.nanmedian(train) - filled.mean()) / filled.std()
    np.testing.assert_allclose(values[hole, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(values[:, 1:].sum(axis=1), 1)
    assert len(np.unique(values[:, 1:], axis=0)) == 2


def test_a_column_without_a_value_in_the_training_part_is_harmless(table_of):
    table = table_of({"x": X, "z": X, "y": Y})
    rows = split_rows(table, STUDY, 0)
    frame = table.frame.copy()
    frame.loc[frame.index[rows.train], "z"] = np.nan
    holed = table_of({**frame, "y": Y})
    assert np.isfinite(fit_preprocessing(holed, rows).features(holed.frame)).all()


def test_text_of_many_levels_keeps_the_most_frequent(table_of):
    names = [f"city {index // 2}" for index in range(ROWS * 4)]
    table = table_of({"text": names, "x": np.tile(X, 4), "y": np.tile(Y, 4)})
    assert make_parts(table, STUDY, 0).train.X.shape[1] <= 1 + 50


def test_parts_are_ready_for_a_model(table_of):
    parts = make_parts(table_of({"x": X, "y": Y}), STUDY, 0)
    assert (parts.task, parts.outputs) == ("classes", 4)
    assert parts.train.X.dtype == np.float32
    assert parts.train.y.dtype == np.int64
    numbers = make_parts(table_of({"x": X, "y": X**2}), STUDY, 0)
    assert (numbers.outputs, numbers.train.y.dtype) == (1, np.float32)
    assert isinstance(numbers.train.X, np.ndarray)
    assert not isinstance(numbers.train.X, pd.DataFrame)


def test_a_number_that_float32_cannot_hold_beside_the_training_part_is_refused(table_of):
    rows = split_rows(table_of({"x": X, "z": X, "y": Y}), STUDY, 0)
    z = X * 1e-20
    z[rows.test[0]] = 1e30
    table = table_of({"x": X, "z": z, "y": Y})
    with pytest.raises(UsageError, match=r"column 'z' holds a number .* beyond float32"):
        fit_preprocessing(table, rows).features(table.frame)
    table = table_of({"x": X, "y": z})
    with pytest.raises(UsageError, match="the target holds a number that is beyond float32"):
        fit_preprocessing(table, rows).examples(table, rows.test)


def test_parts_of_many_rows_are_in_memory_for_a_few_seeds_only(table_of, monkeypatch):
    table = table_of({"x": X, "y": Y})
    all_kept = SeedParts(table, STUDY)
    assert all_kept.seed_bytes == 60 * (4 + 8)  # float32 inputs and int64 classes of 60 rows
    assert all_kept.kept_bytes == 3 * all_kept.seed_bytes
    monkeypatch.setattr(splits, "MOST_BYTES", 1)
    made = []
    monkeypatch.setattr(
        splits, "make_parts", lambda *args: made.append(args[2]) or make_parts(*args)
    )
    parts = SeedParts(table, STUDY)
    assert made == [0]
    assert (len(parts), parts.kept_bytes) == (3, 2 * parts.seed_bytes)
    assert parts[0] is parts[0]
    first = parts[0]
    for seed in (1, 0, 2, -1, 1):  # the seed that was asked for last stays
        np.testing.assert_array_equal(parts[seed].train.X, all_kept[seed].train.X)
    assert made == [0, 1, 2, 1]
    assert parts[0] is not first
    assert [part.outputs for part in parts[:2]] == [4, 4]
    with pytest.raises(IndexError):
        parts[3]
