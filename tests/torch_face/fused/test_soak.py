"""A small soak; `make soak` runs a long one."""

import pytest

from fused_soak import soak

pytestmark = pytest.mark.slow


def test_a_small_soak() -> None:
    assert soak(600, seed=1) == 600
