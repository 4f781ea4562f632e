"""The examples do what they say, at a small size."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_smaller_cnn_becomes_smaller_and_computes_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = runpy.run_path(str(EXAMPLES / "smaller_cnn.py"))["main"]
    (dense, sparse, small), report = main(width=16, epochs=4)
    assert [layer.units_after for layer in report.layers] == [4, 8, 16, 10]
    assert report.parameters.ratio > 5
    assert report.multiplications.ratio > 5
    assert report.difference <= 1e-10
    assert small == sparse
    assert small > dense - 0.1
    assert dense > 0.8
    assert f"{dense:.1%} dense" in capsys.readouterr().out
