"""How columns are read: by all cells together, never by the target, and again on other tables."""

import datetime
import decimal
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from shrinkage.study.data.column_reading import Reading
from shrinkage.study.data.column_values import read_column
from shrinkage.study.data.infer_readings import infer_readings
from shrinkage.study.data.parse_date import EXAMPLES, PATTERNS, parse_days
from shrinkage.study.errors import UsageError

ROWS = 60
PLACES = range(ROWS)


def read(cells, **others):
    """The reading of a column x, beside others, and its values."""
    frame = pd.DataFrame({"x": pd.Series(cells), **others})
    reading = infer_readings(frame)["x"]
    return reading, read_column(reading, frame["x"])


def by(write):
    return [write(place) for place in PLACES]


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (lambda i: f"{i + 1},{i:03d},000", lambda i: (i + 1) * 1e6 + i * 1e3),
        (lambda i: f"${i + 1},234.50", lambda i: (i + 1) * 1e3 + 234.5),
        (lambda i: f"{i}.5%", lambda i: i + 0.5),
        (lambda i: f"{i + 1}.234,56", lambda i: (i + 1) * 1e3 + 234.56),
        (lambda i: f"({i + 1},234)", lambda i: -(i + 1) * 1e3 - 234),
        (lambda i: f"−{i}", lambda i: -i),
        (lambda i: decimal.Decimal(i) / 4, lambda i: i / 4),
        (lambda i: [1, "2", 3.5, np.int8(4)][i % 4], lambda i: [1, 2, 3.5, 4][i % 4]),
        (lambda i: f"{i} kg", lambda i: i),
        (lambda i: f"00{i:02d}", lambda i: i),
    ],
)  # fmt: skip
def test_numbers_of_any_writing_are_float64(write, value):
    reading, values = read(by(write))
    assert (reading.kind, values.dtype) == ("number", np.float64)
    np.testing.assert_allclose(values, by(value), rtol=1e-14)


@pytest.mark.parametrize(
    ("write", "first", "unit"),
    [
        (lambda i: f"2020-03-{i % 28 + 1:02d}", "2020-03-01", 1.0),
        (lambda i: f"202003{i % 28 + 1:02d}", "2020-03-01", 1.0),
        (lambda i: f"{i % 28 + 1} March 2020", "2020-03-01", 1.0),
        (lambda i: f"3/{i % 28 + 1}/2020", "2020-03-01", 1.0),
        (lambda i: datetime.date(2020, 3, i % 28 + 1), "2020-03-01", 1.0),
        (lambda i: pd.Timestamp(2020, 3, i % 28 + 1, tz="Asia/Tokyo"), "2020-02-29", 1.0),
    ],
)
def test_dates_are_days_since_the_first(write, first, unit):
    reading, values = read(by(write))
    assert (reading.kind, reading.origin) == ("date", first)
    assert f"days since {first}" in reading.done
    np.testing.assert_allclose(np.diff(values[:28]), unit, atol=1e-9)


def test_types_of_pandas_and_arrow():
    days = pd.date_range("2020-01-01", periods=ROWS)
    columns = {
        "period": days.to_period("D"),
        "date": pd.Series(days.date).astype(pd.ArrowDtype(pa.date32())),
        "zone": days.tz_localize("UTC"),
    }
    for cells in columns.values():
        reading, values = read(cells)
        assert reading.kind == "date"
        np.testing.assert_allclose(values, PLACES, atol=1e-9)
    for cells in (
        pd.to_timedelta(PLACES, unit="s"),
        pd.Series(pd.to_timedelta(PLACES, unit="s")).astype(pd.ArrowDtype(pa.duration("s"))),
        by(lambda i: f"00:00:{i:02d}"),
        by(lambda i: datetime.time(0, 0, i)),
    ):
        reading, values = read(cells)
        assert reading.kind == "duration"
        np.testing.assert_allclose(values, PLACES, atol=1e-9)
    halves = pd.Series([decimal.Decimal(1) / 2, None] * 30)
    for cells, expected in (
        (pd.array([1, None] * 30, dtype="Int64"), [1, np.nan] * 30),
        (pd.array([True, None] * 30, dtype="boolean"), [1, np.nan] * 30),
        (pd.arrays.SparseArray([0.0, 1.0] * 30), [0, 1] * 30),
        (np.arange(ROWS, dtype=np.float16), PLACES),
        (np.arange(ROWS, dtype=np.longdouble), PLACES),
        (halves.astype(pd.ArrowDtype(pa.decimal128(5, 2))), [0.5, np.nan] * 30),
        (["True", "FALSE"] * 30, [1, 0] * 30),
    ):  # fmt: skip
        np.testing.assert_array_equal(read(cells)[1], np.array(expected, dtype=float))
    for cells in (pd.Categorical(["1", "2"] * 30), pd.cut(np.arange(ROWS), 2), [b"k", b"l"] * 30):
        reading, values = read(cells)
        assert (reading.kind, values.dtype) == ("text", object)


