"""Parse the text of a cell as a number, as people and spreadsheets write it."""

from __future__ import annotations

import re
from typing import NamedTuple

# Words for a missing value, compared in lower case and without surrounding spaces.
MISSING = frozenset(("", "?", "-", "--", "–", "—", ".", "..", "na", "n/a", "#n/a", "n.a.", "nan"))
MISSING |= {"nat", "<na>", "null", "#null!", "none", "nil", "\\n"}
MISSING |= {"#value!", "#div/0!", "#ref!", "#num!", "#name?"}  # what spreadsheets write
SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9}
MINUS = str.maketrans({"−": "-", "﹣": "-", "－": "-", "–": "-"})
SPACES = str.maketrans(dict.fromkeys("\u00a0\u2007\u2009\u202f", " ") | {"’": "'"})
CURRENCY = (
    r"(?:(?:US|CA|AU|NZ|HK|A|C|R)?\$|[€£¥₹₽₩₺₫฿₪₴₦₱₡₲₵₸]|Rs\.?|kr\.?|zł|"
    r"(?:USD|EUR|GBP|CHF|JPY|CNY|CAD|AUD|NZD|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR))"
)


class Number(NamedTuple):
    """A number, its unit and how it is written."""

    value: float
    unit: str  # "$", "%", "kg"; "" for a bare number
    style: frozenset[str]  # how it is written: "thousands", "parentheses", "scale"


def _number_pattern(mark: str) -> re.Pattern[str]:
    """The pattern of a number with the decimal mark `mark`; the other may separate thousands."""
    other = re.escape("." if mark == "," else ",")
    grouped = (
        rf"[1-9]\d{{0,2}}(?P<group>[{other}' ])\d{{3}}(?:(?P=group)\d{{3}})*"
        rf"|[1-9]\d?(?:{other}\d{{2}})+{other}\d{{3}}"  # lakhs and crores
    )
    digits = rf"(?:(?P<grouped>{grouped})|\d+)(?:{re.escape(mark)}\d*)?|{re.escape(mark)}\d+"
    return re.compile(
        rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{CURRENCY})?\s*(?P<inner>[-+])?"
        rf"(?P<digits>{digits})(?P<power>[eE][-+]?\d+)?(?:\s*(?P<scale>K|k|M|B|bn)(?![^\W\d_]))?"
        rf"\s*(?P<after>{CURRENCY}|[%‰°a-zA-Zµ²³/]{{1,6}})?\s*(?P<end>[-)])?"
    )


PATTERNS = {mark: _number_pattern(mark) for mark in ".,"}


def parse_number(text: str, mark: str = ".") -> Number | None:
    """The number that `text` writes with the decimal mark `mark`, or None.

    Examples
    --------
    >>> parse_number("(1,234.50 €)")
    Number(value=-1234.5, unit='€', style=frozenset({...}))
    >>> parse_number("1.234,5", ",").value, parse_number("1.234,5"), parse_number("12 %").unit
    (1234.5, None, '%')
    """
    match = PATTERNS[mark].fullmatch(text.translate(SPACES).translate(MINUS))
    if match is None or not _is_balanced(match) or _is_list_label(match, mark):
        return None
    digits = match["digits"].translate({ord(" "): None, ord("'"): None})
    digits = digits.replace("." if mark == "," else ",", "").replace(mark, ".")
    value = float(digits + (match["power"] or "")) * SCALES.get(match["scale"], 1.0)
    negative = match["open"] or "-" in (match["sign"], match["inner"], match["end"])
    style = {"thousands"} if match["grouped"] else set()
    style |= {"parentheses"} if match["open"] else set()
    style |= {"scale"} if match["scale"] else set()
    unit = (match["before"] or "") + (match["after"] or "")
    return Number(-value if negative else value, unit, frozenset(style))


def _is_balanced(match: re.Match[str]) -> bool:
    """Whether parentheses come in a pair, and there is at most one sign and one currency."""
    if bool(match["open"]) != (match["end"] == ")"):
        return False
    signs = [match["sign"], match["inner"], match["end"] == "-", match["open"]]
    return sum(map(bool, signs)) <= 1 and not (match["before"] and match["after"])


def _is_list_label(match: re.Match[str], mark: str) -> bool:
    """Whether it is an enumerated label, such as "1. yes"."""
    return match["digits"].endswith(mark) and bool(match["after"])
