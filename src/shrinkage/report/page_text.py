"""Numbers and names as a page shows them: rounded, escaped, never NaN."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from shrinkage.study.formatting import MISSING


def escape(text: object) -> str:
    """`text` for an HTML page."""
    return html.escape(str(text), quote=True)


def format_number(value: float | None, digits: int = 3) -> str:
    """`value` with `digits` decimals and a true minus sign; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}f}".replace("-", "−")


def to_json_value(value: object) -> object:
    """`value` as JSON can hold it: arrays as lists, six digits, and null for what is not finite."""
    if isinstance(value, (float, np.floating)):  # first: a figure is made of these
        return _shorten(float(value)) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bytes)):
        return value if value is None else str(value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): to_json_value(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return to_json_value(value.tolist())
    if isinstance(value, Sequence):
        return [to_json_value(entry) for entry in value]
    return str(value)


def _shorten(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 1e6 else float(f"{value:.6g}")


def script_json(value: object) -> str:
    """`value` as JSON that can stand inside a <script> element: it has no <, > or &."""
    text = json.dumps(to_json_value(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
