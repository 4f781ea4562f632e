"""Parse a .csv or .tsv file: its encoding, its separator and its rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pandas as pd

from shrinkage.study.data.parse_plain_csv import holds_any, parse_plain_csv
from shrinkage.study.data.rows_to_frame import NoTableError, Row, is_blank, rows_to_frame

SEPARATORS = ",;\t| "  # a space only where none of the others separates the lines
LARGE = 1_000_000  # bytes from which a file without anything odd is parsed by pyarrow
SAMPLE_ROWS = 100  # rows from which the separator is guessed
BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
CONTROL = bytes([*range(0x09), *range(0x0E, 0x20)])
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n')  # the first line that Excel writes and reads


def parse_csv(content: bytes) -> tuple[pd.DataFrame, list[str], str]:
    """The columns of a text file, remarks on it, and its usual decimal mark.

    Every cell stays text. The separator is the one that gives most rows the same number of cells;
    separators inside quotation marks do not count.

    Raises
    ------
    NoTableError
        If the content is not text or not a table.
    """
    plain = _parse_if_plain(content) if len(content) >= LARGE else None
    if plain is not None:
        return plain
    text, remarks = _decode(content)
    if not text.strip():
        raise NoTableError("it is empty")
    hint = SEPARATOR_LINE.match(text)
    separator = hint[1] if hint else _guess_separator(text)
    text = text[hint.end() :] if hint else text
    frame, more = rows_to_frame(_split_rows(text, separator))
    return frame, [*remarks, *more], _usual_mark(separator)


def _parse_if_plain(content: bytes) -> tuple[pd.DataFrame, list[str], str] | None:
    """What `parse_csv` returns, of a file whose first rows have nothing odd; None of others."""
    head = content[: content.rfind(b"\n", 0, LARGE) + 1]
    if head.startswith(tuple(BYTE_ORDER_MARKS)) or holds_any(content, CONTROL + b'"'):
        return None
    try:
        text = head.decode()
        separator = _guess_separator(text) if text.strip() else " "
        rows = list(_split_rows(text, separator))
        frame, remarks = rows_to_frame(rows)
    except ValueError:  # no UTF-8, or no table
        return None
    has_names = len(rows) > SAMPLE_ROWS and sum(not is_blank(cell) for cell in rows[0][1]) > 1
    if remarks or separator == " " or not has_names:
        return None
    parsed = parse_plain_csv(content, separator, list(frame.columns))
    return None if parsed is None else (parsed, [], _usual_mark(separator))


def _usual_mark(separator: str) -> str:
    return "," if separator == ";" else "."


def _decode(content: bytes) -> tuple[str, list[str]]:
    encoding = next(
        (name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), None
    )
    if encoding is None and content[1::2].count(0) > len(content) / 4:
        encoding = "utf-16-le"
    remarks: list[str] = []
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise NoTableError(f"it begins as {encoding} text, but {error.reason}") from None
        text = content.decode("cp1252", errors="replace")
        remarks.append("it is not UTF-8 text, and is read as Windows-1252 (Latin-1)")
    written = text.encode(errors="surrogatepass")
    if len(written.translate(None, CONTROL)) < len(written):  # much faster than a search
        raise NoTableError("it holds control characters, so it is no text in spite of its name")
    return text, remarks


def _guess_separator(text: str) -> str:
    """The separator that gives most rows the same number of cells, and then most cells."""
    best, most = ",", (0.0, 0)
    sample = text[:10_000_000]
    for separator in SEPARATORS:
        rows = [cells for _, cells in islice(_split_rows(sample, separator), SAMPLE_ROWS) if cells]
        width, times = Counter(map(len, rows)).most_common(1)[0]
        agreement = times / len(rows), width
        if width > 1 and agreement > most and (separator != " " or most == (0.0, 0)):
            best, most = separator, agreement
    return best


def _split_rows(text: str, separator: str) -> Iterator[Row]:
    """Each row with the number of its last line; a cell may be as long as the text."""
    lines = io.StringIO(text, newline="")
    usual = csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    begin = end = 0
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t")
        for cells in reader:
            begin, end = end + 1, reader.line_num
            yield end, cells
    finally:
        csv.field_size_limit(usual)
    if text.count('"') % 2 and _ends_in_quotation(text, separator):
        raise NoTableError(f"the quotation mark in line {begin} is never closed")


def _ends_in_quotation(text: str, separator: str) -> bool:
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False
