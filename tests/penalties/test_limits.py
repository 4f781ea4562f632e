"""How far a prox may move an entry, and which penalties can be taken row by row."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
from cases import GROUPED, INDEX_LISTS, PENALTIES, Case
from flavours import Flavour, each_flavour, plain, positive_steps, weights
from penalties.laws import draw, each, each_kind
from shrinkage import L1, GroupLasso, L1Ball, Penalty, Simplex
from shrinkage.penalties.arrays import namespace


def limited(penalty: Penalty, w: Any, target: Any, limit: Any) -> np.ndarray:
    return plain(penalty._cap_move(namespace(w), w, target, limit))


@pytest.mark.slow
@each_kind(cases=PENALTIES)
@given(data=st.data())
def test_no_entry_moves_further(cases: list[Case], data: st.DataObject) -> None:
    for case, w, limit in draw(data, cases, positive_steps):
        target = data.draw(weights(case.shape))
        for flavour in each_flavour():
            arrays = flavour.array(w), flavour.array(target), flavour.step(limit)
            move = limited(case.penalty, *arrays) - w
            assert np.all(np.abs(move) <= limit + flavour.tolerance)
            assert np.all(move * (target - w) >= -flavour.tolerance)  # towards the target
            far = np.abs(target - w).max() + np.ones(case.shape)
            unlimited = limited(case.penalty, *arrays[:2], flavour.array(far))
            np.testing.assert_array_equal(unlimited, target)
            np.testing.assert_array_equal(limited(case.penalty, *arrays[:2], np.inf), target)


@pytest.mark.slow
@each_kind(cases=GROUPED)
@given(data=st.data())
def test_groups_keep_their_direction(cases: list[Case], data: st.DataObject) -> None:
    for case, w, limit in draw(data, cases, positive_steps):
        target = data.draw(weights(case.shape))
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
            flavour.check_close(limited(penalty, *arrays) - w, expected)


def test_a_term_of_strength_zero_ties_nothing() -> None:
    w, target = np.zeros((4, 4)), np.diag([1.0, 2.0, 3.0, 0.1]) + 0.1
    for penalty in each([L1(1) + GroupLasso(0), GroupLasso(0, INDEX_LISTS) + L1(1)]):
        np.testing.assert_array_equal(limited(penalty, w, target, 0.5), np.minimum(target, 0.5))


def test_complex_numbers_keep_their_direction() -> None:
    for library, kind in each(product(["numpy", "torch"], ["complex64", "complex128"])):
        flavour = Flavour(library, kind)
        w, target = flavour.array([[1.0, 1j]]), flavour.array([[1 + 3j, 0.5j]])
        flavour.check_close(limited(L1(1), w, target, 1.0), [[1 + 1j, 0.5j]])
        flavour.check_close(limited(GroupLasso(1), w, target, 1.0), [[1 + 1j, 1j - 0.5j / 3]])


def test_nothing_to_limit() -> None:
    for penalty, shape in each(product([L1(1), GroupLasso(1)], [(0, 3), (3, 0), (0,)])):
        assert limited(penalty, np.ones(shape), np.zeros(shape), 0.5).shape == shape


@pytest.mark.slow
@each_kind(lambda case: case.penalty.traits.is_by_row and case.takes_metric)
@given(data=st.data())
def test_row_by_row_is_the_same(cases: list[Case], data: st.DataObject) -> None:
    pieces = [slice(0, 1), slice(1, 3), slice(3, None)]
    for case, w, step in draw(data, cases):
        if len(w) < 4:
            continue  # it has fewer rows than there are pieces
        steps_of = np.broadcast_to(step, case.shape)
        value = sum(case.penalty.value(w[rows]) for rows in pieces)
        np.testing.assert_allclose(value, case.penalty.value(w), rtol=1e-10)
        proxes = [case.penalty.prox(w[rows], steps_of[rows]) for rows in pieces]
        np.testing.assert_allclose(np.concatenate(proxes), case.penalty.prox(w, step), atol=1e-10)


def test_who_is_by_row() -> None:
    by_row = [L1(1), GroupLasso(1), GroupLasso(1, 0), GroupLasso(1, (0, 1)), L1(1) + GroupLasso(1)]
    tied = [GroupLasso(1, "in"), GroupLasso(1, 1), GroupLasso(1, "2x2"), GroupLasso(1, [[0, 1]])]
    assert all(penalty.traits.is_by_row for penalty in by_row)
    assert not any(penalty.traits.is_by_row for penalty in [*tied, L1(1) + tied[0]])


@pytest.mark.parametrize("penalty", [Simplex(0.8), L1Ball(0.8)], ids=str)
def test_a_projection_that_no_limit_holds_back_keeps_its_zeros(penalty: Penalty) -> None:
    """To project it again would lift zeros by what rounding took from the sum."""
    random = np.random.default_rng(0)
    for _ in range(50):
        target = penalty.prox(random.standard_normal(10), 1.0)
        kept = limited(penalty, np.zeros(10), target, np.full(10, 2.0))
        assert (target == 0).any()
        assert ((kept == 0) == (target == 0)).all()
