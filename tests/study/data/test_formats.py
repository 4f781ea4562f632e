"""Files as people have them: encodings, separators, odd lines, packed files, sheets."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from shrinkage.study.data.sources import read_source
from shrinkage.study.data.table import prepare_table
from shrinkage.study.errors import UsageError
from shrinkage.study.spec import Study

ROWS = 30
A = [f"{place}.25" for place in range(ROWS)]
B = [str(place % 7) for place in range(ROWS)]
Y = ["pq"[place % 2] for place in range(ROWS)]
LINES = [",".join(cells) for cells in zip(A, B, Y, strict=True)]
TEXT = "\n".join(["a,b,y", *LINES]) + "\n"


@pytest.fixture
def table(tmp_path):
    """The table of a file of some content."""

    def make(content, name="t.csv", target="y"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return prepare_table(read_source(str(path)), Study(data=str(path), target=target))

    return make


def is_whole(table):
    assert list(table.frame.columns) == ["a", "b"]
    np.testing.assert_array_equal(table.frame["a"], np.arange(ROWS) + 0.25)
    np.testing.assert_array_equal(table.frame["b"], np.arange(ROWS) % 7)
    assert table.classes == ("p", "q")
    return True


@pytest.mark.parametrize("separator", list(";\t| "))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_ends_of_lines(table, separator, end):
    assert is_whole(table(TEXT.replace(",", separator).replace("\n", end)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(table, encoding):
    assert is_whole(table(TEXT.encode(encoding)))


def test_what_is_not_utf_8_is_read_as_windows_1252_and_told(table):
    found = table(TEXT.replace(",p", ",ä").replace(",q", ",€").encode("cp1252"))
    assert found.classes == ("ä", "€")
    assert any("Windows-1252" in note for note in found.notes)


def test_a_separator_in_quotation_marks_is_none(table):
    head, rows = '"size, in cm, long";b;y\n', TEXT.replace(",", ";").split("\n", 1)[1]
    assert list(table(head + rows).frame.columns) == ["size, in cm, long", "b"]
    head = '"a;x;;;",b,y\n'
    assert list(table(head + TEXT.split("\n", 1)[1]).frame.columns) == ["a;x;;;", "b"]


def test_the_separator_parts_all_lines_into_as_many_cells(table):
    rows = [
        f"so, {'and so, ' * (4 if place % 4 else 0)}on;{place % 7};{Y[place]}"
        for place in range(ROWS)
    ]
    found = table("note, as written;b;y\n" + "\n".join(rows))
    assert list(found.frame.columns) == ["note, as written", "b"]


def test_a_cell_may_hold_ends_of_lines_and_be_long(table):
    found = table(TEXT.replace("b,y", f"{'b' * 140_000},y").replace(",0,p", ',"0\n",p'))
    assert len(found.target) == ROWS
    assert len(found.frame.columns[1]) == 140_000


def test_commas_are_decimal_marks_beside_semicolons(table):
    assert is_whole(table(TEXT.replace(",", ";").replace(".", ",")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"# by x, on y\n#\n{TEXT}# end\n", "left out 3 comments after a #"),
        (f"Results of 2020\n\n{TEXT}", "left out above the names: 'Results of 2020'"),
        (TEXT.replace("\n", ",\n").replace("y,", "y", 1), "'Unnamed: 3': missing in every"),
        (TEXT.replace("\n", ",\n"), "column 'Unnamed: 3': missing in every row"),
        (TEXT + "7.5\n", "1 row with fewer cells than there are names, the first in line 32"),
        ("sep=,\n" + TEXT, ""),
    ],
)
def test_odd_lines_are_told_and_leave_the_rest(table, content, said):
    found = table(content)
    assert is_whole(found)
    assert any(said in note for note in found.notes) or not said


def test_a_first_column_without_a_name_keeps_its_cells(table):
    """As R writes row names: a row has one cell more than the first line."""
    rows = "\n".join(f"{place * 3 % 7},{line}" for place, line in enumerate(LINES))
    found = table(f"a,b,y\n{rows}\n")
    np.testing.assert_array_equal(found.frame["Unnamed: 0"], np.arange(ROWS) * 3 % 7)
    np.testing.assert_array_equal(found.frame["a"], np.arange(ROWS) + 0.25)
    assert any("one cell more than there are names" in note for note in found.notes)


def test_names_come_without_the_spaces_and_quotation_marks_around(table):
    found = table(TEXT.replace("a,b,y", '\ufeff a ,"b ""x"" ü",y '))
    assert list(found.frame.columns) == ["a", 'b "x" ü']
    assert list(table(TEXT.replace("a,b,y", "'a','b','y'")).frame.columns) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty"),
        (TEXT + "1,2,p,4\n", "line 32 has 4 cells, and there are 3 names"),
        ("5.1,3.5,p\n" + TEXT, "is numbers: put a line with the columns' names"),
        ("0,0,1\n" + TEXT, "is numbers: put a line with the columns' names"),
        (TEXT.replace("a,b,y", "a,a,y"), "has column 'a' twice: rename one of them"),
        (TEXT + '1,"2,p\n', "the quotation mark in line 32 is never closed"),
        (TEXT.replace("a,b", "a\0,b"), "it holds control characters"),
    ],
)
def test_what_is_no_table_says_why(table, content, said):
    with pytest.raises(UsageError, match=r"cannot be read: .*") as caught:
        table(content)
    assert said in str(caught.value)


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("t.csv", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("ending", "pack"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zip", zipped)],
)
def test_packed_files(table, ending, pack):
    assert is_whole(table(pack(TEXT.encode()), f"t.csv.{ending}"))
    assert is_whole(table(pack(TEXT.replace(",", "\t").encode()), f"t.v2.TSV.{ending}"))
    with pytest.raises(UsageError, match="cannot be read"):
        table(pack(TEXT.encode())[:-9], f"t.csv.{ending}")
    with pytest.raises(UsageError, match=r"must end in \.csv"):
        table(pack(TEXT.encode()), f"t.{ending}")


def test_json(table):
    records = [dict(zip("aby", row, strict=True)) for row in zip(map(float, A), B, Y, strict=True)]
    assert is_whole(table(json.dumps(records), "t.json"))
    assert is_whole(table("\n".join(map(json.dumps, records)), "t.jsonl"))
    columns = {"a": list(map(float, A)), "b": B, "y": Y}
    assert is_whole(table(json.dumps(columns), "t.json"))
    for text in ("{", "3", '{"a": 1}'):
        with pytest.raises(UsageError, match="cannot be read"):
            table(text, "t.json")


def test_sheets(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"a": list(map(float, A)), "b": list(map(int, B)), "y": Y})
    when = pd.date_range("2020-01-01", periods=ROWS)
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as file:
        frame.assign(when=when).to_excel(file, sheet_name="data", index=False, startrow=2)
        frame.to_excel(file, sheet_name="old", index=False)
    found = prepare_table(read_source(str(path)), Study(data=str(path), target="y"))
    np.testing.assert_array_equal(found.frame["a"], frame["a"])
    np.testing.assert_array_equal(found.frame["when"], np.arange(ROWS))
    assert found.classes == ("p", "q")
    assert "its first sheet, 'data', is read, and not 'old'" in found.notes


def test_feather(tmp_path):
    path = tmp_path / "t.feather"
    pd.DataFrame({"a": list(map(float, A)), "b": B, "y": Y}).to_feather(path)
    assert is_whole(prepare_table(read_source(str(path)), Study(data=str(path), target="y")))
