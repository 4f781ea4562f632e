"""The site is built without a warning, and its pages ask nothing of anyone outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pages import DOCS, README, ROOT
from report.browser import OWN_SCHEMES, Browser

FETCHED = {"img", "script", "iframe", "source", "video", "audio", "object", "embed", "track"}
NAVIGATION = re.compile(r"^ +- (?:.*: )?([\w/.-]+\.md)$", re.MULTILINE)


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


def test_every_page_stands_in_the_navigation_once() -> None:
    named = NAVIGATION.findall((ROOT / "mkdocs.yml").read_text("utf-8"))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.glob("**/*.md")}
    pages |= {page.relative_to(ROOT).as_posix() for page in ROOT.glob("benchmarks/*.md")}
    assert sorted(named) == sorted(pages | {"CHANGELOG.md", "CONTRIBUTING.md"})


def test_the_links_of_the_readme_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text("utf-8"))
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_is_short() -> None:
    lines = README.read_text("utf-8").splitlines()
    assert len(lines) <= 90
    assert any("pip install" in line for line in lines[:25])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("there is no browser")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


def show(browser: Browser, page: Path, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.prefer(scheme)
    browser.driver.get(page.as_uri())


@pytest.mark.slow
def test_pages_from_disk_fit_their_window_and_ask_nobody(site: Path, browser: Browser) -> None:
    browser.requests()
    for page in sorted({*site.glob("**/*.html")} - {site / "404.html"}):  # which a server shows
        for width, scheme in ((390, "dark"), (1280, "light")):
            show(browser, page, width, scheme)
            wide = browser.run("return document.documentElement.scrollWidth")
            assert wide <= width, (page.name, wide)
            is_dark = browser.run("return document.body.dataset.mdColorScheme == 'slate'")
            assert is_dark == (scheme == "dark")
            browser.run("localStorage.clear()")  # where the choice of colours is kept
    assert browser.errors() == []
    asked = browser.requests()
    assert asked
    assert [address for address in asked if not address.startswith(OWN_SCHEMES)] == []


@pytest.mark.slow
def test_a_page_from_disk_finds_words(site: Path, browser: Browser) -> None:
    show(browser, site / "index.html", 1280, "light")
    [field] = browser.all("input[name=query]")
    field.click()
    field.send_keys("momentum")
    browser.until(lambda: browser.all(".md-search-result__item"))
