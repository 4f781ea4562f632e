"""What the text of one cell says."""

from datetime import UTC, datetime

import pytest

from shrinkage.study.data.parse_date import parse_days, parse_duration
from shrinkage.study.data.parse_number import parse_number


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234,567", 1234567.0, ""),
        ("$1,234.50", 1234.5, "$"),
        ("12.5%", 12.5, "%"),
        ("12 %", 12.0, "%"),
        ("€ 12", 12.0, "€"),
        ("5 USD", 5.0, "USD"),
        ("-$5", -5.0, "$"),
        ("$-5", -5.0, "$"),
        ("($5.00)", -5.0, "$"),
        ("(1,234)", -1234.0, ""),
        ("5-", -5.0, ""),
        ("−3", -3.0, ""),
        ("+3", 3.0, ""),
        ("1e5", 1e5, ""),
        (".5", 0.5, ""),
        ("1\u00a0234.5", 1234.5, ""),
        ("1\u2009234", 1234.0, ""),
        ("1\u202f234\u202f567", 1234567.0, ""),
        ("1'234.50", 1234.5, ""),
        ("12,34,567", 1234567.0, ""),
        ("€110.5M", 110.5e6, "€"),
        ("1.2K", 1200.0, ""),
        ("5 kg", 5.0, "kg"),
    ],
)
def test_numbers_as_people_write_them(text, value, unit):
    found = parse_number(text)
    assert (found.value, found.unit) == (pytest.approx(value, rel=1e-15), unit)


@pytest.mark.parametrize(
    "text",
    ["", "1,23,4", "1,2345", "0,123", "--5", "(5", "5)", "-(5)", "$5€", "A5", "0x1A", "1_000",
     "1.2.3", "1 2", "555-123", "1. yes", "1,234 567"],
)  # fmt: skip
def test_what_is_no_number(text):
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.234,56", 1234.56), ("0,5", 0.5), ("1,500", 1.5), ("1.500", 1500.0), ("1 234,5 €", 1234.5)],
)
def test_numbers_with_a_comma_for_a_point(text, value):
    assert parse_number(text, ",").value == value


def test_a_point_is_no_thousands_separator_without_three_digits():
    assert parse_number("1.5", ",") is None


@pytest.mark.parametrize(
    ("text", "order", "date"),
    [
        ("2020-01-05", "iso", (2020, 1, 5)),
        ("2020/1/5", "iso", (2020, 1, 5)),
        ("2020-01-05T10:30:15", "iso", (2020, 1, 5, 10, 30, 15)),
        ("2020-01-05 10:30+02:00", "iso", (2020, 1, 5, 8, 30)),
        ("2020-01-05 10:30 PM", "iso", (2020, 1, 5, 22, 30)),
        ("2020-01-05 24:00", "iso", (2020, 1, 6)),
        ("2020-07", "iso", (2020, 7, 1)),
        ("03/04/2021", "day", (2021, 4, 3)),
        ("03/04/2021", "month", (2021, 3, 4)),
        ("13.04.21", "day", (2021, 4, 13)),
        ("12/31/99 11:59 pm", "month", (1999, 12, 31, 23, 59)),
        ("5 Jan 2020", "name", (2020, 1, 5)),
        ("Jan 5, 2020", "name", (2020, 1, 5)),
        ("05-Jan-20", "name", (2020, 1, 5)),
        ("Mon, 05 Jan 2020 10:00:00 GMT", "name", (2020, 1, 5, 10)),
        ("3rd March 2021", "name", (2021, 3, 3)),
        ("2020Q3", "quarter", (2020, 7, 1)),
        ("20200131", "digits", (2020, 1, 31)),
        ("0001-01-01", "iso", (1, 1, 1)),
    ],
)
def test_dates(text, order, date):
    since = datetime(*date, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_days(text, order) == pytest.approx(since.total_seconds() / 86400, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "order"),
    [("2020-13-01", "iso"), ("2020-02-30", "iso"), ("1.2.3", "day"), ("13/13/2020", "month"),
     ("2020-01-01 10:75", "iso"), ("2019-20", "iso"), ("20201301", "digits"), ("Janus", "name")],
)  # fmt: skip
def test_what_is_no_date(text, order):
    assert parse_days(text, order) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("01:23:45", 5025.0), ("12:30", 45000.0), ("0:00:01.5", 1.5), ("3 days", 259200.0),
     ("1 days 02:03:04", 93784.0), ("1 day, 2:00:00", 93600.0), ("-1 days +23:00:00", -3600.0),
     ("PT1H30M", 5400.0), ("P3D", 259200.0), ("-0:30:00", -1800.0)],
)  # fmt: skip
def test_durations(text, value):
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "5", "P", "PT", "-", "12:75"])
def test_what_is_no_duration(text):
    assert parse_duration(text) is None
