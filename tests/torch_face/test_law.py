"""The law on the usual optimizers; `make law` prints it for all of them."""

from __future__ import annotations

import pytest

import law
from grid import FULL
from optimizer_cases import LARGER
from shrinkage import MCP, SCAD, LogSum, Lp, NonNegative, Orthogonality

pytestmark = pytest.mark.usefixtures("torch_operations")

USUAL = ("SGD momentum", "shrinkage Adam")


def covered() -> list[law.Row]:
    """Each penalty in each way once, where the way leads to the last digit."""
    rows: dict[tuple[int, str], list[law.Row]] = {}
    for row in law.rows(quick=True):
        usual = ("SGD",) if row.how == "decoupled" else USUAL
        takes_long = row.case.logistic and row.case.steps > 3000
        if row.tolerance == law.EXACT and row.optimizer in usual and not takes_long:
            rows.setdefault((row.number, row.how), []).append(row)
    every = [row for few in rows.values() for row in few]
    return every if FULL else [few[number % len(few)] for (number, _), few in rows.items()]


def enough(row: law.Row) -> float:
    """The share of the steps in which the row comes as near as its tolerance, at its own lr."""
    if row.case.solver is None:
        takes_all = isinstance(row.case.penalty, Orthogonality) or row.case.penalty in QUICK
        return 1.0 if takes_all else 0.5
    if isinstance(row.case.penalty, Lp) and row.case.steps > 1500:
        return 0.5 if row.how == "decoupled" else 0.15
    return 2 / 3 if row.how == "decoupled" else 1 / 3


QUICK = (NonNegative(), MCP(0.1, gamma=3.0))
# They come to no rest by a larger lr.
KEEPS_LR = (MCP(0.1, gamma=3.0), SCAD(0.1), LogSum(0.05, eps=0.5), Lp(0.02, 0.5))


@pytest.mark.parametrize(
    "row",
    [
        row if row.case.penalty in QUICK else pytest.param(row, marks=pytest.mark.slow)
        for row in covered()
    ],
    ids=str,
)
def test_it_converges_to_the_minimum_of_its_objective(row: law.Row) -> None:
    if row.case.penalty in KEEPS_LR:
        distance, zeros = row.run(enough(row))
    else:
        distance, zeros = row.run(0.55 * enough(row), LARGER[row.optimizer])
    assert distance < row.tolerance
    assert zeros


@pytest.mark.slow
def test_the_penalty_matters() -> None:
    """A minimum that plain least squares has as well would show nothing.

    The logistic loss has none without a penalty: lines part these data but for a few.
    """
    for number, case in enumerate(law.known()):
        if case.solver is not None and not case.logistic:
            free = law.bounded(-10.0, 10.0).reshape(case.shape)
            assert abs(law.solved(number) - free).max() > 50 * law.KINKED, case.penalty
