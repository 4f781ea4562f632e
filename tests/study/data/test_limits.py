"""Notes on small parts and unequal classes."""

import numpy as np
import pytest

from shrinkage.study.data.limits import describe_limits
from shrinkage.study.data.sources import NAMES, read_source
from shrinkage.study.data.splits import split_rows
from shrinkage.study.data.table import prepare_table
from shrinkage.study.spec import Study


@pytest.fixture
def notes_of(table_of):
    """The notes on a target, in a table with one feature."""

    def make(y, **options):
        table = table_of({"x": np.linspace(0, 1, len(y)), "y": y})
        study = Study(**options)
        return describe_limits(table, split_rows(table, study, 0), study)

    return make


def test_a_small_test_part(notes_of):
    y = np.linspace(0, 1, 80)
    assert notes_of(y) == [
        "the test part has 20 rows, so its score is rough: --folds 5 validates on all 60 other rows"
    ]
    assert notes_of(y, folds=5) == ["the test part has 20 rows, so its score is rough"]
    assert notes_of(np.linspace(0, 1, 120)) == []


def test_a_rare_class_and_a_frequent_one(notes_of):
    y = np.where(np.arange(200) < 12, "yes", "no")
    rare, frequent = notes_of(y)
    assert rare.startswith("the test part has few rows of class 'yes' (3 of 12 rows), too few")
    assert "--folds 5 validates on all 150 other rows" in rare
    assert frequent == (
        "class 'no' has 94.0% of the rows, and an accuracy of 0.940 without learning anything: "
        "--metric balanced_accuracy lets every class count the same in the scores and --balanced "
        "in the training"
    )
    assert "--balanced" not in notes_of(y, balanced=True)[1]
    assert len(notes_of(y, metric="balanced_accuracy")) == 1
    assert notes_of(np.where(np.arange(200) < 100, "yes", "no")) == []


def test_of_many_rare_classes_the_rarest_are_named(notes_of):
    (told,) = notes_of(np.array(list("abcdefgh"))[np.arange(200) % 8])
    assert "'a' (6 of 25 rows), " in told
    assert "and 5 others, too few" in told


@pytest.mark.parametrize("name", NAMES)
def test_the_built_in_data_are_large_and_even_enough(name):
    table = prepare_table(read_source(name), Study(data=name))
    assert describe_limits(table, split_rows(table, Study(), 0), Study()) == []
