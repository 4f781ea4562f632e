"""A fitted effect as the formula that a person would write."""

from __future__ import annotations

import math

from shrinkage.probe.law_fit import Fitted

SUPERSCRIPTS = str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻")


def write_formula(law: Fitted) -> str:
    """``w ← (1 − lr·wd)·w`` and its like."""
    if law.shape.form == "none":
        return "w ← w"
    amount, sign = _write_rate(law), "+" if law.coefficient < 0 else "−"
    if law.shape.form == "proportional" and not law.factors:
        shares = {"implicit": f"w/(1 + {amount})", "exponential": f"exp(−{amount})·w"}
        return f"w ← {shares.get(law.share, f'(1 {sign} {amount})·w')}"
    if law.shape.clipped:
        return f"w ← sign(w)·max(|w| − {amount}, 0)"
    times = "" if law.shape.form == "constant" else f"·{_write_basis(law)}"
    by_size = "".join(f"·{_write_power(name, exponent)}" for name, exponent in law.factors)
    return f"w ← w {sign} {amount}{times}{by_size}"


def _write_rate(law: Fitted) -> str:
    """``coefficient·lr^a·lr₀^b·wd^c``: "2·lr·wd", "(lr/lr₀)·wd"."""
    rates = _write_power("lr", law.exponents.lr)
    if law.exponents.first_lr < 0:
        rates = f"({rates or '1'}/{_write_power('lr₀', -law.exponents.first_lr)})"
    elif law.exponents.first_lr > 0:
        rates = "·".join(filter(None, (rates, _write_power("lr₀", law.exponents.first_lr))))
    factors = [
        _write_number(abs(law.coefficient)),
        rates,
        _write_power("wd", law.exponents.strength),
    ]
    return "·".join(filter(None, factors)) or "1"


def _write_number(value: float) -> str:
    """A factor; "" for 1."""
    return "" if abs(value - 1) < 5e-3 else f"{value:.3g}"


def _write_power(name: str, exponent: float) -> str:
    if exponent == 0 or not math.isfinite(exponent):
        return ""
    return name if exponent == 1 else f"{name}{f'{exponent:g}'.translate(SUPERSCRIPTS)}"


def _write_basis(law: Fitted) -> str:
    shape = law.shape
    if shape.form == "power":
        return f"sign(w)·|w|^{shape.weight_exponent:g}"
    if shape.form == "matrix":
        if shape.weight_exponent == 0:
            return "UVᵀ (w = USVᵀ)"
        return f"U{_write_power('S', shape.weight_exponent or 0.0)}Vᵀ (w = USVᵀ)"
    if shape.form == "mixture":
        names = {"proportional": "w", "sign": "sign(w)", "constant": "1"}
        parts = [
            (_write_number(share / shape.coefficient), names[name]) for name, share in shape.terms
        ]
        return f"({' + '.join('·'.join(filter(None, part)) for part in parts)})"
    return "sign(w)" if shape.form == "sign" else "w"
