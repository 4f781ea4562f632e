"""Settings that the tests of probes share."""

from __future__ import annotations

import pytest

from shrinkage.probe import probe


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit of its own a probe has half an hour: a slow machine is no failure."""
    monkeypatch.setitem(probe.__kwdefaults__, "timeout", 1800.0)
