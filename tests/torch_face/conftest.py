"""What the tests of the torch face share."""

from collections.abc import Iterator

import pytest

import fused_twins


@pytest.fixture
def torch_operations() -> Iterator[None]:
    """Every step is made by torch operations, so that no loop has to be compiled for the test.

    `fused` holds that loops give the same numbers.
    """
    with fused_twins.torch_operations():
        yield
