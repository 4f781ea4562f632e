"""The site is built without a warning, and its pages ask nothing of anyone outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import unquote

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


class Page(HTMLParser):
    """What a browser fetches when it shows a page, where its links lead, and what has a name."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.names = {""}
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names |= {given.get("id") or "", given.get("name") or ""}
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag in FETCHED:
            self.addresses += [given[name] or "" for name in ("src", "data") if name in given]
        elif tag == "link" and given.get("rel") != "canonical":
            self.addresses.append(given.get("href") or "")
        self.addresses += outside_styles(given.get("style") or "")


def outside_styles(css: str) -> list[str]:
    return re.findall(r"(?:url\(|@import )\s*[\"']?((?:https?:)?//[^\"')\s]+)", css)


def requests(site: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(site.glob("**/*.html")):
        yield from ((file.name, address) for address in Page(file).addresses)
    for sheet in sorted(site.glob("**/*.css")):
        yield from ((sheet.name, address) for address in outside_styles(sheet.read_text("utf-8")))


@pytest.mark.slow
def test_no_page_fetches_anything_from_outside(site: Path) -> None:
    found = list(requests(site))
    assert len(found) > 100
    assert [each for each in found if re.match(r"(https?:)?//", each[1])] == []


@pytest.mark.slow
def test_every_link_leads_to_a_place(site: Path) -> None:
    pages = {file.resolve(): Page(file) for file in site.glob("**/*.html")}
    count, dead = 0, []
    for file, page in pages.items():
        if file.name == "404.html":  # whose links begin at the root of a server
            continue
        for link in page.links:
            path, _, name = unquote(link).partition("#")
            target = (file.parent / path).resolve() if path else file
            if re.match(r"\w+:", link):
                continue
            count += 1
            found = pages.get(target)
            if not target.is_file() or (found and name not in found.names):
                dead.append((file.name, link))
    assert count > 1000
    assert dead == []


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


def script(name: str) -> ModuleType:
    """A script of docs/, which the build of the site calls."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("griffe")
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "is_outside", "link", "on_site"),
    [
        ("fused.md", False, "../benchmarks/RESULTS.md", "benchmarks/RESULTS.md"),
        ("api/torch.md", False, "../../CHANGELOG.md#x", "../CHANGELOG.md#x"),
        ("api/torch.md", False, "../ways.md", "../ways.md"),
        ("benchmarks/RESULTS.md", True, "growth.svg", "growth.svg"),
        ("CONTRIBUTING.md", True, "docs/audit.md", "audit.md"),
        ("faq.md", False, "https://example.org/a", "https://example.org/a"),
        ("faq.md", False, "#top", "#top"),
    ],
)
def test_a_link_of_the_repository_holds_on_the_site(
    page: str, is_outside: bool, link: str, on_site: str
) -> None:
    file = SimpleNamespace(src_uri=page, generated_by="a hook" if is_outside else None)
    here = SimpleNamespace(file=file, meta={})
    moved = script("published").on_page_markdown(f"[a]({link})", here)
    assert moved == f"[a]({on_site})"


def test_an_example_outside_its_section_is_fenced() -> None:
    docstring = "Do it, as in::\n\n    a()\n\n>>> f()\n1\n\nMore.\n\nExamples\n--------\n>>> g()\n2"
    assert script("docstrings").fence_examples(docstring) == (
        "Do it, as in:\n\n    a()\n\n```pycon\n>>> f()\n1\n```\n\nMore.\n\n"
        "Examples\n--------\n>>> g()\n2"
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("there is no browser")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


def show(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.resize(width)
    browser.prefer(scheme)
    browser.driver.get(page.as_uri())


def assert_fits(browser: Browser, page: Path, width: int, scheme: str) -> None:
    """The page that is shown is no wider than its window, and has the colours of the scheme."""
    window, wide = browser.measure()
    if wide > width:  # perhaps it is still on its way from another width
        show(browser, page, width, scheme)
        window, wide = browser.measure()
    assert window == width
    assert wide <= width, (page.name, wide)
    colors = {"light": "default", "dark": "slate"}[scheme]
    browser.until(partial(browser.all, f"body[data-md-color-scheme={colors}]"))


@pytest.mark.slow
def test_pages_from_disk_fit_their_window_and_ask_nobody(site: Path, browser: Browser) -> None:
    """On a phone, and then in a wide window: where a script draws figures, loaded once more."""
    browser.requests()
    for page in sorted({*site.glob("**/*.html")} - {site / "404.html"}):  # which a server shows
        show(browser, page, 390, "dark")
        assert_fits(browser, page, 390, "dark")
        if browser.all(".plot"):
            show(browser, page, 1280, "light")
        else:
            browser.resize(1280)
            browser.prefer("light")
        assert_fits(browser, page, 1280, "light")
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
