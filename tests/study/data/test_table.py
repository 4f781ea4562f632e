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
        ({"x": X * np.nan, "y": HALVES}, {}, r"left out column 'x': missing in every row\)"),
        ({"x": X * 1e300, "y": HALVES}, {}, r"column 'x' of frame holds .*e\+300, which is beyond"),
        ({"x": X, "y": X * 1e300}, {}, r"target 'y' holds .*e\+300, which is beyond float32"),
        (
            {"x": X, "y": [[1]] * ROWS},
            {},
            "target 'y' cannot be learned: its cells are of type list",
        ),
        ({"x": X, "y": X * np.nan}, {}, "column 'y' of frame is missing in every row"),
        ({"x": INFINITE, "y": HALVES}, {}, "column 'x' of frame is infinite in 40 rows"),
        ({"x": X, "y": INFINITE}, {}, "target 'y' holds infinite values"),
        ({"x": X, "y": HALVES * 0}, {}, "target 'y' is '0' in every row"),
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


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("PassengerId", np.arange(892, 892 + ROWS), "it numbers the rows"),
        ("Unnamed: 0", np.arange(ROWS), "it numbers the rows"),
        ("step", np.arange(ROWS) + 1, "it numbers the rows"),
        ("customer_id", GENERATOR.permutation(ROWS) * 7, "every row has another number"),
        ("key", [f"{index:08x}-{index}" for index in range(ROWS)], "every row has another text"),
        ("note", [f"p{min(index, 37)}" for index in range(ROWS)], "nearly every row has another"),
        ("gone", [None] * ROWS, "missing in every row"),
        ("blank", [" "] * ROWS, "missing in every row"),
        ("vector", [[1, 2]] * ROWS, "its cells are of type list"),
        ("record", [{"a": 1}] * ROWS, "its cells are of type dict"),
        ("blob", [b"\xff\xfe"] * ROWS, "its cells are of type bytes"),
    ],
)
def test_what_is_left_out_is_named_with_its_reason(table_of, name, values, reason):
    table = table_of({name: values, "x": X, "y": HALVES})
    assert list(table.frame.columns) == ["x"]
    assert any(f"left out column {name!r}: {reason}" in note for note in table.notes)
    assert next(one for one in table.readings if one.name == name).role == "left out"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", np.arange(1960, 1960 + ROWS)),
        ("t", np.arange(ROWS)),
        ("width", np.arange(5, 5 + ROWS)),
        ("price", [f"${index}" for index in range(ROWS)]),
        ("customer_id", np.arange(ROWS) % 20),
    ],
)
def test_what_rises_by_one_and_is_no_count_of_rows_stays(table_of, name, values):
    assert name in table_of({name: values, "x": X, "y": HALVES}).frame


def test_a_count_of_rows_stays_where_there_is_nothing_else(table_of):
    table = table_of({"x": np.arange(ROWS), "y": X})
    assert table.frame["x"].tolist() == list(range(ROWS))
    assert table.notes == ()


def test_columns_with_one_reason_share_a_sentence(table_of):
    table = table_of({"a": [None] * ROWS, "b": [None] * ROWS, "x": X, "y": HALVES})
    assert table.notes == ("left out columns 'a' and 'b': missing in every row",)


def test_every_column_has_a_reading(table_of):
    y = HALVES.astype(object)
    y[0] = None
    table = table_of(
        {
            "site": ["north", "south ", "north ", None] * 10,
            "pop": [f"{index + 1},000" for index in range(ROWS)],
            "id": range(ROWS),
            "who": np.arange(ROWS) // 4,
            "y": y,
        },
        subject="who",
    )
    facts = [(one.name, one.kind, one.role, one.missing, one.levels) for one in table.readings]
    assert facts == [
        ("site", "text", "feature", 10, 2),
        ("pop", "number", "feature", 0, 0),
        ("id", "number", "left out", 0, 0),
        ("who", "number", "subject", 0, 0),
        ("y", "number", "target", 1, 2),
    ]
    assert "thousands separators left out" in table.readings[1].done


def test_parse_decisions_do_not_ask_the_target(table_of):
    columns = {"pop": [f"{index + 1},500" for index in range(ROWS)], "day": ["1/2/2020"] * ROWS}
    first = table_of({**columns, "y": HALVES}).readings[:2]
    assert first == table_of({**columns, "y": GENERATOR.permutation(HALVES)}).readings[:2]


@pytest.mark.parametrize("word", ["NA", "None", "-", "?"])
def test_a_frequent_word_for_missing_is_a_class_and_it_is_told(table_of, word):
    table = table_of({"x": X, "y": [word, "EU", "AS", "EU"] * 10})
    assert set(table.classes) == {word, "EU", "AS"}
    assert any(f"{word!r} is a class of 10 rows" in note for note in table.notes)


