"""What the project says of itself in several files is the same in all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import shrinkage
from shrinkage.cli.exits import PACKAGES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_version_and_date_are_those_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.search(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE)
    citation = dict(
        line.split(": ", 1)
        for line in (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
        if re.match(r"[a-z-]+: ", line)
    )
    assert released is not None
    assert (citation["version"], citation["date-released"]) == released.groups()
    assert citation["version"] == shrinkage.__version__
    assert citation["abstract"] == PROJECT["description"]
    assert citation["license"] == PROJECT["license"]


def test_classifiers_are_known() -> None:
    known = pytest.importorskip("trove_classifiers").classifiers
    assert set(PROJECT["classifiers"]) <= known


def test_the_optional_libraries_are_all_in_one_extra() -> None:
    """`pip install 'shrinkage[all]'` brings the command and everything that it needs."""
    extras = PROJECT["optional-dependencies"]
    assert extras["all"] == ["shrinkage[study]"]
    assert {"shrinkage[sklearn]", "shrinkage[torch]"} <= set(extras["study"])


def test_the_command_knows_by_what_names_the_optional_libraries_are_imported() -> None:
    extras = PROJECT["optional-dependencies"]
    listed = {
        match[0]
        for extra in ("study", "sklearn", "torch", "numba")
        for needed in extras[extra]
        if (match := re.match(r"(?!shrinkage\b)[a-z0-9-]+", needed))
    }
    imported = {{"scikit-learn": "sklearn"}.get(name, name) for name in listed}
    assert imported | {"llvmlite"} == PACKAGES
