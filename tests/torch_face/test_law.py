"""The law on two optimizers; `make law` prints it for all of them."""

from __future__ import annotations

import pytest

import law

ROWS = [row for row in law.rows(quick=True) if row.optimizer != "Adagrad"]
EXACT = [row for row in ROWS if row.how == "proximal" or row.case.smooth]
EXACT = [row for row in EXACT if not row.optimizer.endswith("SGD") or row.how == "decoupled"]


@pytest.mark.parametrize("row", EXACT, ids=str)
def test_it_rests_where_its_objective_is_least(row: law.Row) -> None:
    distance, zeros = row.run()
    assert distance < row.tolerance
    assert zeros


@pytest.mark.parametrize("number", range(len(law.known())))
def test_the_penalty_matters(number: int) -> None:
    """A minimum that plain least squares has as well would show nothing."""
    case = law.known()[number]
    if case.solver is not None:
        free = law.bounded(-10.0, 10.0).reshape(case.shape)
        assert abs(law.solved(number) - free).max() > 100 * law.KINKED / 2
