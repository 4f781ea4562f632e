"""Parse the text of a cell as a date or a duration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
NAMED = "|".join(MONTHS)
WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
DAY_OF_MONTH = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
NAME = rf"(?P<name>{NAMED})[a-z]*\.?"
YEAR = r"(?P<year>\d{4}|\d{2})"
DATES = {
    "digits": [r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})"],
    "iso": [
        rf"(?P<year>\d{{4}})(?P<by>[-/.])(?P<month>\d{{1,2}})(?P=by)(?P<day>\d{{1,2}}){CLOCK}",
        r"(?P<year>\d{4})[-/](?P<month>\d{2})",
    ],
    "day": [rf"(?P<day>\d{{1,2}})(?P<by>[-/.])(?P<month>\d{{1,2}})(?P=by){YEAR}{CLOCK}"],
    "month": [rf"(?P<month>\d{{1,2}})(?P<by>[-/.])(?P<day>\d{{1,2}})(?P=by){YEAR}{CLOCK}"],
    "name": [
        rf"{WEEKDAY}{DAY_OF_MONTH}[-\s./]*{NAME}[-\s,./]*{YEAR}{CLOCK}",
        rf"{WEEKDAY}{NAME}[-\s]*{DAY_OF_MONTH}(?:,\s*|[-\s]+){YEAR}{CLOCK}",
        rf"{NAME}[-\s,]+(?P<year>\d{{4}})",
        rf"(?P<year>\d{{4}})[-\s]{NAME}(?:[-\s](?P<day>\d{{1,2}}))?{CLOCK}",
    ],
    "quarter": [
        r"(?P<year>\d{4})[-\s]?Q(?P<quarter>[1-4])",
        r"Q(?P<quarter>[1-4])[-\s]?(?P<year>\d{4})",
    ],
}
EXAMPLES = {
    "digits": "20201231",
    "iso": "2020-12-31",
    "day": "31/12/2020",
    "month": "12/31/2020",
    "name": "31 Dec 2020",
    "quarter": "2020-Q4",
}
PATTERNS = {
    order: [re.compile(shape, re.IGNORECASE) for shape in shapes] for order, shapes in DATES.items()
}
YEAR_FIRST = PATTERNS["iso"][0]  # year, month and day


def parse_days(text: str, order: str) -> float | None:
    """Days from 1970-01-01 to the date that `text` is in the order `order`, or None.

    Without a time zone the clock is UTC's. Years of two digits are 1969 to 2068.

    Examples
    --------
    >>> parse_days("1970-01-03 12:00", "iso")
    2.5
    >>> parse_days("3/2/1970", "day"), parse_days("3/2/1970", "month")
    (33.0, 60.0)
    >>> parse_days("13/13/2020", "day") is None
    True
    """
    return _parse_by(PATTERNS[order], text)


def parse_expected_days(text: str, order: str) -> float | None:
    """As `parse_days`, but a date such as 2020-12-31, which means one day only, is of every order.

    Examples
    --------
    >>> parse_expected_days("3/2/1970", "day"), parse_expected_days("1970-02-03", "day")
    (33.0, 33.0)
    """
    return _parse_by([*PATTERNS[order], YEAR_FIRST], text)


def _parse_by(shapes: Iterable[re.Pattern[str]], text: str) -> float | None:
    match = next((match for shape in shapes if (match := shape.fullmatch(text))), None)
    if match is None:
        return None
    parts = match.groupdict()
    try:
        date = datetime(_year(parts["year"]), _month(parts), int(parts.get("day") or 1), tzinfo=UTC)
        since = date - EPOCH + _clock(parts)
    except (ValueError, OverflowError):
        return None
    return since / timedelta(days=1)


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) > 2 else year + (2000 if year < 69 else 1900)


def _month(parts: dict[str, str | None]) -> int:
    if name := parts.get("name"):
        return MONTHS.index(name.lower()) + 1
    if quarter := parts.get("quarter"):
        return 3 * int(quarter) - 2
    return int(parts["month"] or 0)


def _clock(parts: dict[str, str | None]) -> timedelta:
    """The time of day, at UTC."""
    hour, minute = int(parts.get("hour") or 0), int(parts.get("minute") or 0)
    second = float((parts.get("second") or "0").replace(",", "."))
    half = (parts.get("half") or "").lower()[:1]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 24 or minute > 59 or second >= 61:
        raise ValueError("no time of day")
    zone = (parts.get("zone") or "").replace(":", "")
    ahead = timedelta()
    if zone[:1] in ("+", "-"):
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:] or 0)) * int(zone[0] + "1")
    return timedelta(hours=hour, minutes=minute, seconds=second) - ahead


DURATION = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)\s*days?,?\s*\+?)?"
    r"(?:(?P<hours>\d+):(?P<minutes>\d{2})(?::(?P<seconds>\d{2}(?:\.\d+)?))?)?"
)
ISO_DURATION = re.compile(
    r"(?P<sign>-)?P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def parse_duration(text: str) -> float | None:
    """The seconds of a duration such as 01:23:45, 2 days 01:00:00 or PT1H30M, or None.

    Examples
    --------
    >>> [parse_duration(text) for text in ("01:23:45", "1 days 00:00:01", "PT1H30M", "5")]
    [5025.0, 86401.0, 5400.0, None]
    """
    match = DURATION.fullmatch(text) or ISO_DURATION.fullmatch(text)
    if match is None or not any(match[part] for part in ("days", "hours", "minutes", "seconds")):
        return None
    if match["hours"] and int(match["minutes"] or 0) > 59:
        return None
    unit_sizes = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
    sizes = {part: float(match[part] or 0) * size for part, size in unit_sizes.items()}
    if match["sign"] and match.re is DURATION and match["days"]:  # "-1 days +23:00:00"
        sizes["days"] *= -1
        return sum(sizes.values())
    return sum(sizes.values()) * (-1 if match["sign"] else 1)
