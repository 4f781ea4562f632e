"""A probe for tests that do not look at what an optimizer converges to."""

from __future__ import annotations

from typing import Any

import pytest

from shrinkage.probe import Law, probe
from shrinkage.probe.fixed_point import _run_to_convergence


def probe_law(factory: Any, **options: Any) -> Law:
    """All that `probe` finds, but after trainings of 20 steps in place of 600."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_run_to_convergence.__kwdefaults__, "steps", 20)
        return probe(factory, **options)
