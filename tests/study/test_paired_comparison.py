"""The corrected resampled t-test, by numbers worked out by hand."""

import math

import pytest
from scipy.special import stdtr

from shrinkage.study.paired_comparison import compare_paired, find_probability_within

SPLIT = {"train": 200, "validation": 100}


def test_mean_and_error_of_five_differences():
    # d = 1, 2, 3, 4, 5 hundredths: mean 3, s² = 10/4 = 2.5; (1/5 + 1/2)·2.5 = 1.75
    found = compare_paired([0.91, 0.92, 0.93, 0.94, 0.95], [0.9] * 5, **SPLIT)
    assert found.mean == pytest.approx(0.03)
    assert found.error == pytest.approx(0.01 * math.sqrt(1.75))
    # t = 3/√1.75 = 2.268 < t(4; 0.975) = 2.776, though a plain paired t-test has 4.243
    assert not found.is_clear


@pytest.mark.parametrize(
    ("scale", "clear"),
    # t = 3/√(0.7·2.5·scale²) on 4 degrees of freedom, whose 97.5 % point is 2.776 (tables)
    [(0.81, True), (0.82, False)],
)
def test_the_limit_is_students(scale, clear):
    differences = [3 + scale * (k - 3) for k in range(1, 6)]
    assert 3 / math.sqrt(1.75 * 0.816925**2) == pytest.approx(2.776, abs=1e-3)
    assert compare_paired(differences, [0.0] * 5, **SPLIT).is_clear is clear
    assert compare_paired([-d for d in differences], [0.0] * 5, **SPLIT).is_clear is clear


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 49, 200])
def test_the_probability_is_students(degrees):
    for t in (0.0, 0.3, 1.0, 2.776, 12.706, 1e3):
        expected = 1 - 2 * stdtr(degrees, -t)
        found = find_probability_within(2 * t, 2.0, degrees)
        assert found == pytest.approx(expected, abs=1e-12)
    assert find_probability_within(1.0, 0.0, degrees) == pytest.approx(1.0, abs=1e-12)
    assert find_probability_within(0.0, 0.0, degrees) == 0.0


def test_one_seed_is_never_clear():
    found = compare_paired([0.9], [0.1], **SPLIT)
    assert found.mean == pytest.approx(0.8)
    assert math.isnan(found.error)
    assert not found.is_clear


def test_equal_differences_vary_by_a_row():
    """With two seeds t(1; 0.975) = 12.71, and the error is √(1/2 + 1/2)·step."""
    assert not compare_paired([0.92] * 2, [0.80] * 2, **SPLIT, step=0.01).is_clear
    assert compare_paired([0.93] * 2, [0.80] * 2, **SPLIT, step=0.01).is_clear
    assert not compare_paired([0.9, 0.8], [0.9, 0.8], **SPLIT, step=0.01).is_clear
