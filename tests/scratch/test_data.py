"""The points: their places, their classes, their seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shrinkage.scratch import sine, spiral, vertical

Points = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.mark.parametrize("draw", [spiral, vertical])
def test_points_of_classes(draw: Points) -> None:
    X, y = draw(70, 4, rng=3)
    assert X.shape == (280, 2)
    assert np.bincount(y).tolist() == [70] * 4
    assert X.dtype == np.float64
    assert y.dtype.kind == "i"


@pytest.mark.parametrize(
    "draw", [lambda rng: spiral(9, rng=rng), lambda rng: vertical(9, rng=rng),
             lambda rng: sine(9, noise=0.1, rng=rng)]
)  # fmt: skip
def test_a_seed_is_its_points(draw: Points) -> None:
    assert (draw(1)[0] == draw(1)[0]).all()
    assert (draw(1)[1] == draw(np.random.default_rng(1))[1]).all()
    assert any((one != other).any() for one, other in zip(draw(1), draw(2), strict=True))


def test_a_spiral_is_where_its_formula_says() -> None:
    X, y = spiral(2000, 3, rng=0)
    radius = np.hypot(*X.T)
    np.testing.assert_allclose(radius, np.tile(np.linspace(0, 1, 2000), 3), atol=1e-12)
    steady = 10 * (y + radius)  # the angle without its noise
    inner = radius > 0
    error = np.angle(np.exp(1j * (np.arctan2(X[inner, 0], X[inner, 1]) - steady[inner])))
    assert error.std() == pytest.approx(2.5 * 0.2, rel=0.03)
    assert error.mean() == pytest.approx(0, abs=0.02)


def test_vertical_clouds_stand_side_by_side() -> None:
    X, y = vertical(4000, 4, rng=0)
    for label in range(4):
        np.testing.assert_allclose(X[y == label].mean(axis=0), [label / 4, 0.5], atol=0.01)
        np.testing.assert_allclose(X[y == label].std(axis=0), [0.1, 0.1], rtol=0.05)


def test_a_sine_is_a_sine() -> None:
    X, y = sine(1000)
    assert X.shape == y.shape == (1000, 1)
    assert (X[0, 0], X[-1, 0]) == (0.0, 0.999)
    np.testing.assert_allclose(y, np.sin(2 * np.pi * X), atol=1e-15)
    _, noisy = sine(1000, noise=0.3, rng=0)
    assert (noisy - y).std() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: spiral(0), "samples must be at least 1, got 0"),
        (lambda: spiral(-5), "samples must be at least 1, got -5"),
        (lambda: vertical(5, 0), "classes must be at least 1, got 0"),
        (lambda: sine(0), "samples must be at least 1, got 0"),
        (lambda: sine(5, noise=-0.1), "noise must be >= 0 and finite, got -0.1"),
        (lambda: sine(5, noise=float("nan")), "noise must be >= 0 and finite, got nan"),
    ],
)
def test_bad_sizes(draw: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        draw()


def test_noise_is_a_number() -> None:
    with pytest.raises(TypeError, match="noise must be a number, got 'a'"):
        sine(5, noise="a")


@pytest.mark.parametrize("draw", [spiral, vertical, sine])
def test_sizes_are_whole_numbers(draw: Callable[[object], object]) -> None:
    for size in (1.5, "many", True):
        with pytest.raises(TypeError, match=f"samples must be a whole number, got {size!r}"):
            draw(size)
