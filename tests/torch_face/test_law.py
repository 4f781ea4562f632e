"""The law on the usual optimizers; `make law` prints it for all of them."""

from __future__ import annotations

import pytest

import law

USUAL = ("SGD", "SGD momentum", "shrinkage Adam")
EXACT = [
    row
    for row in law.rows(quick=True)
    if row.tolerance == law.EXACT
    and row.optimizer in USUAL
    and (row.optimizer != "SGD" or row.how == "decoupled")
    and not (row.case.logistic and row.case.steps > 3000)
]


@pytest.mark.parametrize("row", EXACT, ids=str)
def test_it_rests_where_its_objective_is_least(row: law.Row) -> None:
    distance, zeros = row.run(haste=1.0 if row.case.solver is None else 2 / 3)
    assert distance < row.tolerance
    assert zeros


@pytest.mark.parametrize("number", range(len(law.known())))
def test_the_penalty_matters(number: int) -> None:
    """A minimum that plain least squares has as well would show nothing.

    The logistic loss has none without a penalty: lines part these data but for a few.
    """
    case = law.known()[number]
    if case.solver is not None and not case.logistic:
        free = law.bounded(-10.0, 10.0).reshape(case.shape)
        assert abs(law.solved(number) - free).max() > 50 * law.KINKED
