"""What the text of one cell says: nothing, or a number as people write it."""

from __future__ import annotations

import re
from typing import NamedTuple

# Compared in lower case, without the spaces around.
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
    """A number and what stands beside it."""

    value: float
    unit: str  # "$", "%", "kg"; "" for a bare number
    style: frozenset[str]  # how it is written: "thousands", "parentheses", "scale"


def _shape(mark: str) -> re.Pattern[str]:
    """A number with the decimal mark `mark`; the other mark may part its thousands."""
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


SHAPES = {mark: _shape(mark) for mark in ".,"}


def number(text: str, mark: str = ".") -> Number | None:
    """The number that `text` writes with the decimal mark `mark`, or None.

    Examples
    --------
    >>> number("(1,234.50 €)")
    Number(value=-1234.5, unit='€', style=frozenset({...}))
    >>> number("1.234,5", ",").value, number("1.234,5"), number("12 %").unit
    (1234.5, None, '%')
    """
    found = SHAPES[mark].fullmatch(text.translate(SPACES).translate(MINUS))
    if found is None or not _closes(found) or _is_enumerated(found, mark):
        return None
    bare = found["digits"].translate({ord(" "): None, ord("'"): None})
    bare = bare.replace("." if mark == "," else ",", "").replace(mark, ".")
    value = float(bare + (found["power"] or "")) * SCALES.get(found["scale"], 1.0)
    negative = found["open"] or "-" in (found["sign"], found["inner"], found["end"])
    style = {"thousands"} if found["grouped"] else set()
    style |= {"parentheses"} if found["open"] else set()
    style |= {"scale"} if found["scale"] else set()
    unit = (found["before"] or "") + (found["after"] or "")
    return Number(-value if negative else value, unit, frozenset(style))


def _closes(found: re.Match[str]) -> bool:
    """Whether parentheses are two, and signs, currencies one at most."""
    if bool(found["open"]) != (found["end"] == ")"):
        return False
    signs = [found["sign"], found["inner"], found["end"] == "-", found["open"]]
    return sum(map(bool, signs)) <= 1 and not (found["before"] and found["after"])


def _is_enumerated(found: re.Match[str], mark: str) -> bool:
    """Whether it is a label with its number, such as "1. yes"."""
    return found["digits"].endswith(mark) and bool(found["after"])
