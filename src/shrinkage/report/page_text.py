"""Numbers and names as a page shows them: rounded, escaped, never NaN."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from shrinkage.study.formatting import MISSING, format_score


def escape(text: object) -> str:
    """`text` for an HTML page."""
    return html.escape(str(text), quote=True)


def escape_label(text: object) -> str:
    """`text` for a label of plotly's, which reads some HTML and fills in ``%{...}`` itself."""
    return html.escape(str(text), quote=False).replace("%{", "%&#123;")


def is_number(value: object) -> bool:
    """Whether `value` is a finite number."""
    return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)


def format_number(value: float | None, digits: int = 3) -> str:
    """`value` with `digits` decimals and a true minus sign; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}f}".replace("-", "−")


def format_strength(value: float) -> str:
    """A strength as people type it.

    >>> [format_strength(strength) for strength in (1e-05, 0.000316227766, 0.05, 0)]
    ['1e-5', '3.16e-4', '0.05', '0']
    """
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def format_page_score(value: float | None) -> str:
    """A score with a true minus sign; a dash when there is none.

    >>> format_page_score(-0.25), format_page_score(0.99962), format_page_score(None)
    ('−0.250', '0.9996', '–')
    """
    return MISSING if value is None else format_score(value).replace("-", "−")


def format_with_error(mean: float | None, error: float | None) -> str:
    """A score with its standard error; the score alone where there is none."""
    return (
        f"{format_page_score(mean)} ± {format_page_score(error)}"
        if is_number(error)
        else format_page_score(mean)
    )


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
