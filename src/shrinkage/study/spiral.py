"""The embedded data: three arms of a spiral, noisy enough that regularization shows."""

from __future__ import annotations

import numpy as np
import pandas as pd

ARMS = 3


def make_spiral(rows: int = 300, noise: float = 0.2, turns: float = 0.6) -> pd.DataFrame:
    """Points on three arms around the origin: columns x, y and target ("a", "b", "c").

    An arm of radius r in [0, 1] stands at the angle 2π·(arm/3 + turns·r); each coordinate then
    gets normal noise, so that arms overlap and the best possible score is below 1.
    """
    generator = np.random.default_rng(0)
    each = rows // ARMS
    radius = np.tile(np.linspace(0.0, 1.0, each), ARMS)
    arm = np.repeat(np.arange(ARMS), each)
    angle = 2 * np.pi * (arm / ARMS + turns * radius)
    points = radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    points += noise * generator.standard_normal(points.shape)
    return pd.DataFrame(
        {"x": points[:, 0], "y": points[:, 1], "target": np.array(list("abc"))[arm]}
    )
