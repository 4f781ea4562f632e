"""The page on weight_decay says what the probe finds."""

from __future__ import annotations

import importlib.util
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from shrinkage.probe.catalogue import find_installed
from shrinkage.probe.survey import survey

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("weight_decay", DOCS / "weight_decay.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(writer: ModuleType) -> str:
    return writer.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_has_every_optimizer_once(writer: ModuleType, page: str) -> None:
    names = [writer.written(entry.name) for entry in writer.entries()]
    rows = [line.split(" | ")[0][2:] for line in page.splitlines() if line.startswith("| ")]
    assert sorted(name for name in rows if name in names) == sorted(names)


def test_it_names_the_versions_that_are_installed(page: str) -> None:
    for name in ("torch", "torch-optimizer", "pytorch-optimizer"):
        assert f"{name} {version(name).partition('+')[0]}" in page


@pytest.mark.slow
def test_it_is_what_the_script_writes(
    writer: ModuleType, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [*find_installed(("torch.optim",))[::2], *find_installed(("torch_optimizer",))[::6]]
    copy = tmp_path / "page.md"
    copy.write_text(page.replace(writer.END, "stale\n" + writer.END), encoding="utf-8")
    monkeypatch.setattr(writer, "PAGE", copy)
    monkeypatch.setattr(writer, "entries", lambda: few)
    monkeypatch.setattr(writer, "survey", partial(survey, jobs=1, seconds=300.0))
    writer.main()
    text = copy.read_text(encoding="utf-8")
    assert text.partition(writer.BEGIN)[0] == page.partition(writer.BEGIN)[0]
    assert "stale" not in text
    rows = rows_under_laws(text)
    assert len(rows) == len(few)
    assert rows <= rows_under_laws(page)
    starts = tuple(f"- {writer.written(entry.name)}: " for entry in few)
    broken, on_page = (
        {line for line in lines.splitlines() if line.startswith(starts)} for lines in (text, page)
    )
    assert broken == on_page != set()


def rows_under_laws(text: str) -> set[tuple[str, str]]:
    """The heading above each row that is about an optimizer, and the row."""
    found, heading = set(), ""
    for line in text.splitlines():
        heading = line if line.startswith("### ") else heading
        if heading and line.startswith(("| torch", "| pytorch")):
            found.add((heading, line))
    return found
