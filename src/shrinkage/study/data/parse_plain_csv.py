"""Parse a large and regular text file by pyarrow: many times faster, to the same cells.

What is odd about a file is left to `parse_csv`, which knows what to make of it.
"""

from __future__ import annotations

import pandas as pd
import pyarrow
from pyarrow import compute, csv

CHUNK = 1 << 24  # bytes that are searched at a time


def holds_any(content: bytes, unwanted: bytes) -> bool:
    """Whether one of the bytes `unwanted` is in the content."""
    view = memoryview(content)
    parts = (bytes(view[start : start + CHUNK]) for start in range(0, len(view), CHUNK))
    # Much faster than a search for each.
    return any(len(part.translate(None, unwanted)) < len(part) for part in parts)


def parse_plain_csv(content: bytes, separator: str, names: list[str]) -> pd.DataFrame | None:
    """The columns of text below a first line of names; None if the file is not regular.

    It is regular if it is UTF-8 and every line has one cell for each name. There must be no
    quotation mark in it.
    """
    try:
        table = csv.read_csv(
            pyarrow.BufferReader(content),
            csv.ReadOptions(column_names=names, skip_rows=1),
            csv.ParseOptions(delimiter=separator, quote_char=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.large_string()), strings_can_be_null=False
            ),
        )
    except pyarrow.ArrowInvalid:
        return None
    # The reader of other files leaves out spaces after a separator other than a tab.
    ends = (separator, "\n", "\r") if separator != "\t" else ()
    has_spaces = any(f"{end} ".encode() in content for end in ends)
    columns = {}
    for name in names:
        texts = table[name]
        if has_spaces:
            texts = compute.utf8_ltrim(texts, characters=" ")
        columns[name] = pd.Series(pd.arrays.ArrowStringArray(texts), copy=False)
    return pd.DataFrame(columns, copy=False)
