"""Arrays of every kind: the right result, or a sentence that names the argument and its kind."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from penalties.laws import each
from shrinkage import (
    L1,
    L2,
    Box,
    ElasticNet,
    GroupLasso,
    L1Ball,
    MaxNorm,
    NuclearNorm,
    Penalty,
    Toward,
    Weighted,
)

W = np.array([[1.5, -2.0], [0.25, 0.0]])
SOME = [L1(0.5), L2(0.5), ElasticNet(0.5), GroupLasso(0.5), Box(-1, 1), MaxNorm(1.0), L1Ball(1.0)]
SOME += [Weighted(np.ones((2, 2)), L1(0.5)), Toward(np.ones((2, 2)), L1(0.5)), NuclearNorm(0.5)]
every = pytest.mark.parametrize("penalty", SOME, ids=str)


def results(penalty: Penalty, w: Any) -> list[Any]:
    """Value, prox, and the gradient where there is one."""
    smooth = penalty.why_not("gradient") is None
    return [penalty.value(w), penalty.prox(w, 0.5), *([penalty.gradient(w)] if smooth else [])]


NO_NUMBERS = {
    "objects": (W.astype(object), "got object"),
    "text": (np.array([["a"]]), "got <U1"),
    "bytes": (np.array([[b"a"]]), r"got \|S1"),
    "dates": (np.array([["2020-01-01"]], "datetime64[D]"), r"got datetime64\[D\]"),
    "durations": (np.array([[1]], "timedelta64[s]"), r"got timedelta64\[s\]"),
    "records": (np.zeros((2, 2), [("a", float)]), r"got \[\('a'"),
    "8 bits": (torch.tensor(W).to(torch.float8_e4m3fn), "got float8_e4m3fn"),
    "sparse": (torch.tensor(W).to_sparse(), r"w must be dense, got torch.sparse_coo; write w.to_d"),
    "a list": (W.tolist(), r"got list; np.asarray\(w\) makes one"),
    "a Series": (pd.Series(W[0]), r"got Series; np.asarray\(w\) makes one"),
    "a number": (1.0, "w must be an array"),
    "nothing": (None, "got NoneType$"),
}


@every
def test_what_holds_no_numbers_is_a_type_error(penalty: Penalty) -> None:
    for w, said in each(NO_NUMBERS.values()):
        for act in (penalty, penalty.gradient, lambda w: penalty.prox(w, 1.0)):
            if act == penalty.gradient and penalty.why_not("gradient"):
                continue
            with pytest.raises(TypeError, match=f"^w must.*{said}|^{said}"):
                act(w)


@every
def test_bytes_in_the_other_order(penalty: Penalty) -> None:
    for kind in each([">f8", ">f4", ">f2", ">i4"]):
        w = W.astype(kind)
        native = w.astype(w.dtype.newbyteorder("="))
        for found, expected in zip(results(penalty, w), results(penalty, native), strict=True):
            np.testing.assert_array_equal(found, expected)
        if kind != ">i4":
            assert penalty.prox(w, 0.5).dtype == w.dtype
        if kind != ">i4" and penalty.why_not("metric") is None:
            steps = [np.ones_like(array) for array in (w, native)]
            np.testing.assert_array_equal(penalty.prox(w, steps[0]), penalty.prox(native, steps[1]))


@every
def test_memory_of_every_form(penalty: Penalty) -> None:
    fixed = W.copy()
    fixed.flags.writeable = False
    forms = [np.asfortranarray(W), np.repeat(W, 2, 0)[::2], W[::-1, ::-1][::-1, ::-1], fixed]
    for w in [*forms, np.ma.array(W), np.ma.array(W, mask=np.zeros_like(W, bool))]:
        for found, expected in zip(results(penalty, w), results(penalty, W), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-15)
            assert not isinstance(found, np.ma.MaskedArray)


def test_masked_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="w must have no masked entries: fill or remove them"):
        L1(1.0).value(np.ma.array(W, mask=W > 0))


def test_a_wide_float_stays_one() -> None:
    w = np.array([1.0 + 2.0**-60], np.longdouble)
    assert L1(0.5).prox(w, 1.0)[0] == w[0] - np.longdouble(0.5)
    if np.finfo(np.longdouble).bits > 64:
        with pytest.raises(
            TypeError, match=r"needs singular values, which w=.* has no routine for"
        ):
            NuclearNorm(0.5).value(np.ones((2, 2), np.longdouble))


def test_steps_references_and_weights_too() -> None:
    with pytest.raises(TypeError, match="step must hold real or complex numbers"):
        L1(1.0).prox(W, W.astype(object))
    with pytest.raises(TypeError, match="reference must hold real or complex numbers"):
        Toward(np.array(["a"]), L1(1.0))
    with pytest.raises(TypeError, match="reference must be real as w is, got complex128"):
        Toward(W * 1j, L1(1.0))(W)
    with pytest.raises(TypeError, match="weights must hold real or complex numbers"):
        Weighted(W.astype(object), L1(1.0))
