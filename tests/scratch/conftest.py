"""The two engines of `fit`: the layers, and compiled loops."""

from __future__ import annotations

from typing import Any

import pytest

from shrinkage.scratch import training


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compiled loops for the shortest training; it comes to list the engine of each training."""
    chosen, choose = [], training.choose_engine

    def record(*arguments: Any) -> training.Engine:
        engine = choose(*arguments)
        chosen.append(type(engine).__name__)
        return engine

    monkeypatch.setattr(training, "LEAST_WORK", 0.0)
    monkeypatch.setattr(training, "choose_engine", record)
    return chosen


@pytest.fixture(params=["layers", "compiled"])
def each_engine(request: pytest.FixtureRequest) -> None:
    """The test runs with either engine."""
    if request.param == "compiled":
        request.getfixturevalue("compiled")
