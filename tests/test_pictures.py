"""The pictures of the pages are what their script draws, and the reference has every name."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import shrinkage
from shrinkage.penalties.registry import KINDS

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
QUICK = ("penalty-l1.svg", "penalty-box.svg", "path.svg")


@pytest.fixture(scope="module")
def pictures() -> dict[str, object]:
    sys.path.append(str(DOCS))
    return importlib.import_module("pictures").list_pictures()


def test_every_penalty_has_a_picture(pictures: dict[str, object]) -> None:
    drawn = {name for name in pictures if name.startswith("penalty-")}
    expected = {f"penalty-{name.lower()}.svg" for name in KINDS}
    assert drawn == expected, "the table of docs/pictures.py has a row for every penalty"
    on_disk = {path.name for path in (DOCS / "pictures").glob("*.svg")}
    assert on_disk == set(pictures), "make pictures draws them"


def check(name: str, drawn: str) -> None:
    """The same elements and words; numbers to a pixel, for other versions of the libraries."""
    kept = (DOCS / "pictures" / name).read_text("utf-8")
    assert NUMBER.sub("", drawn) == NUMBER.sub("", kept), f"python docs/pictures.py {name}"
    pairs = zip(NUMBER.findall(drawn), NUMBER.findall(kept), strict=True)
    assert all(abs(float(one) - float(other)) <= 1 for one, other in pairs)


@pytest.mark.parametrize("name", QUICK)
def test_the_script_draws_them(pictures: dict[str, object], name: str) -> None:
    check(name, pictures[name]())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:training ended")
def test_the_script_draws_all_of_them(pictures: dict[str, object]) -> None:
    for name in set(pictures) - {"regions.svg"}:  # its boundaries are those of a long training
        check(name, pictures[name]())
    assert pictures["regions.svg"]().count("<text") == 8


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    shown = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    packages = [
        f"shrinkage.{found.name}"
        for found in pkgutil.iter_modules(shrinkage.__path__)
        if found.ispkg and found.name != "cli"
    ]
    for package in packages:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            is_elsewhere = (package, name) in {
                ("shrinkage.torch", "Law"),  # of shrinkage.probe
                ("shrinkage.torch", "probe"),
                ("shrinkage.torch", "schedules"),  # function by function
            }
            remedy = f"add ::: {package}.{name} to a page of docs/api"
            assert is_elsewhere or f"{package}.{name}" in shown, remedy
    missing = {f"shrinkage.penalties.{name}" for name in shrinkage.__all__} - shown
    assert not missing, "add them to docs/api/penalties.md"
