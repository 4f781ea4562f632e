"""Tables for notebooks: plain, escaped, numbers to the right and text to the left."""

from __future__ import annotations

from shrinkage.text_table import to_html, to_paragraphs

LEFT = ' style="text-align:left"'


def test_text_goes_to_the_left_and_names_are_escaped() -> None:
    page = to_html([("name", "zeros", "score"), ("<b>&", "12", "0.9 ± 0.1"), ("b", "1,200", "–")])
    assert page == (
        f"<table><thead><tr><th{LEFT}>name</th><th>zeros</th><th>score</th></tr></thead><tbody>"
        f"<tr><td{LEFT}>&lt;b&gt;&amp;</td><td>12</td><td>0.9 ± 0.1</td></tr>"
        f"<tr><td{LEFT}>b</td><td>1,200</td><td>–</td></tr></tbody></table>"
    )


def test_a_table_without_rows_has_its_head() -> None:
    assert to_html([("name",)]).startswith("<table><thead><tr><th>name</th>")


def test_no_colour_is_set_so_that_a_dark_page_keeps_its_own() -> None:
    assert "color" not in to_html([("a",), ("b",)])


def test_empty_sentences_are_left_out() -> None:
    assert to_paragraphs(["a < b", ""]) == "<p>a &lt; b</p>"
