"""From columns to a table: what is a class, what is left out, what is refused."""

import numpy as np
import pandas as pd
import pytest

from shrinkage.study.errors import UsageError

ROWS = 40
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=ROWS)
HALVES = np.arange(ROWS) % 2
INFINITE = np.full(ROWS, np.inf)


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        (HALVES, "classes", ("0", "1")),
        (HALVES.astype(float), "classes", ("0", "1")),
        (HALVES.astype(bool), "classes", ("False", "True")),
        (np.where(HALVES, "yes", "no"), "classes", ("no", "yes")),
        (pd.Categorical(np.where(HALVES, "yes", "no")), "classes", ("no", "yes")),
        (np.arange(ROWS) % 20, "classes", tuple(map(str, range(20)))),
        (np.arange(ROWS) % 21, "numbers", ()),
        (X, "numbers", ()),
        (HALVES + 0.5, "numbers", ()),
    ],
)
def test_the_task_is_judged_by_the_target(table_of, target, task, classes):
    table = table_of({"x": X, "y": target})
    assert (table.task, table.classes) == (task, classes)


def test_the_task_can_be_said(table_of):
    assert table_of({"x": X, "y": HALVES}, task="numbers").target.dtype == np.float64
    assert table_of({"x": X, "y": HALVES + 0.5}, task="classes").classes == ("0.5", "1.5")


def test_numeric_classes_are_in_the_order_of_numbers(table_of):
    table = table_of({"x": X, "y": np.where(HALVES, 10, 9)})
    assert table.classes == ("9", "10")
    np.testing.assert_array_equal(table.target, HALVES)


def test_rows_without_a_target_are_left_out_and_it_is_said(table_of):
    y = HALVES.astype(float)
    y[:3] = np.nan
    table = table_of({"x": X, "y": y})
    assert len(table.target) == len(table.frame) == ROWS - 3
    assert table.frame["x"].tolist() == X[3:].tolist()
    assert table.notes == ("left out 3 rows without a 'y'",)


def test_columns_that_number_or_name_the_rows_are_left_out_and_it_is_said(table_of):
    names = [f"p{index}" for index in range(ROWS)]
    table = table_of({"row": np.arange(ROWS) + 1, "name": names, "x": X, "y": HALVES})
    assert list(table.frame.columns) == ["x"]
    assert "'row': it numbers the rows" in table.notes[0]
    assert "'name': every row has another text" in table.notes[1]


def test_columns_become_numbers_or_text(table_of):
    table = table_of(
        {
            "whole": pd.array([1, None] * 20, dtype="Int64"),
            "truth": HALVES.astype(bool),
            "day": pd.to_datetime(["2024-01-01", "2024-01-03"] * 20),
            "text": ["a", None] * 20,
            "kind": pd.Categorical([1, 2] * 20),
            "y": HALVES,
        }
    )
    assert [str(kind) for kind in table.frame.dtypes] == [*["float64"] * 3, *["object"] * 2]
    assert table.frame["whole"].isna().sum() == 20
    assert table.frame["day"].tolist() == [0.0, 2.0] * 20
    assert table.frame["text"].isna().sum() == 20
    assert not table.is_plane


def test_the_subject_is_no_feature(table_of):
    table = table_of({"who": np.arange(ROWS) // 4, "x": X, "y": HALVES}, subject="who")
    assert list(table.frame.columns) == ["x"]
    np.testing.assert_array_equal(table.subjects, np.arange(ROWS) // 4)


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        ({"x": X, "yy": HALVES}, {}, "target 'y' is no column of frame; did you mean 'yy'"),
        ({"x": X, "y": HALVES}, {"target": "z"}, r"there are x, y\)"),
        ({"x": X, "y": HALVES}, {"subject": "who"}, "subject 'who' is no column"),
        ({"x": X, "y": HALVES}, {"subject": "y"}, "subject 'y' is the target"),
        ({"x": X * np.nan, "y": HALVES}, {}, "column 'x' of frame is missing in every row"),
        ({"x": X, "y": X * np.nan}, {}, "column 'y' of frame is missing in every row"),
        ({"x": INFINITE, "y": HALVES}, {}, "column 'x' of frame is infinite in 40 rows"),
        ({"x": X, "y": INFINITE}, {}, "target 'y' holds infinite values"),
        ({"x": X, "y": HALVES * 0}, {}, "target 'y' has one class only, '0'"),
        ({"x": X, "y": HALVES * 0.0 + 0.5}, {}, "0.5 in every row"),
        ({"x": X, "y": [f"p{i}" for i in range(ROWS)]}, {}, "too many for classes"),
        ({"x": X, "y": ["a", "b"] * 20}, {"task": "numbers"}, "holds text"),
        ({"y": HALVES}, {}, "no column to learn from"),
        ({"x": [], "y": []}, {}, "has no rows"),
        ({"who": [None, 1.0] * 20, "x": X, "y": HALVES}, {"subject": "who"}, "missing in 20 rows"),
    ],
)
def test_what_cannot_serve_is_refused(table_of, columns, changes, message):
    with pytest.raises(UsageError, match=message):
        table_of(columns, **changes)
