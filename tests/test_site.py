"""The site is built without a warning, and its pages ask nothing of anyone outside."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FETCHED = {"img", "script", "iframe", "source", "video", "audio", "object", "embed", "track"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a link that leads nowhere, or a name without docstring, stops the build."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Requests(HTMLParser):
    """The addresses that a browser fetches when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in FETCHED:
            self.addresses += [given[name] or "" for name in ("src", "data") if name in given]
        elif tag == "link" and given.get("rel") != "canonical":
            self.addresses.append(given.get("href") or "")
        self.addresses += outside_styles(given.get("style") or "")


def outside_styles(css: str) -> list[str]:
    return re.findall(r"(?:url\(|@import )\s*[\"']?((?:https?:)?//[^\"')\s]+)", css)


def requests(site: Path) -> Iterator[tuple[str, str]]:
    for page in sorted(site.glob("**/*.html")):
        parser = Requests()
        parser.feed(page.read_text("utf-8"))
        yield from ((page.name, address) for address in parser.addresses)
    for sheet in sorted(site.glob("**/*.css")):
        yield from ((sheet.name, address) for address in outside_styles(sheet.read_text("utf-8")))


@pytest.mark.slow
def test_no_page_fetches_anything_from_outside(site: Path) -> None:
    found = list(requests(site))
    assert len(found) > 100
    assert [each for each in found if re.match(r"(https?:)?//", each[1])] == []
