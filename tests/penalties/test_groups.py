"""Which entries are a group, and what is counted of them."""

import copy
import pickle
from collections import Counter
from typing import Any

import array_api_compat.torch
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from cases import GROUPED, Case
from flavours import FLAVOURS, Flavour, each_flavour, plain
from penalties.laws import draw, each, each_kind
from shrinkage import L1, L2, GroupLasso, SparseGroupLasso
from shrinkage.penalties import layout
from shrinkage.penalties.layout import Layout, checked_groups
from shrinkage.penalties.rebuild import with_groups


@each_kind(cases=GROUPED)
@given(data=st.data())
def test_zero_groups_are_counted(cases: list[Case], data: st.DataObject) -> None:
    for case, w, _ in draw(data, cases):
        penalty: Any = case.penalty
        groups = oracles.members_of_groups(penalty.groups, case.shape)
        zero = sum(all(w[index] == 0 for index in members) for members in groups)
        for flavour in each_flavour():
            assert penalty.group_zeros(flavour.array(w)) == (zero, len(groups))


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_groups_of_empty_and_whole_arrays(library: str) -> None:
    make = Flavour(library, "int32").array
    assert GroupLasso(1).group_zeros(make(np.zeros((0, 2)))) == (0, 0)
    assert GroupLasso(1, "in").group_zeros(make(np.zeros((0, 2)))) == (2, 2)
    assert GroupLasso(1, (0, 1)).group_zeros(make([[0, 1], [2, 0]])) == (2, 4)
    assert GroupLasso(1, [[0], [3, 1]]).group_zeros(make([[0, 1], [2, 0]])) == (1, 2)
    assert GroupLasso(1).group_zeros(make(0)) == (1, 1)


def test_entries_of_no_group_are_free() -> None:
    penalty, free = GroupLasso(0.5, [[4, 1]]), [True, False, True, True, False, True]
    for flavour in each(FLAVOURS):
        w = flavour.array([[1.0, -2.0, 3.0], [-0.0, 5.0, 6.0]])
        for step in (0.5, flavour.array(np.broadcast_to([[2.0], [3.0]], (2, 3)))):
            moved = plain(penalty.prox(w, step)).ravel()
            np.testing.assert_array_equal(moved[free], plain(w).ravel()[free])
        assert not plain(penalty.gradient(w)).ravel()[free].any()


SAME_GROUPS = [
    ("out", 0),
    ("out", (0,)),
    ("out", np.int64(0)),
    ("in", 1),
    ("in", -1),
    ((0, 1), (1, 0)),
    ((0, 1), "1x1"),
    ("2x6", Layout((2, 2, 6), (0,))),
    ("4x6", [range(24)]),
    ("out", np.arange(24).reshape(4, 6)),
    (Layout((2, 2, 6), (1,)), [[*range(6), *range(12, 18)], [*range(6, 12), *range(18, 24)]]),
]


def test_the_same_groups_in_other_words() -> None:
    random = np.random.default_rng(0)
    numbers, sizes = random.normal(size=(4, 6)), random.random((4, 6))
    for flavour in FLAVOURS:
        w, steps = flavour.array(numbers), flavour.array(sizes)
        for one, other in each(SAME_GROUPS):
            a, b = GroupLasso(0.5, one), GroupLasso(0.5, other)
            flavour.check_close(a.value(w), b.value(w))
            flavour.check_close(a.gradient(w), b.gradient(w))
            flavour.check_close(a.prox(w, 0.5), b.prox(w, 0.5))
            flavour.check_close(a.prox(w, steps), b.prox(w, steps))


def test_with_groups_asks_only_for_out_and_in() -> None:
    layouts = {"out": Layout((2, 2, 6), (1,)), "in": Layout(None, (0,))}
    penalty = L1(1) + L2(1) + GroupLasso(2) + GroupLasso(3, "in", "none") + GroupLasso(4, 0)
    expected = L1(1) + L2(1) + GroupLasso(2, layouts["out"])
    expected += GroupLasso(3, layouts["in"], "none") + GroupLasso(4, 0)
    assert with_groups(penalty, layouts.__getitem__) == expected


def test_index_lists_serve_any_device() -> None:
    """On torch's "meta" device arrays have no numbers: nothing may pass through NumPy."""
    w = torch.ones(4, 6, device="meta")
    penalty = GroupLasso(0.5, [[0, 7], [3]])
    for result in (penalty.value(w), penalty.gradient(w), penalty.prox(w, 0.5)):
        assert result.device.type == "meta"


LISTS = [[0, 3], [1, 4, 7], [2]]


def test_index_lists_are_converted_once_for_all_that_a_prox_lays_out() -> None:
    calls: Counter[str] = Counter()

    class Counting:
        def __getattr__(self, name: str) -> Any:
            calls[name] += 1
            return getattr(array_api_compat.torch, name)

    w, step = torch.linspace(-1, 1, 9), torch.linspace(0.1, 0.9, 9)
    penalty = GroupLasso(0.1, LISTS)
    assert torch.equal(penalty._prox(Counting(), w, step), penalty.prox(w, step))
    assert calls["asarray"] == 3  # which entries, how many in each group, and back


def test_index_lists_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    penalty = SparseGroupLasso(0.1, groups=LISTS)
    w = torch.linspace(-1, 1, 9)
    expected = penalty.prox(w, 0.5)
    monkeypatch.setattr(layout, "check_index_lists", None)
    assert torch.equal(penalty.prox(w, 0.5), expected)


def test_checked_index_lists_are_tuples_to_everyone() -> None:
    written = tuple(map(tuple, LISTS))
    lists = checked_groups(LISTS)
    assert (lists, hash(lists), repr(lists)) == (written, hash(written), repr(written))
    assert checked_groups(lists) is lists
    for same in (pickle.loads(pickle.dumps(lists)), copy.deepcopy(lists)):
        assert same == lists
        assert vars(same) == {}  # the hash does not travel
        assert GroupLasso(1.0, same) == GroupLasso(1.0, written) == GroupLasso(1.0, LISTS)
