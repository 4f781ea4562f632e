"""Penalties of one's own: what the docstring of `Penalty` says is so."""

from typing import Any

import numpy as np
import pytest
import torch

from own import GradientAlone, ProxAlone, TowardOne, UnitNorm
from shrinkage import L1, L2, Penalty, Toward, Weighted, to_text


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_value_gradient_and_prox(make: Any) -> None:
    penalty, w = TowardOne(0.5), make([[1.0, 3.0]])
    assert float(penalty(w)) == 2.0  # 0.5·(0 + 4)
    assert np.asarray(penalty.gradient(w)).tolist() == [[0.0, 2.0]]
    assert np.asarray(penalty.prox(w, 1.0)).tolist() == [[1.0, 2.0]]  # (3 + 1)/2
    steps = make([[1.0, 3.0]])
    assert np.asarray(penalty.prox(w, steps)).tolist() == [[1.0, 1.5]]  # (3 + 3)/4


def test_in_sums_and_around() -> None:
    w = np.array([3.0])
    # Of w² + ½(w − 1)²: w/(1 + 2) = 1, then its own prox at step 1/3: (1 + 1/3)/(1 + 1/3) = 1.
    assert (L2(1.0) + TowardOne(0.5)).prox(w, 1.0).tolist() == [1.0]
    assert Toward(np.array([2.0]), TowardOne(0.5)).prox(w, 1.0).tolist() == [3.0]  # 2 + 1
    assert Weighted(np.array([3.0]), TowardOne(0.5)).prox(w, 1.0).tolist() == [1.5]
    with pytest.raises(ValueError, match="has no prox in closed form"):
        (L1(1.0) + TowardOne(0.5)).prox(w, 1.0)


def test_what_it_does_not_write_is_refused_with_the_reason() -> None:
    w = np.ones(3)
    with pytest.raises(ValueError, match='has no prox, as it defines no _prox: use how="coupled"'):
        GradientAlone(1.0).prox(w, 1.0)
    with pytest.raises(ValueError, match='has no gradient, as it defines no _gradient: use how="p'):
        ProxAlone(1.0).gradient(w)
    with pytest.raises(ValueError, match='is a constraint and has no gradient: use how="proximal"'):
        UnitNorm().gradient(np.ones((2, 2)))


def test_it_is_a_dataclass() -> None:
    class Plain(Penalty):
        def __init__(self, lam: float) -> None:
            self.lam = lam

    with pytest.raises(TypeError, match=r"Plain must be a frozen dataclass: write @dataclass\(fro"):
        Plain(1.0)


def test_how_it_reads() -> None:
    assert repr(TowardOne(0.5)) == "TowardOne(lam=0.5)"  # the dataclass' own
    assert (TowardOne(0.5) + L1(1.0)).formula == "TowardOne(w) + 1·Σ|w|"
    with pytest.raises(ValueError, match="has no text form: it is not of this library"):
        to_text(TowardOne(0.5))


def test_a_name_of_the_library_does_not_make_it_the_librarys() -> None:
    class Another(TowardOne):
        name = "l1"

    with pytest.raises(ValueError, match="has no text form"):
        to_text(Another(0.5))


def test_a_number_that_the_type_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lam=1e\+39 is beyond what float32 holds"):
        TowardOne(1e39)(np.ones(2, np.float32))
