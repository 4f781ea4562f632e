"""Studies: which regularization suits some data, how strong, and what it costs and buys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shrinkage.study.comparing import compare
    from shrinkage.study.errors import StoppedError, UsageError
    from shrinkage.study.merging import merge
    from shrinkage.study.model.fit_model import fit_model
    from shrinkage.study.model.fitted import FittedModel, load_model
    from shrinkage.study.path.fit_path import fit_path
    from shrinkage.study.path.results import PathResults
    from shrinkage.study.results import Results
    from shrinkage.study.spec import Study
    from shrinkage.study.storage.store import load

__all__ = [
    "FittedModel",
    "PathResults",
    "Results",
    "StoppedError",
    "Study",
    "UsageError",
    "compare",
    "fit_model",
    "fit_path",
    "load",
    "load_model",
    "merge",
]

_HOMES = {
    "FittedModel": "model.fitted",
    "PathResults": "path.results",
    "Results": "results",
    "StoppedError": "errors",
    "Study": "spec",
    "UsageError": "errors",
    "compare": "comparing",
    "fit_model": "model.fit_model",
    "fit_path": "path.fit_path",
    "load": "storage.store",
    "load_model": "model.fitted",
    "merge": "merging",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch and pandas take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
