"""What losses are at the edge of what numbers can hold, and what they take for targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shrinkage.scratch import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    MeanAbsoluteError,
    MeanSquaredError,
    Sigmoid,
    Softmax,
    SoftmaxCategoricalCrossEntropy,
)

SCORES = np.random.default_rng(0).standard_normal((9, 4))
CLASS = np.random.default_rng(1).integers(0, 4, 9)


@pytest.mark.parametrize("kind", [CategoricalCrossEntropy, SoftmaxCategoricalCrossEntropy])
@pytest.mark.parametrize(
    "y",
    [
        CLASS.tolist(),
        CLASS.astype(np.uint8),
        CLASS.astype(float),
        np.eye(4)[CLASS],
        np.eye(4, dtype=bool)[CLASS],
        np.eye(4, dtype=int)[CLASS].tolist(),
    ],
)
def test_a_class_is_a_class_however_it_is_written(kind: type, y: object) -> None:
    def both(targets: object) -> tuple[float, np.ndarray]:
        softmax, loss = Softmax(), kind()
        softmax.forward(SCORES)
        of = SCORES if kind is SoftmaxCategoricalCrossEntropy else softmax.output
        value = loss.forward(of, targets)
        loss.backward(softmax.output, targets)
        return value, loss.dinputs

    (value, dinputs), (expected, derivatives) = both(y), both(CLASS)
    assert value == expected
    assert (dinputs == derivatives).all()


def test_softmax_and_cross_entropy_are_their_combination() -> None:
    softmax, apart, combined = (
        Softmax(),
        CategoricalCrossEntropy(),
        SoftmaxCategoricalCrossEntropy(),
    )
    softmax.forward(SCORES)
    assert combined.forward(SCORES, CLASS) == pytest.approx(
        apart.forward(softmax.output, CLASS), rel=1e-14
    )
    assert (combined.output == softmax.output).all()
    apart.backward(softmax.output, CLASS)
    softmax.backward(apart.dinputs)
    combined.backward(combined.output, CLASS)
    np.testing.assert_allclose(softmax.dinputs, combined.dinputs, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [30.0, 1000.0, 1e30])
def test_scores_of_any_size(size: float, dtype: str) -> None:
    scores = np.array([[size, 0, -size], [size, 0, -size]], dtype)
    loss, y = SoftmaxCategoricalCrossEntropy(), np.array([0, 2])
    value = loss.forward(scores, y)
    loss.backward(loss.output, y)
    inputs = torch.tensor(scores, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(inputs, torch.tensor(y))
    theirs.backward()
    assert value == pytest.approx(theirs.item(), rel=1e-6)
    np.testing.assert_allclose(loss.dinputs, inputs.grad.numpy(), rtol=1e-6, atol=1e-12)
    assert loss.dinputs.dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [40.0, 1000.0])
def test_who_is_surely_wrong_can_still_learn(size: float, dtype: str) -> None:
    """Rounded probabilities of 0 and 1 leave neither an infinite loss nor a derivative of 0."""
    scores, wrong = np.array([[size], [-size]], dtype), np.array([0, 1])
    sigmoid, loss = Sigmoid(), BinaryCrossEntropy()
    sigmoid.forward(scores)
    assert 10 < loss.forward(sigmoid.output, wrong) <= size
    loss.backward(sigmoid.output, wrong)
    sigmoid.backward(loss.dinputs)
    np.testing.assert_allclose(sigmoid.dinputs, [[0.5], [-0.5]], rtol=1e-6)

    softmax, categorical = Softmax(), CategoricalCrossEntropy()
    softmax.forward(np.hstack([scores, -scores]))
    assert 10 < categorical.forward(softmax.output, wrong[::-1]) <= 2 * size
    categorical.backward(softmax.output, wrong[::-1])
    softmax.backward(categorical.dinputs)
    expected = [[0.5, -0.5], [-0.5, 0.5]]
    np.testing.assert_allclose(softmax.dinputs, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [CategoricalCrossEntropy, BinaryCrossEntropy])
def test_probabilities_of_exactly_0_and_1_are_taken(kind: type) -> None:
    loss, p = kind(), np.array([[0.0, 1.0]])
    right, wrong = np.array([[0, 1]]), np.array([[1, 0]])
    assert loss.forward(p, right) == pytest.approx(0.0, abs=1e-15)
    assert 30 < loss.forward(p, wrong) < np.inf
    loss.backward(p, wrong)
    assert np.isfinite(loss.dinputs).all()
    assert loss.dinputs[0, 0] < 0


def test_numbers_may_be_flat_for_one_output() -> None:
    output, y = SCORES[:, :1], np.arange(9.0)
    for loss in (MeanSquaredError(), MeanAbsoluteError()):
        assert loss.forward(output, y) == loss.forward(output, y[:, None])
    binary, p = BinaryCrossEntropy(), np.full((9, 1), 0.3)
    assert binary.forward(p, y > 4) == binary.forward(p, (y > 4)[:, None])


def test_errors_by_hand() -> None:
    output, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 4.0]])
    assert MeanSquaredError().forward(output, y) == (0 + 4 + 9 + 0) / 4
    absolute = MeanAbsoluteError()
    assert absolute.forward(output, y) == (0 + 2 + 3 + 0) / 4
    absolute.backward(output, y)
    assert absolute.dinputs.tolist() == [[0, 0.25], [0.25, 0]]  # 0 where they are equal


def test_the_score_of_numbers_is_the_share_of_variance() -> None:
    y = np.array([[1.0], [2.0], [6.0]])
    loss = MeanSquaredError()
    of = lambda output: loss.score_of(loss.score_sum(output, y), y)  # noqa: E731
    assert of(y) == 1.0
    assert of(np.full_like(y, 3.0)) == 0.0  # the mean of y
    assert of(np.array([[1.0], [2.0], [3.0]])) == pytest.approx(1 - 9 / 14)
    same = np.full((90, 1), 0.1)  # whose mean is another number than 0.1
    assert loss.score_of(loss.score_sum(same + 1, same), same) == 0.0  # nothing varies


def test_the_score_of_large_numbers_in_single_precision() -> None:
    y = (1000 + np.random.default_rng(0).standard_normal((500_000, 2))).astype(np.float32)
    output, loss = y + np.float32(0.3), MeanSquaredError()
    found = loss.score_of(loss.score_sum(output, y), y)
    assert found == pytest.approx(1 - 0.09, abs=0.002)


def test_near_scores_in_single_precision() -> None:
    scores = np.array([[1000.0, 995.0]], np.float32)
    value = SoftmaxCategoricalCrossEntropy().forward(scores, [0])
    assert value == pytest.approx(np.log1p(np.exp(-5)), rel=1e-5)


@pytest.mark.parametrize("layer", [Sigmoid(), Softmax(), Dense(1, 1, rng=0), Dropout(0.5, rng=0)])
def test_single_precision_stays(layer: object) -> None:
    if isinstance(layer, Dense):
        layer = Dense(1, 1, rng=0, dtype="float32")
    layer.forward(np.array([[3.0], [-200.0]], np.float32))
    layer.backward(np.ones((2, 1)))
    assert layer.output.dtype == layer.dinputs.dtype == np.float32


def test_dropout_keeps_the_mean_and_drops_nothing_outside_training() -> None:
    layer, ones = Dropout(0.25, rng=0), np.ones((4000, 5))
    layer.forward(ones)
    assert layer.output.mean() == pytest.approx(1.0, abs=0.02)
    assert np.mean(layer.output == 0) == pytest.approx(0.25, abs=0.01)
    first = layer.output
    layer.forward(ones)
    assert (layer.output != first).any()
    layer.forward(ones, training=False)
    assert (layer.output == ones).all()
    again = Dropout(0.25, rng=0)
    again.forward(ones)
    assert (again.output == first).all()
