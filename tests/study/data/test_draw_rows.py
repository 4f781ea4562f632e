"""The rows that are drawn are those of scikit-learn's splitters, and the data those it makes."""

import numpy as np
import pytest
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from shrinkage.study.data.draw_rows import draw_rows, draw_stratified
from shrinkage.study.data.generated import make_friedman
from shrinkage.study.data.splits import split_rows
from shrinkage.study.spec import Study


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("count", "size"), [(4, 2), (101, 25), (1797, 449)])
def test_the_rows_are_those_of_scikit_learn(count, size, seed):
    rows = np.arange(count)
    expected = train_test_split(rows, test_size=size, random_state=seed)
    for own, theirs in zip(draw_rows(count, size, seed), expected, strict=True):
        np.testing.assert_array_equal(own, theirs)


@pytest.mark.parametrize("seed", range(20))
def test_rows_in_shares_of_every_class_are_those_of_scikit_learn(seed):
    """With counts of classes that tie, that do not divide, and that products of floats miss."""
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 12))
    labels = np.repeat(np.arange(classes) * 3, random.integers(2, 40, classes))
    random.shuffle(labels)
    size = int(random.integers(classes, len(labels) - classes + 1))
    expected = train_test_split(
        np.arange(len(labels)), test_size=size, random_state=seed, stratify=labels
    )
    for own, theirs in zip(draw_stratified(labels, size, seed), expected, strict=True):
        np.testing.assert_array_equal(own, theirs)


def test_subjects_are_drawn_as_by_scikit_learn(table_of):
    who = np.random.default_rng(1).integers(0, 12, 80)
    table = table_of({"who": [f"p{w:02}" for w in who], "x": who**0.5, "y": who}, subject="who")
    rest = split_rows(table, Study(), 0)
    splitter = GroupShuffleSplit(n_splits=1, test_size=3, random_state=0)
    kept, drawn = next(splitter.split(who, groups=table.subjects))
    np.testing.assert_array_equal(rest.test, drawn)
    splitter = GroupShuffleSplit(n_splits=1, test_size=3, random_state=1)
    train, validation = next(splitter.split(kept, groups=table.subjects[kept]))
    np.testing.assert_array_equal(rest.train, kept[train])
    np.testing.assert_array_equal(rest.validation, kept[validation])


def test_friedmans_data_are_those_of_scikit_learn():
    X, y = make_friedman1(400, 30, noise=1.0, random_state=0)
    frame = make_friedman()
    np.testing.assert_array_equal(frame.drop(columns="target").to_numpy(), X)
    np.testing.assert_array_equal(frame["target"].to_numpy(), y)
