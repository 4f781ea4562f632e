"""Settings that every test shares."""

import gc

import hypothesis
import pytest
import torch

from grid import is_quick

hypothesis.settings.register_profile("laws", deadline=None, max_examples=10)
hypothesis.settings.load_profile("laws")
torch.set_num_threads(1)

gc.set_threshold(100_000, 50, 50)  # what compiles makes many objects, and few cycles


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rows of a grid that `quick_where` does not name are slow."""
    for item in items:
        for marker in item.iter_markers("quick_where"):
            if not is_quick(item.callspec.params, marker.kwargs):
                item.add_marker("slow")
