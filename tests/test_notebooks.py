"""The notebooks: each page is of its notebook, and the notebooks run.

The code of the pages runs in tests/test_docs.py, which compares what it prints.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NAMES = sorted(path.stem for path in (DOCS / "notebooks").glob("*.py"))
QUICK = "l1-and-l2-by-hand"

jupytext = pytest.importorskip("jupytext")
sys.path.append(str(DOCS))


def page_of(name: str) -> str:
    return (DOCS / "notebooks" / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_the_text_and_the_code_of_the_notebook(name: str) -> None:
    import run_notebooks

    page = page_of(name)
    outputs = r"(```text\n.*?\n```|<div class=\"(plot|output)\".*?</div>)\n\n?"
    without_outputs = re.sub(outputs, "", page, flags=re.DOTALL)
    expected = run_notebooks.to_markdown(run_notebooks.read(name), name)
    assert without_outputs.strip() == expected.strip(), f"make notebooks ARGS={name}"
    assert re.search(r"<div class=\"(plot|output)\"", page), "a notebook has a picture or a table"
    assert "Traceback" not in page


@pytest.mark.slow
def test_a_notebook_runs_in_jupyter() -> None:
    import run_notebooks

    page = run_notebooks.to_markdown(run_notebooks.run(run_notebooks.read(QUICK)), QUICK)
    figures = re.compile(r"<div class=\"plot\".*?</div>")
    assert figures.sub("", page) == figures.sub("", page_of(QUICK))
    assert len(figures.findall(page)) == len(figures.findall(page_of(QUICK)))


def test_every_notebook_is_in_the_index_and_on_the_site() -> None:
    index, site = page_of("index"), (DOCS.parent / "mkdocs.yml").read_text("utf-8")
    for name in NAMES:
        assert f"({name}.md)" in index
        assert f"notebooks/{name}.md" in site
