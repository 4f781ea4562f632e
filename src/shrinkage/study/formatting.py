"""Numbers as text for sentences and tables: rounding never turns almost all into all."""

from __future__ import annotations

import math

MISSING = "–"


def format_score(value: float, *, digits: int = 3) -> str:
    """A score or a difference of scores; it reads 0 or 1 only where it is exactly that.

    >>> [format_score(score) for score in (0.9531, 0.99962, 1.0, -0.0002, 0.0)]
    ['0.953', '0.9996', '1.000', '-0.0002', '0.000']
    >>> [format_score(error) for error in (12.345, 23456.7, 2.5e9)]
    ['12.345', '23,457', '2.5e+09']
    """
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.3g}"
    for more in range(digits, digits + 6):
        text = f"{value:.{more}f}"
        if float(text) not in (0.0, 1.0, -1.0):
            return text
    return f"{round(value, 12) + 0.0:.{digits}f}"  # + 0.0: no minus before a zero


def format_page_score(value: float | None) -> str:
    """A score with a true minus sign; a dash when there is none.

    >>> format_page_score(-0.25), format_page_score(0.99962), format_page_score(None)
    ('−0.250', '0.9996', '–')
    """
    return MISSING if value is None else format_score(value).replace("-", "−")


def format_with_error(mean: float, error: float) -> str:
    """A score with its standard error; the score alone where there is none.

    >>> format_with_error(0.9531, 0.0123), format_with_error(0.9531, math.nan)
    ('0.953 ± 0.012', '0.953')
    """
    return format_score(mean) + (f" ± {format_score(error)}" if math.isfinite(error) else "")


def format_page_with_error(mean: float, error: float) -> str:
    """The same with a true minus sign."""
    return format_with_error(mean, error).replace("-", "−")


def format_share(value: float | None) -> str:
    """A share as a percentage; it reads 0% or 100% only where that is exact.

    >>> [format_share(share) for share in (0.0, 0.0004, 0.724, 0.9999, 1.0)]
    ['0%', 'under 0.1%', '72.4%', 'over 99.9%', '100%']
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value in (0, 1):
        return f"{value:.0%}"
    if value < 0.001:
        return "under 0.1%"
    if value > 0.999:
        return "over 99.9%"
    return f"{100 * value:.1f}%"


def format_duration(seconds: float) -> str:
    """A time that is known roughly, with one or two digits.

    >>> [format_duration(seconds) for seconds in (0.3, 4.4, 41.3, 117.0, 1534.0, 9000.0)]
    ['1 s', '4 s', '40 s', '2 min', '26 min', '2.5 h']
    """
    if seconds < 95:
        rounded = 5 * round(seconds / 5) if seconds > 20 else max(1, round(seconds))
        return f"{rounded} s"
    return f"{seconds / 60:.0f} min" if seconds < 95 * 60 else f"{seconds / 3600:.2g} h"


def format_rate(seconds: float) -> str:
    """How fast trials end, from the seconds from one to the next.

    >>> [format_rate(seconds) for seconds in (0.0, 0.0123, 0.31, 1.0, 41.3)]
    ['', '81 trials/s', '3.2 trials/s', '1.0 s a trial', '41 s a trial']
    """
    if seconds <= 0:
        return ""
    per_second = 1 / seconds
    if per_second > 1:
        return f"{per_second:.{0 if per_second >= 9.95 else 1}f} trials/s"
    if seconds < 9.95:
        return f"{seconds:.1f} s a trial"
    return f"{format_duration(seconds) if seconds >= 95 else f'{seconds:.0f} s'} a trial"


def round_units(mean: float, total: int) -> int:
    """A mean over seeds as a whole number; it is 0 or `total` only where every seed's is.

    >>> round_units(52.3, 64), round_units(63.7, 64), round_units(0.3, 64), round_units(64.0, 64)
    (52, 63, 1, 64)
    """
    if mean <= 0 or mean >= total:
        return round(mean)
    return min(max(round(mean), 1), total - 1)


def count_rows(rows: int, of: int | None) -> str:
    """The rows of a study, and of how many they are a sample.

    >>> count_rows(400, None), count_rows(10_000, 1_000_000)
    ('400 rows', '10,000 of 1,000,000 rows')
    """
    return f"{rows:,} of {pluralize(of, 'row')}" if of else pluralize(rows, "row")


def pluralize(amount: int, noun: str) -> str:
    """An amount with its noun.

    >>> pluralize(1, "seed"), pluralize(1200, "row")
    ('1 seed', '1,200 rows')
    """
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"
