"""The curves of networks from scratch: one pair of axes for all, and no spike lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains

from report.browser import Browser
from report.outcomes import PENALTIES, POINTS, lines, notes, outcome, three, with_spikes, written
from shrinkage.report import write_trainings
from shrinkage.report.epoch_curves import thin


def test_the_parts_are_drawn_as_they_were(tmp_path: Path) -> None:
    made = outcome("l2:0.0005@coupled")
    drawn = lines(written([made], tmp_path), "losses|l2:0.0005@coupled")
    assert list(drawn) == ["their sum", "regularization loss", "data loss"]
    for words, part in zip(drawn, ("loss", "regularization_loss", "data_loss"), strict=True):
        assert drawn[words]["x"] == list(range(50))
        assert drawn[words]["y"] == pytest.approx(made.history[part], rel=1e-5)
    assert [line["line"]["dash"] for line in drawn.values()] == ["solid", "dash", "solid"]


def test_a_thinned_line_is_the_median_between_the_ends() -> None:
    values = np.random.default_rng(2).normal(size=2 + 398 * 3)
    threes = values[1:-1].reshape(398, 3)
    curve = thin(values)
    assert curve.middle.tolist() == [values[0], *np.sort(threes)[:, 1], values[-1]]
    assert curve.low.tolist() == [values[0], *threes.min(axis=1), values[-1]]
    assert curve.high.tolist() == [values[0], *threes.max(axis=1), values[-1]]
    assert curve.epochs.tolist() == [0, *range(2, 1195, 3), 1195]


@pytest.mark.parametrize("epochs", [401, 797, 798, 10_000])
def test_thinned_lines_lose_no_spike(epochs: int) -> None:
    values = np.random.default_rng(epochs).uniform(size=epochs)
    values[epochs // 3] = 50
    curve = thin(values)
    assert all(len(part) == 400 for part in curve)
    assert (curve.epochs[0], curve.epochs[-1]) == (0, epochs - 1)
    assert (curve.middle[0], curve.middle[-1]) == (values[0], values[-1])
    assert (curve.low <= curve.middle).all()
    assert (curve.middle <= curve.high).all()
    assert curve.high.max() == 50
    assert curve.low.min() == values.min()
    for epoch, value in enumerate(values):
        nearest = int(np.argmin(np.abs(curve.epochs - epoch)))
        near = slice(max(0, nearest - 1), nearest + 2)
        assert curve.low[near].min() <= value <= curve.high[near].max()


def test_says_how_lines_were_thinned(tmp_path: Path) -> None:
    document = written([outcome("none", epochs=10_000)], tmp_path)
    _, losses, accuracy = (text for _, text in document.find("figcaption"))
    assert "the median of up to 26 epochs at a time; the band" in losses
    assert "drawn as the losses are" in accuracy
    _, losses, accuracy = (
        text for _, text in written([outcome("none", epochs=400)], tmp_path).find("figcaption")
    )
    assert "median" not in losses
    assert "drawn as" not in accuracy


def test_all_panels_have_the_same_axes(tmp_path: Path) -> None:
    outcomes = [outcome("none", epochs=30), *three(epochs=60)[1:]]
    document = written(outcomes, tmp_path)
    layouts = [document.figures[f"losses|{name}"]["layout"] for name in PENALTIES]
    assert layouts[0] == layouts[1] == layouts[2]
    assert layouts[0]["xaxis"]["range"][1] >= 59
    assert layouts[0]["yaxis"]["range"][1] >= max(outcomes[1].history["loss"])
    assert "30 to 60 epochs" in document.one("p", **{"class": "facts"})


def test_a_spike_does_not_squash_the_figure_and_is_told(tmp_path: Path) -> None:
    spiked = with_spikes(outcome("l1:0.1@coupled", epochs=2000), at=(1200, 1201), height=7)
    document = written([outcome("none", epochs=2000), spiked], tmp_path)
    top = document.figures["losses|none"]["layout"]["yaxis"]["range"][1]
    assert 1 < top < 1.2
    highest = f"{max(spiked.history['loss']):.3g}"
    assert f"2 epochs out of view, up to {highest}" in notes(document)[-1]
    assert "out of view" not in notes(document)[-2]
    bands = [t for t in document.figures["losses|l1:0.1@coupled"]["traces"] if "fill" in t]
    assert max(max(band["y"]) for band in bands) > 7
    assert "a double-click brings them in" in list(document.find("figcaption"))[1][1]


def test_what_is_little_above_is_in_view(tmp_path: Path) -> None:
    spiked = with_spikes(outcome("l2:1.0@coupled", epochs=2000), at=(600,), height=1)
    document = written([spiked], tmp_path)
    top = document.figures["losses|l2:1.0@coupled"]["layout"]["yaxis"]["range"][1]
    assert top > max(spiked.history["loss"])
    assert "out of view" not in notes(document)[-1]


@pytest.mark.slow
def test_a_double_click_brings_a_spike_in(browser: Browser, tmp_path: Path) -> None:
    spiked = with_spikes(outcome("none", epochs=500), at=(250,), height=7)
    write_trainings([spiked], tmp_path / "trainings.html", points=POINTS)
    browser.open(tmp_path / "trainings.html")
    top = "return document.querySelector('[data-figure^=losses]').layout.yaxis.range[1]"
    assert browser.run(top) < 2
    (plot,) = browser.all("[data-figure^=losses]")
    browser.run("document.querySelector('[data-figure^=losses]').scrollIntoView({block: 'center'})")
    ActionChains(browser.driver).double_click(plot).perform()
    browser.until(lambda: browser.run(top) > 7)
