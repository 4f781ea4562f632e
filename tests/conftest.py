"""Settings that every test shares."""

import gc
import os
import re
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import xdist

from grid import QUICK, quick_rows

# NumPy and SciPy are not imported yet: on small arrays threads of BLAS would mostly wait for each
# other, in every worker and process of the suite.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
gc.set_threshold(100_000, 50, 50)  # what compiles makes many objects, and few cycles

LEFT_OUT = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.(slow|frameworks)\b", re.MULTILINE)


def is_quick(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == QUICK)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where tests run: the controller of pytest-xdist runs none, and imports nothing of these."""
    if xdist.is_xdist_controller(session):
        return
    import hypothesis
    import torch

    hypothesis.settings.register_profile(
        "laws",
        deadline=None,
        max_examples=3 if is_quick(session.config) else 10,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],  # a slow machine is no failure
    )
    hypothesis.settings.load_profile("laws")
    torch.set_num_threads(1)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The quick layer does not import a file that is slow as a whole, nor what that needs."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    if is_test and is_quick(config) and LEFT_OUT.search(collection_path.read_text("utf-8")):
        return True
    return None


def pytest_collection_finish() -> None:
    """What was imported stays: each `gc.collect()`, as of accelerate, would go over all of it."""
    gc.freeze()


def pytest_runtest_setup() -> None:
    """One thread of torch a test, also after one that left more: on a busy machine they wait.

    Nor does a model of an earlier test, that the garbage collector has not found, hold zeros.
    """
    import torch

    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    held = sys.modules.get("shrinkage.torch.binding.held")
    if held is not None:
        held._holders.clear()
        while held._hooks:
            held._hooks.pop().remove()


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """The rows of a test that its `quick_where` does not name are slow."""
    collected = yield
    if isinstance(collected, list):  # every row of one function, whatever the command line selects
        for marker in collected[0].iter_markers("quick_where"):
            quick = quick_rows([row.callspec.params for row in collected], marker.kwargs)
            for row, is_quick_row in zip(collected, quick, strict=True):
                if not is_quick_row:
                    row.add_marker("slow")
    return collected


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command `shrinkage` in an empty folder, as its user types it."""
    from typer.testing import CliRunner

    from built_command import build_command
    from shrinkage.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("typer.testing._get_command", build_command, raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))
