"""Names and strengths as the labels of a figure."""

from __future__ import annotations

import html
import math

import numpy as np


def escape_label(text: object) -> str:
    """`text` for a label of plotly's, which reads some HTML and fills in ``%{...}`` itself."""
    return html.escape(str(text), quote=False).replace("%{", "%&#123;")


def is_number(value: object) -> bool:
    """Whether `value` is a finite number."""
    return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)


def format_strength(value: float) -> str:
    """A strength as people type it.

    >>> [format_strength(strength) for strength in (1e-05, 0.000316227766, 0.05, 0)]
    ['1e-5', '3.16e-4', '0.05', '0']
    """
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
