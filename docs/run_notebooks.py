"""Run the notebooks and write them with their outputs: ``python docs/run_notebooks.py [names]``.

docs/notebooks/NAME.py is the notebook, in Jupytext's percent form, which Jupyter opens and Python
runs. docs/notebooks/NAME.md is the page of the site. A Plotly figure is kept as data, which
docs/assets/plots.js draws.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import jupytext

FOLDER = Path(__file__).parent / "notebooks"
PLOTLY = "application/vnd.plotly.v1+json"
SECONDS = 600  # a cell may take on a busy machine


def run(notebook: Any) -> Any:
    """The notebook with the outputs of its cells."""
    from nbclient import NotebookClient

    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", coalesce_streams=True
    ).execute()
    return notebook


def read(name: str) -> Any:
    """The notebook without outputs."""
    return jupytext.read(FOLDER / f"{name}.py")


def to_markdown(notebook: Any, name: str) -> str:
    """The page: text, code, and what the code showed."""
    note = (
        f"*This page is a notebook: [`{name}.py`]({name}.py) opens in Jupyter with Jupytext, and "
        "runs as a script.*"
    )
    title, *blocks = [block for cell in notebook.cells for block in _to_blocks(cell)]
    head, _, rest = title.partition("\n")
    return "\n\n".join([head, note, *filter(None, [rest.strip()]), *blocks]) + "\n"


def _to_blocks(cell: Any) -> list[str]:
    if cell.cell_type == "markdown":
        return [cell.source]
    outputs = [_to_text(output) for output in cell.get("outputs", ())]
    return [f"```python\n{cell.source}\n```", *filter(None, outputs)]


def _to_text(output: Any) -> str:
    if output.output_type == "stream":
        return _fence(output.text) if output.name == "stdout" else ""
    data = output.get("data", {})
    if PLOTLY in data:
        figure = {key: data[PLOTLY][key] for key in ("data", "layout")}
        height = figure["layout"].get("height", 420)
        text = html.escape(json.dumps(figure, separators=(",", ":"), sort_keys=True))
        return f'<div class="plot" style="height:{height}px" data-figure="{text}"></div>'
    if "text/html" in data:
        return f'<div class="output">{_flatten(data["text/html"])}</div>'
    return _fence(data.get("text/plain", ""))


def _flatten(page: str) -> str:
    """A table in one line, which Markdown needs, and without the looks that pandas gives it."""
    bare = re.sub(r"<style.*?</style>|</?div[^>]*>|(?<=<table)[^>]+", "", page, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "", bare)


def _fence(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""


def main(names: list[str]) -> None:
    for name in names or sorted(path.stem for path in FOLDER.glob("*.py")):
        page = to_markdown(run(read(name)), name)
        (FOLDER / f"{name}.md").write_text(page, encoding="utf-8")
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
