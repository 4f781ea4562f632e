"""Products of small matrices against NumPy's, and elementary functions against math's."""

import math

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


def compile_function(function, like):
    def run(address):
        job = memory(address, 3, WHOLE)
        x, out = memory(job[0], job[2], like), memory(job[1], job[2], like)
        for i in range(x.size):
            out[i] = function(x[i])

    return compile_job(run, function.__name__, str(like.dtype))


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (elementary.exponential, math.exp),
        (elementary.logistic, lambda x: 1.0 / (1.0 + math.exp(-x))),
        (elementary.hyperbolic_tangent, math.tanh),
    ],
)
def test_elementary_functions_are_right_to_a_few_units_in_the_last_place(dtype, function, exact):
    x = np.concatenate([np.linspace(-40.0, 40.0, 2001), np.logspace(-6, 0, 50)]).astype(dtype)
    out = np.empty_like(x)
    job = np.array([x.ctypes.data, out.ctypes.data, len(x)])
    compile_function(function, np.empty(0, dtype))(job.ctypes.data)
    expected = np.array([exact(float(value)) for value in x])
    np.testing.assert_allclose(out, expected, rtol=6 * np.finfo(dtype).eps)


def test_what_is_not_finite_stays_visible():
    x = np.array([np.nan, 1e4, -1e4, np.inf, -np.inf], np.float32)
    out = np.empty_like(x)
    job = np.array([x.ctypes.data, out.ctypes.data, len(x)])
    compile_function(elementary.exponential, np.empty(0, np.float32))(job.ctypes.data)
    assert np.isnan(out[[0, 3, 4]]).all()
    assert out[1] > 1e37
    assert 0 <= out[2] < 1e-37
