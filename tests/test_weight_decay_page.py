"""The page on weight_decay says what the probe finds."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from shrinkage.probe.catalogue import find_installed
from shrinkage.probe.survey import survey, to_records

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
def test_its_rows_are_those_that_the_command_writes(writer: ModuleType, page: str) -> None:
    found = to_records(
        survey(
            [*find_installed(("torch.optim",))[::2], *find_installed(("torch_optimizer",))[::6]],
            seconds=300.0,
        )
    )
    lines = page.splitlines()
    for record in found:
        head = lines.index(f"### {writer.written(record['law'])}")
        table = lines[
            head : next((n for n in range(head + 1, len(lines)) if lines[n][:1] == "#"), None)
        ]
        assert writer.row(record) in table
        broken = f"- {writer.written(record['optimizer'])}: {writer.written(record['law'])}"
        assert (broken in lines) is record["verdict"].startswith("NOT")


def test_it_has_every_optimizer_once(writer: ModuleType, page: str) -> None:
    names = [writer.written(entry.name) for entry in writer.entries()]
    rows = [line.split(" | ")[0][2:] for line in page.splitlines() if line.startswith("| ")]
    assert sorted(name for name in rows if name in names) == sorted(names)


def test_it_names_the_versions_that_are_installed(page: str) -> None:
    for name in ("torch", "torch-optimizer", "pytorch-optimizer"):
        assert f"{name} {version(name).partition('+')[0]}" in page


@pytest.mark.slow
def test_writing_it_changes_no_more_than_what_is_between_the_marks(
    writer: ModuleType, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(page.replace(writer.END, "stale\n" + writer.END), encoding="utf-8")
    monkeypatch.setattr(writer, "PAGE", copy)
    monkeypatch.setattr(writer, "entries", lambda: find_installed(("torch.optim",))[:2])
    writer.main()
    text = copy.read_text(encoding="utf-8")
    assert "stale" not in text
    assert text.partition(writer.BEGIN)[0] == page.partition(writer.BEGIN)[0]
    assert text.count("| torch.optim.") == 2
