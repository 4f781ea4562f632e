"""The command `shrinkage`, built once: that takes longer than most of what tests ask of it."""

from __future__ import annotations

import functools
from typing import Any

from typer.main import get_command


@functools.cache
def build_command(app: Any) -> Any:
    """What Typer makes of its application at each call."""
    return get_command(app)
