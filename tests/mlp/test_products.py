"""Products of small matrices against NumPy's, and elementary functions against math's."""

import math
from functools import cache

import numpy as np
import pytest

from shrinkage.kernels.intrinsics import memory
from shrinkage.kernels.jit import compile_job
from shrinkage.mlp import elementary
from shrinkage.mlp.products import multiply, pad

WHOLE = np.empty(0, np.int64)
GUARD = 64  # numbers on both sides of C, which stay as they are


def compile_multiply(like):
    def run(address):
        job = memory(address, 11, WHOLE)
        sizes = job[7], job[8], job[9]
        multiply(
            job[0], (job[1], job[2]), job[3], job[4], job[5], job[6], sizes, job[10] != 0, like
        )

    return compile_job(run, "product", str(like.dtype))


@cache
def compile_functions(dtype):
    """All in one loop, which is compiled in the time of one of them."""
    like = np.empty(0, dtype)

    def run(address):
        job = memory(address, 5, WHOLE)
        x = memory(job[0], job[4], like)
        exponentials, logistics = memory(job[1], job[4], like), memory(job[2], job[4], like)
        tangents = memory(job[3], job[4], like)
        for i in range(x.size):
            exponentials[i] = elementary.exponential(x[i])
            logistics[i] = elementary.logistic(x[i])
            tangents[i] = elementary.hyperbolic_tangent(x[i])

    return compile_job(run, "elementary", str(like.dtype))


def evaluate(x):
    """Their values, one function after the other."""
    values = np.empty((3, len(x)), x.dtype)
    job = np.array([x.ctypes.data, *(row.ctypes.data for row in values), len(x)])
    compile_functions(x.dtype.type)(job.ctypes.data)
    return values


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_any_shape_are_numpys(dtype):
    rng = np.random.default_rng(0)
    like = np.empty(0, dtype)
    run = compile_multiply(like)
    for rows, columns, terms in [(1, 1, 1), (7, 10, 3), (13, 17, 9), (64, 30, 2), (20, 64, 65)]:
        width = int(pad.py_func(columns, like)) if hasattr(pad, "py_func") else pad(columns, like)
        for is_turned in (False, True):
            A = rng.normal(size=(terms, rows) if is_turned else (rows, terms)).astype(dtype)
            B = rng.normal(size=(terms, width)).astype(dtype)
            for accumulate in (0, 1):
                memory_of_c = np.full(rows * width + 2 * GUARD, 7.0, dtype)
                C = memory_of_c[GUARD:-GUARD].reshape(rows, width)
                strides = (1, rows) if is_turned else (terms, 1)
                job = [A.ctypes.data, *strides, B.ctypes.data, width, C.ctypes.data, width]
                job = np.array([*job, rows, width, terms, accumulate])
                run(job.ctypes.data)
                expected = (A.T if is_turned else A).astype(float) @ B + 7.0 * accumulate
                error = 8 * terms * np.finfo(dtype).eps
                np.testing.assert_allclose(C, expected, rtol=error, atol=10 * error)
                assert (memory_of_c[:GUARD] == 7.0).all()
                assert (memory_of_c[-GUARD:] == 7.0).all()


@pytest.mark.quick_where(dtype=[np.float32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_are_right_to_a_few_units_in_the_last_place(dtype):
    x = np.concatenate([np.linspace(-40.0, 40.0, 2001), np.logspace(-6, 0, 50)]).astype(dtype)
    exact = math.exp, lambda x: 1.0 / (1.0 + math.exp(-x)), math.tanh
    for values, function in zip(evaluate(x), exact, strict=True):
        expected = np.array([function(float(value)) for value in x])
        np.testing.assert_allclose(values, expected, rtol=6 * np.finfo(dtype).eps)


def test_what_is_not_finite_stays_visible():
    x = np.array([np.nan, 1e4, -1e4, np.inf, -np.inf], np.float32)
    out = evaluate(x)[0]
    assert np.isnan(out[[0, 3, 4]]).all()
    assert out[1] > 1e37
    assert 0 <= out[2] < 1e-37
