"""How an optimizer with the penalty inside steps each of its parameters, as a table.

People see in it whether their parameters are stepped in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from shrinkage.text_table import align, rows_of, to_html

ONE_PASS, BY_TORCH = "one pass", "torch operations"


@dataclass(frozen=True)
class SteppedParameter:
    """A parameter, whether it is stepped in one pass or by torch operations, and why."""

    parameter: str
    step: str
    why: str


@dataclass(frozen=True)
class EngineReport:
    """A row for each parameter of an optimizer with the penalty inside."""

    rows: tuple[SteppedParameter, ...]

    @property
    def in_one_pass(self) -> tuple[str, ...]:
        """The names of the parameters that compiled loops step."""
        return tuple(row.parameter for row in self.rows if row.step == ONE_PASS)

    @property
    def by_torch(self) -> tuple[str, ...]:
        """The names of those that torch operations step."""
        return tuple(row.parameter for row in self.rows if row.step == BY_TORCH)

    def __str__(self) -> str:
        return align(rows_of(SteppedParameter, self.rows))

    def _repr_html_(self) -> str:
        return to_html(rows_of(SteppedParameter, self.rows))
