"""Small sets of points to learn from, drawn with a seed: the same call gives the same points."""

from __future__ import annotations

import numpy as np

from shrinkage.scratch.checks import Array, Seed, check_number, check_size, make_rng


def spiral(samples: int, classes: int = 3, *, rng: Seed = 0) -> tuple[Array, Array]:
    """Arms of a spiral around the origin, one for each class, with `samples` points each.

    The point of radius r ∈ [0, 1] on arm c stands at (r·sin a, r·cos a), where the angle
    ``a = 2.5·(4·(c + r) + ε)`` has normal noise ε of standard deviation 0.2.

    Parameters
    ----------
    samples : int
        Points for each class, at least 1.
    classes : int, default 3
        At least 1.
    rng : Generator, int or None, default 0
        Where the noise comes from.

    Returns
    -------
    X : array (classes·samples, 2)
    y : array (classes·samples,) of class indices

    Notes
    -----
    The points of Kinsley and Kukieła, *Neural Networks from Scratch in Python* (2020).

    Examples
    --------
    >>> X, y = spiral(100, 3)
    >>> X.shape, y.shape, sorted(set(y.tolist()))
    ((300, 2), (300,), [0, 1, 2])
    """
    samples, classes = check_size("samples", samples), check_size("classes", classes)
    y = np.repeat(np.arange(classes), samples)
    radius = np.tile(np.linspace(0.0, 1.0, samples), classes)
    noise = 0.2 * make_rng(rng).standard_normal(len(y))
    angle = 2.5 * (4.0 * (y + radius) + noise)
    return radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)]), y


def vertical(samples: int, classes: int = 3, *, rng: Seed = 0) -> tuple[Array, Array]:
    """Clouds side by side: class c around (c/classes, ½), with standard deviation 0.1.

    The parameters and the return value are those of `spiral`.

    Examples
    --------
    >>> X, y = vertical(50, 2)
    >>> X.shape, y.tolist() == 50 * [0] + 50 * [1]
    ((100, 2), True)
    """
    samples, classes = check_size("samples", samples), check_size("classes", classes)
    y = np.repeat(np.arange(classes), samples)
    noise = 0.1 * make_rng(rng).standard_normal((len(y), 2))
    return np.column_stack([y / classes, np.full(len(y), 0.5)]) + noise, y


def sine(samples: int = 1000, *, noise: float = 0.0, rng: Seed = 0) -> tuple[Array, Array]:
    """One turn of a sine: y = sin(2π·x) at x = 0, 1/samples, ..., with normal noise on y.

    Parameters
    ----------
    samples : int, default 1000
        How many points, at least 1.
    noise : float, default 0
        Its standard deviation, at least 0.
    rng : Generator, int or None, default 0
        Where the noise comes from.

    Returns
    -------
    X : array (samples, 1)
    y : array (samples, 1)

    Examples
    --------
    >>> X, y = sine(4)
    >>> X.ravel().tolist(), y.round(9).ravel().tolist()
    ([0.0, 0.25, 0.5, 0.75], [0.0, 1.0, 0.0, -1.0])
    """
    samples = check_size("samples", samples)
    noise = check_number("noise", noise)
    X = np.arange(samples)[:, None] / samples
    drawn = make_rng(rng).standard_normal(X.shape)
    return X, np.sin(2.0 * np.pi * X) + noise * drawn
