"""Warnings that point to the line of the user's from which this library was called."""

from __future__ import annotations

import re
import sys
import warnings

# Between a user's line and this library: what calls its hooks, estimators and callbacks.
PASSED = re.compile(
    r"(shrinkage|torch|sklearn|joblib|skorch|(pytorch_)?lightning(_fabric)?|accelerate|transformers"
    r"|ignite|contextlib)(\.|$)"
)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line outside this library and the frameworks that call it.

    The number of frames between depends on hooks, on wrappers and on how deep a model is.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back and PASSED.match(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
