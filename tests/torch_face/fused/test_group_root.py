"""The equation of a group under Adam, as Python runs it: loops compile the same function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from shrinkage import GroupLasso
from shrinkage.kernels.group_root import root


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strength", [0.01, 0.3, 30.0])
def test_a_group_goes_where_its_equation_says(strength: float, dtype: Any) -> None:
    """Σz²/(θ + c)² = 1, solved elsewhere, and the prox that θ gives."""
    random = np.random.default_rng(0)
    z, steps = random.normal(size=9).astype(dtype), random.uniform(0.1, 2.0, 9).astype(dtype)
    c = steps * dtype(strength)
    theta = root(z, c, float(np.linalg.norm(z)), float(c @ (z * z) / (z @ z)))
    expected = GroupLasso(strength, weight="none").prox(z[None].astype(float), steps[None])[0]
    near = 1e-10 if dtype is np.float64 else 1e-5
    if strength == 30.0:  # Σz²/c² < 1: the group dies
        assert theta == 0.0
        assert not expected.any()
        return
    known = brentq(lambda t: (z**2.0 / (t + c) ** 2.0).sum() - 1, 0.0, 100.0, xtol=1e-14)
    assert theta == pytest.approx(known, rel=near)
    np.testing.assert_allclose(z * theta / (theta + c), expected, rtol=near)
