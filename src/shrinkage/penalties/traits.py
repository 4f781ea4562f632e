"""What is true of a penalty beyond its formulas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """What tables, findings and tests ask of a penalty whose strength is not 0."""

    makes_zeros: bool = False  # a minimum with this penalty has exact zeros
    is_norm: bool = False  # Ω(c·w) = |c|·Ω(w)
    is_smooth: bool = True  # Ω has a derivative wherever no entry is 0
    is_continuous: bool = True  # a prox of a small step moves w little
    is_count: bool = False  # Ω is a price for what is not zero, whatever its size
    fixes_zero: bool = True  # the prox leaves 0 where it is