def test_an_open_decimal_mark_follows_the_other_columns():
    """1.234 is a fraction in most tables, and 1234 in one whose commas are decimal marks."""
    cells = by(lambda i: f"{i + 1}.234")
    assert read(cells)[1][0] == 1.234
    reading, values = read(cells, other=by(lambda i: f"{i},5"))
    assert values[0] == 1234.0
    assert "'1.234' is read as 1234" in reading.done
    cells = by(lambda i: f"{i + 1},500")
    assert read(cells)[1][0] == 1500.0
    assert read(cells, other=by(lambda i: f"{i},5"))[1][0] == 1.5
    assert "'1,500' is read as 1500" in read(cells)[0].done


def test_per_cents_beside_bare_numbers_are_told():
    reading, values = read(by(lambda i: f"{i + 1}%" if i % 2 else f"{i + 1}"))
    np.testing.assert_array_equal(values, np.arange(ROWS) + 1)
    assert "% is absent from 30 distinct cells" in reading.done


def test_one_cell_decides_a_column():
    assert read(["1,500"] * 59 + ["1,50"])[1][0] == 1.5
    assert read(["1,500"] * 59 + ["1,500.5"])[1][0] == 1500.0


def test_an_open_order_of_day_and_month_follows_the_column_then_the_others():
    cells = by(lambda i: f"{i % 12 + 1}/{i % 11 + 1}/2020")
    assert read(cells)[0].order == "month"
    assert "is read as month, day, year" in read(cells)[0].done
    assert read([*cells, "13/1/2020"])[0].order == "day"
    assert read(cells, other=by(lambda i: f"{i % 28 + 1}/1/2020"))[0].order == "day"
    assert read(by(lambda i: f"01.{i % 12 + 1:02d}.2020"))[0].order == "day"


@pytest.mark.parametrize("missing", [pd.NA, math.nan])
@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_numbers_in_texts_of_pandas_may_be_missing(storage, missing):
    dtype = pd.StringDtype(storage, na_value=missing)
    reading, values = read(pd.array(["1", None, "2.5", ""], dtype=dtype))
    assert (reading.kind, reading.done) == ("number", "")
    np.testing.assert_array_equal(values, [1.0, math.nan, 2.5, math.nan])


@pytest.mark.parametrize("word", ["", " ", "?", "N/A", "na", "-", ".", "NULL", "nan", "None"])
def test_words_for_missing_leave_numbers_numbers(word):
    reading, values = read([word, *by(lambda i: f"{i}.5")])
    assert math.isnan(values[0])
    assert values[1] == 0.5
    assert (repr(word.strip()) in reading.done) == bool(word.strip())


def test_a_few_other_texts_among_many_numbers_are_missing_and_told():
    reading, values = read(by(lambda i: "<5" if i % 20 == 3 else f"{i}.5"))
    assert np.flatnonzero(np.isnan(values)).tolist() == [3, 23, 43]
    assert "'<5' means missing" in reading.done
    reading, _ = read(by(lambda i: f"<{i}" if i % 3 == 0 else f"{i}.5"))
    assert reading.kind == "text"
    assert "40 of its 60 cells are numbers" in reading.done


