"""The four kinds of array that every law holds for, and weights and steps to try it on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@dataclass(frozen=True)
class Flavour:
    """One library and one type of number."""

    library: str
    dtype: str

    @property
    def tolerance(self) -> float:
        return 1e-10 if self.dtype in {"float64", "complex128"} else 1e-5

    def array(self, values: Any) -> Any:
        """A new array of this flavour."""
        values = np.array(values)
        if self.library == "torch":
            return torch.tensor(values).to(getattr(torch, self.dtype))
        return values.astype(self.dtype)

    def step(self, step: Any) -> Any:
        """A step for an array of this flavour: a number stays one."""
        return step if isinstance(step, float) else self.array(step)

    def check_close(self, result: Any, expected: Any) -> None:
        """Assert that two arrays agree, within the tolerance of this flavour."""
        np.testing.assert_allclose(
            plain(result), plain(expected), rtol=self.tolerance, atol=self.tolerance
        )

    def __str__(self) -> str:
        return f"{self.library}-{self.dtype}"


FLAVOURS = [Flavour(library, d) for library in ("numpy", "torch") for d in ("float32", "float64")]


def plain(a: Any) -> np.ndarray:
    """The numbers of any array in NumPy's widest type."""
    if isinstance(a, torch.Tensor):
        a = a.detach().to(torch.complex128 if a.is_complex() else torch.float64).numpy()
    return np.asarray(a, dtype=np.complex128 if np.iscomplexobj(a) else np.float64)


def each_flavour() -> Iterator[Flavour]:
    """Every flavour, named beside a failing example."""
    for flavour in FLAVOURS:
        note(str(flavour))
        yield flavour


def weights(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Arrays with zeros of both signs; every number is the same in float32 and float64.

    None is next to nothing: extremes have tests of their own.
    """
    drawn = arrays(np.float64, shape, elements=st.floats(-4, 4, width=32))
    return drawn.map(lambda w: np.where(np.abs(w) > 1e-5, w, 0.0 * w))


def away_from_kinks(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Arrays without a zero near."""
    return weights(shape).map(lambda w: np.copysign(np.maximum(np.abs(w), 0.125), w))


def steps(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """A number, or a number for each entry, with zeros among them."""
    step = st.floats(0, 2, width=32).map(lambda number: number if number > 2**-10 else 0.0)
    drawn = arrays(np.float64, shape, elements=st.floats(0, 2, width=32))
    return step | drawn.map(lambda array: np.where(array > 2**-10, array, 0.0))


def positive_steps(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """As `steps`, without zeros."""

    def positive(step: Any) -> Any:
        return max(step, 2**-10) if isinstance(step, float) else np.maximum(step, 2**-10)

    return steps(shape).map(positive)
