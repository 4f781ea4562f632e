"""Settings that every test shares."""

import gc
from collections.abc import Generator
from typing import Any

import pytest
import xdist

from grid import quick_rows

gc.set_threshold(100_000, 50, 50)  # what compiles makes many objects, and few cycles


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where tests run: the controller of pytest-xdist runs none, so it imports nothing of these."""
    if xdist.is_xdist_controller(session):
        return
    import hypothesis
    import torch

    hypothesis.settings.register_profile(
        "laws",
        deadline=None,
        max_examples=10,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],  # a slow machine is no failure
    )
    hypothesis.settings.load_profile("laws")
    torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """The rows of a test that its `quick_where` does not name are slow."""
    collected = yield
    if isinstance(collected, list):  # every row of one function, whatever the command line selects
        for marker in collected[0].iter_markers("quick_where"):
            quick = quick_rows([row.callspec.params for row in collected], marker.kwargs)
            for row, is_quick in zip(collected, quick, strict=True):
                if not is_quick:
                    row.add_marker("slow")
    return collected