def test_a_twentieth_of_the_rows_is_often_enough_for_a_class(table_of):
    labels = ["NA"] * 2 + ["EU", "AS"] * 19
    assert "NA" in table_of({"x": X, "y": labels}).classes
    assert "NA" not in table_of({"x": np.tile(X, 2), "y": labels + ["EU", "AS"] * 20}).classes


def test_a_rare_word_for_missing_is_missing_and_it_is_told(table_of):
    table = table_of({"x": X, "y": ["NA", *["EU", "AS", "EU"] * 13]})
    assert table.classes == ("AS", "EU")
    assert table.notes == ("left out 1 row without a 'y'", "column 'y': 'NA' means missing")
    numbers = table_of({"x": X, "y": np.where(HALVES, "NA", [f"{x:.3f}" for x in X])})
    assert (numbers.task, len(numbers.target)) == ("numbers", ROWS // 2)


def test_spaces_around_a_label_make_no_class(table_of):
    assert table_of({"x": X, "y": ["yes", "yes ", " no", "no\u00a0\u200b"] * 10}).classes == (
        "no",
        "yes",
    )


def test_classes_that_differ_in_case_alone_are_told(table_of):
    table = table_of({"x": X, "y": ["Yes", "yes", "no", "no"] * 10})
    assert table.classes == ("Yes", "no", "yes")
    assert table.notes == ("target 'y': 'Yes' and 'yes' are different classes",)


def test_classes_of_hardly_a_row_are_told(table_of):
    table = table_of({"x": X, "y": ["rare", *["a", "b"] * 19, "a"]})
    assert any("class 'rare' (1 row)" in note for note in table.notes)


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (lambda i: f"{i + 1},234.5", lambda i: (i + 1) * 1000 + 234.5),
        (lambda i: f"${i}.50", lambda i: i + 0.5),
        (lambda i: f"{i}.5 %", lambda i: i + 0.5),
        (lambda i: f"2020-01-{i % 31 + 1:02d}", lambda i: i % 31),
    ],
)
def test_targets_are_numbers_however_they_are_written(table_of, write, value):
    table = table_of({"x": X, "y": [write(index) for index in range(ROWS)]})
    assert table.task == "numbers"
    np.testing.assert_allclose(table.target, [value(index) for index in range(ROWS)])


def test_whole_numbers_that_hardly_repeat_are_no_classes(table_of):
    assert table_of({"x": X[:12], "y": np.arange(12) * 3}).task == "numbers"


def test_large_whole_numbers_are_different_classes(table_of):
    assert table_of({"x": X, "y": HALVES + 1234567}).classes == ("1234567", "1234568")


def test_the_target_in_other_words_is_told(table_of):
    other = np.where(HALVES, "ill", "well")
    table = table_of({"z": other, "w": 1 - HALVES, "x": X, "y": HALVES})
    assert any("columns 'z' and 'w': the target in other words" in note for note in table.notes)
    table = table_of({"z": 3 - 2 * X, "x": X**2, "y": X})
    assert any("column 'z': the target in other words" in note for note in table.notes)
    assert table_of({"x": X, "w": X**2, "y": HALVES}).notes == ()


def test_columns_that_repeat_or_never_change_are_told(table_of):
    table = table_of({"x": X, "z": X, "one": 1.0, "y": HALVES})
    assert table.notes == ("column 'z' repeats column 'x'", "column 'one': the same in every row")


def test_a_sample_has_every_class_in_its_share(table_of):
    y = np.repeat(["a", "b", "c"], [600, 300, 100])
    columns = {"x": np.arange(1000.0)[::-1], "y": y}
    table, again = (table_of(columns, sample=100) for _ in range(2))
    assert np.bincount(table.target).tolist() == [60, 30, 10]
    assert (table.all_rows, table.notes) == (1000, ())
    drawn = table.frame["x"].tolist()
    assert drawn == again.frame["x"].tolist() == sorted(drawn, reverse=True)  # as in the data
    assert (np.diff(drawn) != -10).any()  # at random, not every tenth
    whole = table_of(columns)
    assert (whole.all_rows, len(whole.frame)) == (None, 1000)


@pytest.mark.parametrize("classes", [True, False])
def test_a_sample_of_subjects_has_all_rows_of_each(table_of, classes):
    who = np.arange(1000) % 100
    columns = {"who": who, "x": who * 1.5, "y": np.where(who < 50, "a", "b") if classes else who}
    table = table_of(columns, subject="who", sample=100)
    assert np.bincount(table.subjects)[np.unique(table.subjects)].tolist() == [10] * 10
    np.testing.assert_array_equal(table.frame["x"], table.subjects * 1.5)
    if classes:
        assert np.bincount(table.target).tolist() == [50, 50]


def test_a_sample_of_more_rows_than_there_are_is_all_and_it_is_told(table_of):
    for count in (ROWS, 5000):
        table = table_of({"x": X, "y": HALVES}, sample=count)
        assert (len(table.target), table.all_rows) == (ROWS, None)
        assert table.notes == (f"sample is {count:,}, and there are 40 rows: all are used",)
