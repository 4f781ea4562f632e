"""The built-in data that are generated: in both sets the noise makes regularization show."""

from __future__ import annotations

import numpy as np
import pandas as pd

ARMS = 3


def make_friedman(rows: int = 400, inputs: int = 30, noise: float = 1.0) -> pd.DataFrame:
    """Friedman's function of five inputs among many: columns x1, x2, ... and target.

    y = 10·sin(π·x1·x2) + 20·(x3 − ½)² + 10·x4 + 5·x5 + noise·ε, with xⱼ uniform on [0, 1] and ε
    standard normal. The inputs from x6 on say nothing about y.

    References
    ----------
    Friedman, Multivariate Adaptive Regression Splines, The Annals of Statistics 19 (1991), p. 37.
    """
    random = np.random.RandomState(0)  # as scikit-learn's make_friedman1, with the same numbers
    X = random.uniform(size=(rows, inputs))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
    y = y + 10 * X[:, 3] + 5 * X[:, 4] + noise * random.standard_normal(rows)
    names = [f"x{place}" for place in range(1, inputs + 1)]
    return pd.DataFrame(X, columns=names).assign(target=y)


def make_spiral(rows: int = 300, noise: float = 0.2, turns: float = 0.6) -> pd.DataFrame:
    """Points on three arms around the origin: columns x, y and target ("a", "b", "c").

    An arm of radius r in [0, 1] stands at the angle 2π·(arm/3 + turns·r); each coordinate then
    gets normal noise, so that arms overlap and the best possible score is below 1.
    """
    generator = np.random.default_rng(0)
    per_arm = rows // ARMS
    radius = np.tile(np.linspace(0.0, 1.0, per_arm), ARMS)
    arm = np.repeat(np.arange(ARMS), per_arm)
    angle = 2 * np.pi * (arm / ARMS + turns * radius)
    points = radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    points += noise * generator.standard_normal(points.shape)
    return pd.DataFrame(
        {"x": points[:, 0], "y": points[:, 1], "target": np.array(list("abc"))[arm]}
    )
