"""The pages in a real browser: drawn, quiet, offline, legible, and working by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from report.browser import OWN_SCHEMES, Browser
from report.synthetic import FEW, HOSTILE, KINDS, kind, study
from report.synthetic_laws import LAWS
from shrinkage.figures.style import SERIES
from shrinkage.report import write_laws, write_paths, write_report
from shrinkage.study.results import Results

pytestmark = pytest.mark.slow  # the other files read the pages without a browser

ON_A_PHONE = {"whole", "hundreds of classes", "unfinished"}
MORE = {"inputs", "hostile", "thirty methods"}  # have tests of their own
LEGIBLE = {"ink": 7.0, "soft": 4.5, "series": 3.0, "class": 3.0}  # contrast with the paper

CONTRASTS = """
const probe = document.body.appendChild(document.createElement("span"));
const light = (name) => {
  probe.style.color = `var(--${name})`;
  const part = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map((c) => part(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = light("paper");
const names = ["ink", "soft", "series-none"];
for (let index = 0; index < 7; index++) names.push(`series-${index}`);
for (let index = 0; index < 8; index++) names.push(`class-${index}`);
return Object.fromEntries(names.map((name) => {
  const [low, high] = [light(name), paper].sort((a, b) => a - b);
  return [name, (high + 0.05) / (low + 0.05)];
}));
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a few methods, which are drawn sooner."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(study(FEW), path)
    return path


@pytest.fixture
def opened(report: Path, browser: Browser) -> Browser:
    """The browser with that page in it; tests leave its methods and its rule as they were."""
    browser.keep(report)
    return browser


@pytest.fixture
def on_a_phone(report: Path, browser: Browser) -> Browser:
    browser.keep(report, width=390)
    return browser


def test_draws_what_the_records_hold(opened: Browser) -> None:
    assert_is_silent(opened)
    lines = opened.all("[data-figure=score] .scatterlayer .trace path.js-line")
    assert len(lines) >= len(FEW)
    assert len(opened.all(".panel:not([hidden]) [data-figure^=regions] svg image")) == len(FEW)
    bars = opened.all(".panel:not([hidden]) [data-figure^=weights] .barlayer .trace")
    assert len(bars) == len(FEW)


def test_hovering_says_what_a_point_is(opened: Browser) -> None:
    opened.run(
        "const plot = document.querySelector('[data-figure=score]');"
        "const line = plot.data.findIndex((t) => t.meta.method === 'l1@proximal' && t.hovertext);"
        "Plotly.Fx.hover(plot, [{curveNumber: line, pointNumber: 4}]);"
    )
    (label,) = opened.all("[data-figure=score] .hoverlayer .hovertext")
    for part in ("l1@proximal", "strength 1e-3", "validation 0.9", "zeros", "3 trials"):
        assert part in label.get_attribute("textContent")


def test_sorts_by_any_column_by_mouse_and_keyboard(opened: Browser) -> None:
    heads = {head.text.strip(): head for head in opened.all(".sortable thead th")}
    column = list(heads).index("Strength")
    values = (
        "return [...document.querySelectorAll('.sortable tbody tr')]"
        f".map((row) => row.cells[{column}].dataset.value).map(Number)"
    )
    heads["Strength"].find_element(By.TAG_NAME, "button").click()
    descending = opened.run(values)
    assert descending == sorted(descending, reverse=True)
    assert heads["Strength"].get_attribute("aria-sort") == "descending"
    assert heads["Validation"].get_attribute("aria-sort") is None
    heads["Strength"].find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert opened.run(values) == sorted(descending)
    assert heads["Strength"].get_attribute("aria-sort") == "ascending"
    assert descending != sorted(descending)


def test_the_legend_hides_a_method_in_every_figure(opened: Browser) -> None:
    traces = "return document.querySelectorAll('[data-figure=score] .scatterlayer .trace').length"
    panel = "return document.querySelectorAll('.panel:not([hidden])').length"
    before = opened.run(traces), opened.run(panel)
    (button,) = opened.all(".legend [data-method='l1@proximal']")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert opened.run(traces) < before[0]
    assert opened.run(panel) == before[1] - 2
    button.send_keys(Keys.SPACE)
    assert (opened.run(traces), opened.run(panel)) == before


def test_a_script_that_slips_in_would_not_run(opened: Browser) -> None:
    opened.run(
        "const script = document.createElement('script');"
        "script.textContent = 'window.slipped = true';"
        "document.body.append(script);"
    )
    assert opened.run("return window.slipped") is None
    assert any("Content Security Policy" in message for message in opened.errors())


def test_the_rule_decides_which_models_are_shown(opened: Browser) -> None:
    shown = "return [...document.querySelectorAll('.panel:not([hidden])')].map(p => p.dataset.rule)"
    assert set(opened.run(shown)) == {"", "best"}
    opened.all(".switch input[value=one-se]")[0].click()
    assert set(opened.run(shown)) == {"", "one-se"}
    drawn = "return document.querySelectorAll('.panel:not([hidden]) .main-svg').length > 0"
    assert opened.run(drawn)
    opened.all(".switch input[value=best]")[0].click()
    assert set(opened.run(shown)) == {"", "best"}
    assert opened.errors() == []


def test_figures_follow_the_scheme_and_are_legible(opened: Browser) -> None:
    tick = "getComputedStyle(document.querySelector('[data-figure=score] .xtick text')).fill"
    body = "getComputedStyle(document.body).backgroundColor"
    light = opened.run(f"return [{tick}, {body}]")
    assert_is_legible(opened)
    opened.prefer("dark")
    opened.until(lambda: opened.run(f"return {tick} !== {json.dumps(light[0])}"))
    assert opened.run(f"return {body}") != light[1]
    assert_is_legible(opened)
    opened.all("#scheme")[0].click()
    opened.until(lambda: opened.run(f"return {tick} === {json.dumps(light[0])}"))
    assert opened.run(f"return {body}") == light[1]


def assert_is_legible(browser: Browser) -> None:
    for name, contrast in browser.run(CONTRASTS).items():
        assert contrast >= LEGIBLE[name.split("-")[0]], name


def test_a_panel_shown_again_has_its_size_and_scheme(opened: Browser) -> None:
    opened.all(".switch input[value=one-se]")[0].click()
    opened.all("#scheme")[0].click()
    opened.all(".switch input[value=best]")[0].click()
    too_wide = (
        "return [...document.querySelectorAll('.panel:not([hidden])')].filter((panel) =>"
        " panel.querySelector('.main-svg').clientWidth > panel.clientWidth).length"
    )
    inks = (
        "return new Set([...document.querySelectorAll('.panel:not([hidden]) .xtick text')]"
        ".map((text) => getComputedStyle(text).fill)).size"
    )
    opened.until(lambda: opened.run(inks) == 1)
    assert opened.run(too_wide) == 0
    opened.shown = None  # its scheme is another now


def test_a_tap_on_a_point_says_what_it_is(on_a_phone: Browser) -> None:
    on_a_phone.run(
        "document.querySelector('[data-figure=zeros]').scrollIntoView({block: 'center'})"
    )
    place = on_a_phone.run(
        "const box = document.querySelector('[data-figure=zeros] .point').getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round)"
    )
    on_a_phone.swipe(x=place[0], y=place[1], up=0)
    label = "return document.querySelector('[data-figure=zeros] .hovertext')?.textContent ?? ''"
    on_a_phone.until(lambda: "strength" in on_a_phone.run(label))


def test_a_finger_on_a_figure_scrolls_the_page(on_a_phone: Browser) -> None:
    on_a_phone.run(
        "document.querySelector('[data-figure=zeros]').scrollIntoView({block: 'center'})"
    )
    before = on_a_phone.run("return scrollY")
    on_a_phone.swipe(x=195, y=450, up=200)
    on_a_phone.until(lambda: on_a_phone.run("return scrollY") > before + 100)
    on_a_phone.shown = None  # it may still be scrolling


@pytest.mark.parametrize("name", [name for name in KINDS if name not in MORE])
def test_draws_every_figure_in_silence(browser: Browser, tmp_path: Path, name: str) -> None:
    draw_in_silence(browser, tmp_path, kind(name), is_phone=name in ON_A_PHONE)


def test_draws_more_methods_than_twice_as_many_as_colours(browser: Browser, tmp_path: Path) -> None:
    methods = tuple(f"l1:{k + 1}@coupled" for k in range(2 * SERIES + 1))
    draw_in_silence(browser, tmp_path, study(methods, (1e-3, 1e-2)))


def draw_in_silence(
    browser: Browser, folder: Path, results: Results, *, is_phone: bool = False
) -> None:
    path = folder / "report.html"
    write_report(results, path)
    browser.open(path, width=390 if is_phone else 1200)
    assert_is_silent(browser)
    shown, drawn = browser.run(
        "const shown = [...document.querySelectorAll('.plot')].filter((p) => p.checkVisibility());"
        "const drawn = shown.filter((plot) => plot.querySelector('svg .trace, svg .hm'));"
        "return [shown.length, drawn.length]"
    )
    assert shown == drawn
    assert bool(shown) == any(record.status == "ok" for record in results.records)
    if is_phone:
        assert_fits_a_phone(browser, results)


def assert_is_silent(browser: Browser) -> None:
    """The page that was opened says nothing on the console, and asks nobody."""
    assert browser.errors() == []
    addresses = browser.requests()
    assert browser.shown[0].as_uri() in addresses
    assert [address for address in addresses if not address.startswith(OWN_SCHEMES)] == []


def assert_fits_a_phone(browser: Browser, results: Results) -> None:
    assert browser.run("return innerWidth") == 390
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    widths = browser.run(
        "return [...document.querySelectorAll('.main-svg')].map(s => s.clientWidth)"
    )
    assert max(widths) <= 390
    if results.choices:
        table = browser.run(
            "const box = document.querySelector('.scroll');"
            "return [box.clientWidth, box.scrollWidth]"
        )
        assert table[0] < 390 < table[1]


def test_the_inputs_of_another_model_are_shown_when_it_is_chosen(
    browser: Browser, tmp_path: Path
) -> None:
    draw_in_silence(browser, tmp_path, kind("inputs"), is_phone=True)
    names = "return [...document.querySelectorAll('[data-figure=inputs] .ytick')].length"
    bars = "return document.querySelectorAll('[data-figure=inputs] .barlayer .point').length"
    assert (browser.run(names), browser.run(bars)) == (3, 3)
    browser.run(
        "const model = document.getElementById('model'); model.selectedIndex = 1;"
        "model.dispatchEvent(new Event('change'))"
    )
    browser.until(lambda: browser.run(bars) == 20)
    assert browser.run(names) == 20
    assert browser.errors() == []


def test_no_name_is_run(browser: Browser, tmp_path: Path) -> None:
    draw_in_silence(browser, tmp_path, kind("hostile"), is_phone=True)
    browser.run(
        "const plot = document.querySelector('.panel:not([hidden]) [data-figure^=regions]');"
        "Plotly.Fx.hover(plot, [{curveNumber: 1, pointNumber: 0}]);"
    )
    (label,) = browser.all(".hoverlayer .hovertext")
    assert "alert(1)" in label.get_attribute("textContent")
    assert not browser.all("main img")
    assert browser.all("h1")[0].text == HOSTILE
    assert browser.errors() == []


def test_the_page_of_paths_is_drawn(browser: Browser, tmp_path: Path) -> None:
    steps = np.arange(50)[:, np.newaxis]
    series = {"L2": 0.9**steps * [1, -0.5], "L1": np.maximum(1 - steps * [0.03, 0.05], 0)}
    write_paths(series, tmp_path / "paths.html")
    browser.open(tmp_path / "paths.html", width=390, scheme="dark")
    assert len(browser.all(".plot path.js-line")) == 4
    assert browser.errors() == []
    assert browser.run("return document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [390, 1200])
def test_laws_can_be_searched_and_sorted(browser: Browser, tmp_path: Path, width: int) -> None:
    write_laws(LAWS, tmp_path / "laws.html")
    browser.open(tmp_path / "laws.html", width=width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    (field,) = browser.all("#search")
    for typed, shown in (("NOT documented", ["lib.Wrong"]), ("no weight_decay", ["lib.Silent"])):
        field.clear()
        field.send_keys(typed)
        rows = [row for row in browser.all(".laws tbody th") if row.is_displayed()]
        assert [row.text for row in rows] == shown
        assert browser.all("#found")[0].text == "1 of 3"
    field.clear()
    field.send_keys(" ")
    browser.run("document.querySelectorAll('.laws thead button')[4].click()")  # by misfit
    assert browser.all(".laws tbody th")[0].text == "lib.Wrong"
    assert browser.errors() == []
