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
from shrinkage.report import write_laws, write_paths, write_report

pytestmark = pytest.mark.slow  # the other files read the pages without a browser

ON_A_PHONE = {"whole", "inputs", "hostile", "hundreds of classes", "unfinished"}
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


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Of a few methods, which are drawn sooner."""
    write_report(study(FEW), tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Browser:
    """The browser with that page in it, which tests share and leave as it was."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(study(FEW), path)
    browser.open(path)
    assert browser.errors() == []
    assert [address for address in browser.requests() if not address.startswith(OWN_SCHEMES)] == []
    return browser


def test_draws_what_the_records_hold(opened: Browser) -> None:
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_is_legible_in_both_schemes(opened: Browser, scheme: str) -> None:
    opened.prefer(scheme)
    for name, contrast in opened.run(CONTRASTS).items():
        assert contrast >= LEGIBLE[name.split("-")[0]], name


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


def test_the_inputs_of_another_model_are_shown_when_it_is_chosen(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.html"
    write_report(kind("inputs"), path)
    browser.open(path)
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


def test_a_script_that_slips_in_would_not_run(opened: Browser) -> None:
    opened.run(
        "const script = document.createElement('script');"
        "script.textContent = 'window.slipped = true';"
        "document.body.append(script);"
    )
    assert opened.run("return window.slipped") is None
    assert any("Content Security Policy" in message for message in opened.errors())


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_draws_every_figure_in_silence(browser: Browser, tmp_path: Path, name: str) -> None:
    path, is_phone = tmp_path / "report.html", name in ON_A_PHONE
    write_report(kind(name), path)
    browser.open(path, width=390 if is_phone else 1200)
    assert browser.errors() == []
    addresses = browser.requests()
    assert path.as_uri() in addresses
    assert [address for address in addresses if not address.startswith(OWN_SCHEMES)] == []
    shown = [plot for plot in browser.all(".plot") if plot.is_displayed()]
    assert all(plot.find_elements(By.CSS_SELECTOR, "svg .trace, svg .hm") for plot in shown)
    expects_figures = any(record.status == "ok" for record in kind(name).records)
    assert bool(shown) == expects_figures
    if is_phone:
        assert_fits_a_phone(browser, name)


def assert_fits_a_phone(browser: Browser, name: str) -> None:
    assert browser.run("return innerWidth") == 390
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    widths = browser.run(
        "return [...document.querySelectorAll('.main-svg')].map(s => s.clientWidth)"
    )
    assert max(widths) <= 390
    if kind(name).choices:
        table = browser.run(
            "const box = document.querySelector('.scroll');"
            "return [box.clientWidth, box.scrollWidth]"
        )
        assert table[0] < 390 < table[1]


@pytest.mark.slow
def test_figures_follow_the_scheme(browser: Browser, report: Path) -> None:
    tick = "getComputedStyle(document.querySelector('[data-figure=score] .xtick text')).fill"
    body = "getComputedStyle(document.body).backgroundColor"
    browser.open(report)
    light = browser.run(f"return [{tick}, {body}]")
    browser.prefer("dark")
    changed = f"return [{tick}, {body}].join() !== {json.dumps(','.join(light))}"
    tick_changed = f"return {tick} !== {json.dumps(light[0])}"
    browser.until(lambda: browser.run(tick_changed))
    assert browser.run(changed)
    dark = browser.run(f"return [{tick}, {body}]")
    assert dark[1] != light[1]
    browser.all("#scheme")[0].click()
    tick_is_light = f"return {tick} === {json.dumps(light[0])}"
    browser.until(lambda: browser.run(tick_is_light))
    assert browser.run(f"return {body}") == light[1]


@pytest.mark.slow
def test_the_rule_decides_which_models_are_shown(browser: Browser, report: Path) -> None:
    browser.open(report)
    shown = "return [...document.querySelectorAll('.panel:not([hidden])')].map(p => p.dataset.rule)"
    assert set(browser.run(shown)) == {"", "best"}
    browser.all(".switch input[value=one-se]")[0].click()
    assert set(browser.run(shown)) == {"", "one-se"}
    drawn = "return document.querySelectorAll('.panel:not([hidden]) .main-svg').length > 0"
    assert browser.run(drawn)
    assert browser.errors() == []


@pytest.mark.slow
def test_a_panel_shown_again_has_its_size_and_scheme(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.all(".switch input[value=one-se]")[0].click()
    browser.all("#scheme")[0].click()
    browser.all(".switch input[value=best]")[0].click()
    too_wide = (
        "return [...document.querySelectorAll('.panel:not([hidden])')].filter((panel) =>"
        " panel.querySelector('.main-svg').clientWidth > panel.clientWidth).length"
    )
    inks = (
        "return new Set([...document.querySelectorAll('.panel:not([hidden]) .xtick text')]"
        ".map((text) => getComputedStyle(text).fill)).size"
    )
    browser.until(lambda: browser.run(inks) == 1)
    assert browser.run(too_wide) == 0


@pytest.mark.slow
def test_a_finger_on_a_figure_scrolls_the_page(browser: Browser, report: Path) -> None:
    browser.open(report, width=390)
    browser.run("document.querySelector('[data-figure=zeros]').scrollIntoView({block: 'center'})")
    before = browser.run("return scrollY")
    browser.swipe(x=195, y=450, up=200)
    browser.until(lambda: browser.run("return scrollY") > before + 100)


@pytest.mark.slow
def test_a_tap_on_a_point_says_what_it_is(browser: Browser, report: Path) -> None:
    browser.open(report, width=390)
    browser.run("document.querySelector('[data-figure=zeros]').scrollIntoView({block: 'center'})")
    place = browser.run(
        "const box = document.querySelector('[data-figure=zeros] .point').getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round)"
    )
    browser.swipe(x=place[0], y=place[1], up=0)
    label = "return document.querySelector('[data-figure=zeros] .hovertext')?.textContent ?? ''"
    browser.until(lambda: "strength" in browser.run(label))


@pytest.mark.slow
def test_no_name_is_run(browser: Browser, tmp_path: Path) -> None:
    write_report(kind("hostile"), tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    browser.run(
        "const plot = document.querySelector('.panel:not([hidden]) [data-figure^=regions]');"
        "Plotly.Fx.hover(plot, [{curveNumber: 1, pointNumber: 0}]);"
    )
    (label,) = browser.all(".hoverlayer .hovertext")
    assert "alert(1)" in label.get_attribute("textContent")
    assert not browser.all("main img")
    assert browser.all("h1")[0].text == HOSTILE
    assert browser.errors() == []


@pytest.mark.slow
def test_the_page_of_paths_is_drawn(browser: Browser, tmp_path: Path) -> None:
    steps = np.arange(50)[:, np.newaxis]
    series = {"L2": 0.9**steps * [1, -0.5], "L1": np.maximum(1 - steps * [0.03, 0.05], 0)}
    write_paths(series, tmp_path / "paths.html")
    browser.open(tmp_path / "paths.html", width=390, scheme="dark")
    assert len(browser.all(".plot path.js-line")) == 4
    assert browser.errors() == []
    assert browser.run("return document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
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