@pytest.mark.parametrize(
    "write",
    [
        lambda i: f"{i}a" if i % 5 == 0 else f"{i}",  # numbers of houses
        lambda i: f"{'$€'[i % 2]}{i}",
        lambda i: f"{i % 3}. {['low', 'mid', 'high'][i % 3]}",
        lambda i: f"10.0.0.{i}",
        lambda i: ["2019-20", "2012-13"][i % 2],
        lambda i: ["1", "2", "A"][i % 3],
    ],
)
def test_what_is_text_stays_text(write):
    assert read(by(write))[0].kind == "text"


@pytest.mark.parametrize(
    "cells",
    [np.arange(ROWS) * 1j, by(lambda i: complex(i, 1)), by(lambda i: f"{i}.5+{i}j")],
)
def test_complex_numbers_are_refused_by_name(cells):
    with pytest.raises(UsageError, match="column 'x' holds complex numbers"):
        read(cells)


def test_a_reading_reads_another_table_by_the_same_rules():
    frame = pd.DataFrame(
        {
            "price": by(lambda i: f"$1,{i:03d}"),
            "when": by(lambda i: f"{i % 28 + 1}/1/2020"),
            "site": by(lambda i: "north " if i % 2 else "south"),
        }
    )
    readings = infer_readings(frame)
    other = pd.DataFrame(
        {"price": ["2,500", "?"], "when": ["2/3/2020", ""], "site": [" north", "NA"]}
    )
    assert read_column(readings["price"], other["price"])[0] == 2500.0
    assert read_column(readings["when"], other["when"])[0] == 31 + 29 + 1  # 2 March, not 3 February
    assert read_column(readings["site"], other["site"])[0] == "north"
    for name in frame:
        assert pd.isna(read_column(readings[name], other[name])[1])
    assert read_column(readings["price"], pd.Series([7, 8])).tolist() == [7.0, 8.0]
    with pytest.raises(UsageError, match="column 'price' holds '€5', but is read as numbers"):
        read_column(readings["price"], pd.Series(["€5"]))
    with pytest.raises(UsageError, match="column 'when' holds numbers, but is read as dates"):
        read_column(readings["when"], pd.Series([5.0]))


def test_a_date_in_another_order_is_told_with_an_example():
    reading = Reading("when", "date", order="day", origin="2020-01-01")
    for other in ("6 May 2021", "05/31/2020", "2021-05", "20210506", "2021-Q2", "2021-31-05"):
        with pytest.raises(UsageError, match=f"'{other}', but is read as dates such as 31/12/2020"):
            read_column(reading, pd.Series(["05/01/2020", other]))


@pytest.mark.parametrize("order", ["day", "month", "name", "digits", "quarter"])
def test_a_date_that_begins_with_the_year_is_read_in_every_order(order):
    reading = Reading("when", "date", order=order, origin="2020-01-01")
    column = pd.Series([EXAMPLES[order], "2020-03-01", "2020-03-01T12:00:00Z", "2020/3/1", ""])
    first = parse_days(EXAMPLES[order], order) - parse_days("2020-01-01", "iso")
    np.testing.assert_array_equal(read_column(reading, column), [first, 60, 60.5, 60, np.nan])


def test_a_rare_date_that_begins_with_the_year_is_no_missing_value():
    frame = pd.DataFrame({"when": by(lambda i: f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2020")})
    frame.loc[3, "when"] = "2020-03-01"
    reading = infer_readings(frame)["when"]
    assert (reading.order, reading.holes, reading.missing) == ("day", (), 0)
    assert "missing" not in reading.done
    days = read_column(reading, frame["when"])
    assert days[3] == days[0] + 60  # after 1 January
    frame.loc[3, "when"] = "2019-03-01"
    assert infer_readings(frame)["when"].origin == "2019-03-01"


def test_the_examples_of_dates_are_of_their_order():
    days = {order: parse_days(text, order) for order, text in EXAMPLES.items()}
    assert days.keys() == PATTERNS.keys()
    assert None not in days.values()
