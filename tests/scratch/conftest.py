"""The two engines of `fit`: the layers, and compiled loops."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scratch.twins import Chosen
from shrinkage.scratch import training


@pytest.fixture(params=["layers", pytest.param("compiled", marks=pytest.mark.slow)])
def engines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Chosen:
    """The layers, or compiled loops for the shortest training."""
    names, choose = [], training.choose_engine

    def record(*arguments: Any) -> training.Engine:
        engine = choose(*arguments)
        names.append(type(engine).__name__)
        return engine

    monkeypatch.setattr(training, "choose_engine", record)
    if request.param == "layers":
        monkeypatch.setattr(training, "LEAST_WORK", math.inf)
        return Chosen(names, 1e-14)
    monkeypatch.setattr(training, "LEAST_WORK", 0.0)
    return Chosen(names, 1e-10)
