"""The figures that people compute by hand, and the traps they fall into."""

import numpy as np
import pytest

from flavours import FLAVOURS, Flavour, plain
from penalties.laws import each
from shrinkage import L1, L2, GroupLasso

TWOS = [[2, 2, 2, 2]]  # a linear layer 4 → 1 without bias

BY_HAND = [
    (L1(0.5), [1, -2, 3, -4], 5.0),
    (L1(1), [1, -2, 3, -4], 10.0),
    (L2(0.5), [0.5, -1, 1.5, -2], 3.75),
    (L2(1), [0.5, -1, 1.5, -2], 7.5),
    (L1(1), TWOS, 8.0),
    (L1(0.5), TWOS, 4.0),
    (L2(1), TWOS, 16.0),
    (L2(0.25), TWOS, 4.0),
]

every_flavour = pytest.mark.parametrize("flavour", FLAVOURS, ids=str)


def test_by_hand() -> None:
    for penalty, w, expected in each(BY_HAND):
        for flavour in FLAVOURS:
            assert float(penalty(flavour.array(w))) == expected


def test_integers_by_hand() -> None:
    assert L1(0.5)(np.array([1, -2, 3, -4])) == 5.0


@every_flavour
def test_the_sum_of_squares_is_not_the_norm(flavour: Flavour) -> None:
    w = flavour.array([[3.0, 4.0]])
    assert float(L2(1)(w)) == 25.0
    assert float(GroupLasso(1, "out", weight="none")(w)) == 5.0  # the norm has its own name
    np.testing.assert_array_equal(plain(L2(1).gradient(w)), [[6.0, 8.0]])
    flavour.check_close(GroupLasso(1, weight="none").gradient(w), [[0.6, 0.8]])


@every_flavour
def test_l2_has_no_half_and_weight_decay_has(flavour: Flavour) -> None:
    w = flavour.array([1.0, -2.0])
    assert float(L2(0.9)(w)) == pytest.approx(4.5)
    assert float(L2.from_weight_decay(0.9)(w)) == pytest.approx(2.25)


@every_flavour
def test_l1_leaves_a_zero_weight_alone(flavour: Flavour) -> None:
    """Some write +1 for the sign of 0; wherever a weight is not 0 the two agree."""
    w = np.array([1.0, 0.0, -3.0, -0.0])
    gradient = plain(L1(0.5).gradient(flavour.array(w)))
    np.testing.assert_array_equal(gradient, [0.5, 0.0, -0.5, 0.0])
    np.testing.assert_array_equal(gradient[w != 0], 0.5 * np.where(w >= 0, 1, -1)[w != 0])
