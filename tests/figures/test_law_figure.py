"""The plot of a law: the formula that the probe found, drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shrinkage.probe import Law

SGD = Law(
    optimizer="SGD",
    lr=0.1,
    weight_decay=0.01,
    form="proportional",
    formula="w ← (1 − lr·wd)·w",
    coefficient=1.0,
    lr_exponent=1.0,
    strength_exponent=1.0,
    weight_exponent=1.0,
)
SIGN = replace(SGD, form="sign", weight_exponent=0.0, formula="w ← w − lr·wd·sign(w)")


@pytest.mark.parametrize(
    ("law", "change"),
    [
        (SGD, lambda w: -0.001 * w),
        (replace(SGD, form="grows"), lambda w: 0.001 * w),
        (SIGN, lambda w: -0.001 * np.sign(w)),
        (
            replace(SIGN, formula="w ← sign(w)·max(|w| − lr·wd, 0)"),
            lambda w: -np.sign(w) * np.minimum(np.abs(w), 0.001),
        ),
        (replace(SGD, form="power", weight_exponent=2.0), lambda w: -0.001 * w * np.abs(w)),
        (replace(SGD, form="constant"), lambda w: np.full_like(w, -0.001)),
        (replace(SGD, form="none"), np.zeros_like),
    ],
)
def test_the_left_plot_is_the_formula(law: Law, change: object) -> None:
    curve = law.plot().data[0]
    np.testing.assert_allclose(curve.y, change(np.asarray(curve.x)), atol=1e-15)


def test_the_right_plot_goes_where_the_steps_go() -> None:
    path = SGD.plot().data[1]
    steps = np.asarray(path.x)
    np.testing.assert_allclose(path.y, 1.5 * 0.999**steps, rtol=1e-9)
    assert path.y[-1] < 0.2


def test_a_tiny_decay_is_drawn_as_soon() -> None:
    path = replace(SGD, lr=1e-6, weight_decay=1e-3).plot().data[1]
    np.testing.assert_allclose(path.y, 1.5 * np.exp(-1e-9 * np.asarray(path.x)), rtol=1e-3)


@pytest.mark.parametrize("law", [replace(SGD, form="mixture"), replace(SGD, misfit=0.5)])
def test_what_has_no_curve_is_refused(law: Law) -> None:
    with pytest.raises(ValueError, match="the law of SGD is no formula for a single weight"):
        law.plot()
