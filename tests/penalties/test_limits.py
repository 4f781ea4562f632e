"""How far a prox may move an entry, and which penalties can be taken row by row."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
from cases import GROUPED, INDEX_LISTS, PENALTIES, Case
from flavours import Flavour, each_flavour, plain, positive_steps, steps, weights
from shrinkage import L1, GroupLasso, L1Ball, Penalty, Simplex
from shrinkage.penalties.arrays import namespace


def limited(penalty: Penalty, w: Any, target: Any, limit: Any) -> np.ndarray:
    return plain(penalty.limited(namespace(w), w, target, limit))


@pytest.mark.parametrize("case", PENALTIES, ids=str)
@given(data=st.data())
def test_no_entry_moves_further(case: Case, data: st.DataObject) -> None:
    w, target, limit = (data.draw(of(case.shape)) for of in (weights, weights, positive_steps))
    for flavour in each_flavour():
        arrays = flavour.array(w), flavour.array(target), flavour.step(limit)
        move = limited(case.penalty, *arrays) - w
        assert np.all(np.abs(move) <= limit + flavour.tolerance)
        assert np.all(move * (target - w) >= -flavour.tolerance)  # towards the target
        far = np.abs(target - w).max() + np.ones(case.shape)
        unlimited = limited(case.penalty, *arrays[:2], flavour.array(far))
        np.testing.assert_array_equal(unlimited, target)
        np.testing.assert_array_equal(limited(case.penalty, *arrays[:2], np.inf), target)


@pytest.mark.parametrize("case", GROUPED, ids=str)
@given(data=st.data())
def test_groups_keep_their_direction(case: Case, data: st.DataObject) -> None:
    w, target, limit = (data.draw(of(case.shape)) for of in (weights, weights, positive_steps))
    penalty: Any = case.penalty
    allowed = np.broadcast_to(limit, case.shape)
    expected = np.clip(target - w, -allowed, allowed)  # of entries of no group
    for members in oracles.members_of_groups(penalty.groups, case.shape):
        moves = [(abs(target[i] - w[i]), allowed[i]) for i in members]
        share = min([1.0, *(most / size for size, most in moves if size > most)])
        for i in members:
            expected[i] = share * (target[i] - w[i])
    for flavour in each_flavour():
        arrays = flavour.array(w), flavour.array(target), flavour.step(limit)
        flavour.close(limited(penalty, *arrays) - w, expected)


@pytest.mark.parametrize("penalty", [L1(1) + GroupLasso(0), GroupLasso(0, INDEX_LISTS) + L1(1)])
def test_a_term_of_strength_zero_ties_nothing(penalty: Penalty) -> None:
    w, target = np.zeros((4, 4)), np.diag([1.0, 2.0, 3.0, 0.1]) + 0.1
    np.testing.assert_array_equal(limited(penalty, w, target, 0.5), np.minimum(target, 0.5))


@pytest.mark.parametrize("kind", ["complex64", "complex128"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_complex_numbers_keep_their_direction(kind: str, library: str) -> None:
    flavour = Flavour(library, kind)
    w, target = flavour.array([[1.0, 1j]]), flavour.array([[1 + 3j, 0.5j]])
    flavour.close(limited(L1(1), w, target, 1.0), [[1 + 1j, 0.5j]])
    flavour.close(limited(GroupLasso(1), w, target, 1.0), [[1 + 1j, 1j - 0.5j / 3]])


@pytest.mark.parametrize("penalty", [L1(1), GroupLasso(1), L1(1) + GroupLasso(1, "in")])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)], ids=str)
def test_nothing_to_limit(penalty: Penalty, shape: tuple[int, ...]) -> None:
    if "in" not in repr(penalty) or len(shape) == 2:
        assert limited(penalty, np.ones(shape), np.zeros(shape), 0.5).shape == shape


@pytest.mark.parametrize("case", [case for case in PENALTIES if case.penalty.is_by_row], ids=str)
@given(data=st.data())
def test_row_by_row_is_the_same(case: Case, data: st.DataObject) -> None:
    w, step = data.draw(weights(case.shape)), data.draw(steps(case.shape))
    steps_of = np.broadcast_to(step, case.shape)
    pieces = [slice(0, 1), slice(1, 3), slice(3, None)]
    value = sum(case.penalty.value(w[rows]) for rows in pieces)
    np.testing.assert_allclose(value, case.penalty.value(w), rtol=1e-10)
    proxes = [case.penalty.prox(w[rows], steps_of[rows]) for rows in pieces]
    np.testing.assert_allclose(np.concatenate(proxes), case.penalty.prox(w, step), atol=1e-10)


def test_who_is_by_row() -> None:
    by_row = [L1(1), GroupLasso(1), GroupLasso(1, 0), GroupLasso(1, (0, 1)), L1(1) + GroupLasso(1)]
    tied = [GroupLasso(1, "in"), GroupLasso(1, 1), GroupLasso(1, "2x2"), GroupLasso(1, [[0, 1]])]
    assert all(penalty.is_by_row for penalty in by_row)
    assert not any(penalty.is_by_row for penalty in [*tied, L1(1) + tied[0]])


@pytest.mark.parametrize("penalty", [Simplex(0.8), L1Ball(0.8)], ids=str)
def test_a_projection_that_no_limit_holds_back_keeps_its_zeros(penalty: Penalty) -> None:
    """To project it again would lift zeros by what rounding took from the sum."""
    random = np.random.default_rng(0)
    for _ in range(50):
        target = penalty.prox(random.standard_normal(10), 1.0)
        kept = limited(penalty, np.zeros(10), target, np.full(10, 2.0))
        assert (target == 0).any()
        assert ((kept == 0) == (target == 0)).all()
