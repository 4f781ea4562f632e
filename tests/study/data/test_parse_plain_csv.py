"""A large file is parsed by pyarrow where it is regular, to the same cells as any other."""

import pandas as pd
import pytest

from shrinkage.study.data import parse_csv
from shrinkage.study.data.rows_to_frame import NoTableError

LINES = ["a,b,y", *(f"{row}.50,t{row % 3},{'p' if row % 2 else ''}" for row in range(200))]
TEXT = "\n".join(LINES) + "\n"


@pytest.fixture
def parse(monkeypatch):
    """Parse as a large file; it returns what comes out, and whether pyarrow was asked for it."""
    asked = []

    def ask(*args):
        found = parse_plain(*args)
        asked.append(found is not None)
        return found

    parse_plain = parse_csv.parse_plain_csv
    monkeypatch.setattr(parse_csv, "parse_plain_csv", ask)

    def run(content, large):
        asked.clear()
        monkeypatch.setattr(parse_csv, "LARGE", large)
        try:
            return parse_csv.parse_csv(content), any(asked)
        except NoTableError as error:
            return str(error), any(asked)

    return run


@pytest.mark.parametrize(
    ("content", "is_plain"),
    [
        (TEXT, True),
        (TEXT.rstrip(), True),
        (TEXT.replace("\n", "\r\n"), True),
        (TEXT.replace(",", ";"), True),
        (TEXT.replace(",", "\t"), True),
        (TEXT.replace(",", "\t ").replace("\n", "\n ").rstrip(" "), True),
        (TEXT.replace(",", ",  ").replace("\n", "\n ").rstrip(" "), True),
        (TEXT.replace("t1", "ä é"), True),
        (TEXT.replace("t1", "#1").replace("t2", ""), True),
        (TEXT.replace("t1", "NA").replace("t2", "null"), True),
        (TEXT.replace("150.50", "\n\n150.50"), True),
        (TEXT.replace("y\n", "y,\n").replace("p\n", "p,\n"), False),
        (TEXT.replace(",", " "), False),
        (TEXT.replace("t1", '"t1"'), False),
        (TEXT.replace("150.50,", ""), False),
        (TEXT.replace("150.50", "150.50,1"), False),
        (TEXT.replace("150.50", "# a comment\n150.50"), False),
        ("a table\n" + TEXT, False),
        ("\n" + TEXT, False),
        ("sep=,\n" + TEXT, False),
        (TEXT.replace("y\n", "\n"), True),
        (TEXT.replace("a,b,y", "a,a,y"), False),
        (TEXT.replace("a,b,y", "1.5,2.5,3.5"), False),
        (TEXT.replace("a,b,y", "b,y"), False),
        ("\ufeff" + TEXT, False),
        (TEXT.encode("utf-16"), False),
        (TEXT.replace("t1", "ä").encode("cp1252"), False),
        (TEXT.replace("150.50", "\x01"), False),
        (TEXT * 2, True),
        ("a" * 3000, False),
    ],
)
def test_the_cells_and_remarks_are_those_of_the_slow_way(parse, content, is_plain):
    content = content if isinstance(content, bytes) else content.encode()
    expected, _ = parse(content, large=len(content) + 1)
    found, is_found_plain = parse(content, large=2000)
    assert is_found_plain == is_plain
    if isinstance(expected, str):
        assert found == expected
    else:
        pd.testing.assert_frame_equal(found[0], expected[0])
        assert found[1:] == expected[1:]
