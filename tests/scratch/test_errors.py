"""Bad input: a sentence that names the argument, the value and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shrinkage import L0, L1, GroupLasso, NonNegative, NuclearNorm
from shrinkage.scratch import (
    SGD,
    AdaGrad,
    Adam,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    MeanAbsoluteError,
    MeanSquaredError,
    Network,
    ReLU,
    RMSProp,
    Sigmoid,
    Softmax,
    SoftmaxCategoricalCrossEntropy,
)

NAN, INF = float("nan"), float("inf")
X = np.ones((6, 2))
P = np.full((6, 3), 1 / 3)
Refused = tuple[Callable[[], Any], type[Exception], str]


def ready(n_in: int = 2, n_out: int = 3) -> Dense:
    layer = Dense(n_in, n_out, rng=0)
    layer.forward(np.ones((6, n_in)))
    layer.backward(np.ones((6, n_out)))
    return layer


def network(**changes: Any) -> Network:
    parts: dict[str, Any] = {
        "layers": [Dense(2, 4, rng=0), ReLU(), Dense(4, 3, rng=1)],
        "loss": SoftmaxCategoricalCrossEntropy(),
        "optimizer": Adam(),
    }
    return Network(**(parts | changes))


def fit(X: Any = X, y: Any = (0, 1, 2, 0, 1, 2), **options: Any) -> None:
    network().fit(X, y, **({"epochs": 1} | options))


def low_rank() -> Dense:
    return Dense(2, 3, weight_penalty=NuclearNorm(0.1), how="proximal")


def narrow() -> Dense:
    return Dense(2, 3, dtype="float32", rng=0)


def fit_numbers(dtype: str, y: float) -> None:
    layers = [Dense(2, 1, dtype=dtype)]
    Network(layers, loss=MeanSquaredError(), optimizer=SGD()).fit(X, [y] * 6, epochs=1)


def without_weights() -> Network:
    ours = network()
    ours.dense[0].weights[:] = NAN
    return ours


def update(layer: Any, *, steps: int = 1) -> None:
    optimizer = SGD()
    optimizer.pre_update()
    for _ in range(steps):
        optimizer.update(layer)


def update_after_the_step() -> None:
    optimizer, layer = SGD(), ready()
    optimizer.pre_update()
    optimizer.update(layer)
    optimizer.post_update()
    optimizer.update(layer)


TWO_NORMS = GroupLasso(1.0) + GroupLasso(1.0, "in")  # whose sum has no prox in closed form

CONSTRUCTION: list[Refused] = [
    (lambda: Dense(0, 3), ValueError, "n_in must be at least 1, got 0"),
    (lambda: Dense(2, -3), ValueError, "n_out must be at least 1, got -3"),
    (lambda: Dense(2.5, 3), TypeError, "n_in must be a whole number, got 2.5"),
    (lambda: Dense(2, True), TypeError, "n_out must be a whole number, got True"),
    (lambda: Dense(2, 3, how="l1"), ValueError, 'how must be "coupled" or "proximal", got \'l1\''),
    (lambda: Dense(2, 3, weight_penalty=0.1), TypeError, "weight_penalty must be a penalty such"),
    (lambda: Dense(2, 3, bias_penalty="l2"), TypeError, "bias_penalty must be a penalty such as"),
    (lambda: Dense(2, 3, weight_penalty=TWO_NORMS, how="proximal"), ValueError, "weight_penalty: "),
    (lambda: Dense(2, 3, weight_penalty=L0(0.1)), ValueError, "has no gradient to step along: use"),
    (lambda: Dense(2, 3, bias_penalty=NonNegative()), ValueError, "bias_penalty: NonNegative(): w"),
    (lambda: Dense(2, 3, scale=-1.0), ValueError, "scale must be >= 0 and finite, got -1.0"),
    (lambda: Dense(2, 3, scale=NAN), ValueError, "scale must be >= 0 and finite, got nan"),
    (lambda: Dense(2, 3, dtype="int32"), ValueError, "dtype must be float64 or float32, got int32"),
    (lambda: Dense(2, 3, dtype="float16"), ValueError, "dtype must be float64 or float32"),
    (lambda: Dense(2, 3, dtype="foo"), ValueError, "dtype must be float64 or float32, got 'foo'"),
    (lambda: Dense(2, 3, rng="x"), TypeError, "rng must be a Generator, a whole number from 0 up"),
    (lambda: Dropout(0.5, rng=-1), TypeError, "rng must be a Generator, a whole number from 0 up"),
    (lambda: Dropout(1.0), ValueError, "rate must be >= 0 and below 1, got 1.0"),
    (lambda: Dropout(-0.1), ValueError, "rate must be >= 0 and below 1, got -0.1"),
    (lambda: Dropout("half"), TypeError, "rate must be a number, got 'half'"),
    (lambda: SGD(lr=-0.1), ValueError, "lr must be >= 0 and finite, got -0.1"),
    (lambda: SGD(lr=NAN), ValueError, "lr must be >= 0 and finite, got nan"),
    (lambda: Adam(lr=INF), ValueError, "lr must be >= 0 and finite, got inf"),
    (lambda: Adam(lr="fast"), TypeError, "lr must be a number, got 'fast'"),
    (lambda: Adam(decay=-1.0), ValueError, "decay must be >= 0 and finite, got -1.0"),
    (lambda: SGD(momentum=1.0), ValueError, "momentum must be >= 0 and below 1, got 1.0"),
    (lambda: SGD(nesterov=True), ValueError, "nesterov needs momentum, for example momentum=0.9"),
    (lambda: RMSProp(rho=1.5), ValueError, "rho must be >= 0 and below 1, got 1.5"),
    (lambda: AdaGrad(eps=0.0), ValueError, "eps must be > 0 and finite, got 0.0"),
    (lambda: Adam(betas=(0.9, 1.0)), ValueError, "betas[1] must be >= 0 and below 1, got 1.0"),
    (lambda: Adam(betas=0.9), TypeError, "betas must be two numbers, got 0.9"),
]

NETWORKS: list[Refused] = [
    (lambda: network(layers=[ReLU()]), ValueError, "layers must hold at least one Dense layer"),
    (lambda: network(layers=[]), ValueError, "layers must hold at least one Dense layer"),
    (lambda: network(layers=[Dense(2, 3), ReLU]), TypeError, "Layer objects, got"),
    (lambda: network(loss=MeanSquaredError), TypeError, "write MeanSquaredError()"),
    (lambda: network(optimizer="adam"), TypeError, "optimizer must be made of Optimizer objects"),
    (
        lambda: network(layers=[Dense(2, 4), ReLU(), Dense(5, 3)]),
        ValueError,
        "Dense(5, 3) takes 5 features, but 4 come out of Dense(2, 4)",
    ),
    (
        lambda: network(layers=[Dense(2, 4), Dense(4, 3, dtype="float32")]),
        ValueError,
        "layers must have one dtype, got float64 and float32",
    ),
    (lambda: network(layers=[low_rank()]), ValueError, "a step of its own, as under Adam: use SGD"),
    (lambda: network(layers=[same := Dense(2, 2), same]), ValueError, "one of them is used twice"),
    (
        lambda: network(layers=[Dense(2, 3), Softmax()]),
        ValueError,
        "leave out the last Softmax()",
    ),
    (
        lambda: network(loss=CategoricalCrossEntropy()),
        ValueError,
        "CategoricalCrossEntropy needs probabilities: end the layers with Softmax()",
    ),
    (
        lambda: network(loss=BinaryCrossEntropy()),
        ValueError,
        "BinaryCrossEntropy needs probabilities: end the layers with Sigmoid()",
    ),
]

DATA: list[Refused] = [
    (lambda: ready().forward(np.ones(2)), ValueError, "got (2,); one sample is inputs[None, :]"),
    (lambda: ready().forward(np.ones((6, 3))), ValueError, "2 features, as n_in says, got shape"),
    (lambda: ready().forward(np.ones((0, 2))), ValueError, "at least one sample, got none"),
    (lambda: fit(np.ma.masked_less(X, 2.0)), ValueError, "inputs must have no masked entries"),
    (lambda: fit(X.astype(object)), ValueError, "got object; to_numpy(float) makes them so"),
    (lambda: narrow().forward(X * 1e39), ValueError, "sample 0 is 1e+39: scale the data, or use"),
    (lambda: fit(rng="x"), TypeError, "rng must be a Generator, a whole number from 0 up"),
    (
        lambda: fit_numbers("float32", 1e300),
        ValueError,
        "y must fit into float32, but holds 1e+300",
    ),
    (lambda: fit_numbers("float64", NAN), ValueError, "y must be finite, but sample 0"),
    (lambda: fit(progress=-1), ValueError, "progress must be at least 0, got -1"),
    (lambda: fit(progress=1.5), TypeError, "progress must be a whole number, got 1.5"),
    (
        lambda: without_weights().fit(X, [0] * 6, epochs=1),
        ValueError,
        "must be finite before training, but hold nan",
    ),
    (lambda: SQUARES.regularization_loss([ready()]), TypeError, "given one by one, as in regulari"),
    (lambda: ready().forward([["a", "b"]]), ValueError, "inputs must be real numbers, got <U1"),
    (lambda: ReLU().forward(X * 1j), ValueError, "inputs must be real numbers, got complex128"),
    (lambda: ready().forward([[1, NAN]]), ValueError, "feature 1 of sample 0 is nan"),
    (lambda: Softmax().forward([[1, 2], [INF, 3]]), ValueError, "feature 0 of sample 1 is inf"),
    (lambda: Dense(2, 3).backward(P), RuntimeError, "backward needs a forward pass before it"),
    (lambda: ReLU().backward(X), RuntimeError, "backward needs a forward pass before it"),
    (lambda: Dropout(0.1).backward(X), RuntimeError, "backward needs a forward pass before it"),
    (lambda: ready().backward(X), ValueError, "the shape of the output, (6, 3), got (6, 2)"),
    (lambda: fit(np.ones((6, 3))), ValueError, "2 features, as n_in says, got shape (6, 3)"),
    (lambda: fit(np.ones((6, 2, 1))), ValueError, "must have shape (samples, features)"),
    (lambda: fit(np.where(X > 0, NAN, X)), ValueError, "feature 0 of sample 0 is nan: remove"),
    (lambda: fit(y=[0, 1, 2]), ValueError, "y must have 6 samples, as the output has, got 3"),
    (lambda: fit(epochs=0), ValueError, "epochs must be at least 1, got 0"),
    (lambda: fit(epochs=2.5), TypeError, "epochs must be a whole number, got 2.5"),
    (lambda: fit(batch_size=-1), ValueError, "batch_size must be at least 1, got -1"),
    (lambda: network().evaluate(X, [0] * 5), ValueError, "y must have 6 samples"),
    (lambda: network().predict(np.ones((2, 9))), ValueError, "2 features, as n_in says"),
    (
        lambda: Network([Dense(2, 1)], loss=MeanSquaredError(), optimizer=SGD()).predict_proba(X),
        TypeError,
        "predicts numbers: use predict",
    ),
]

BINARY, SQUARES = BinaryCrossEntropy(), MeanSquaredError()
TARGETS: list[Refused] = [
    (lambda: fit(y=[0, 1, 3, 0, 1, 2]), ValueError, "between 0 and 2 for 3 outputs, got label 3"),
    (lambda: fit(y=[0, 1, -1, 0, 1, 2]), ValueError, "between 0 and 2 for 3 outputs, got label -1"),
    (lambda: fit(y=[0, 1, 0.5, 0, 1, 2]), ValueError, "whole numbers, got 0.5"),
    (lambda: fit(y=[0, 1, NAN, 0, 1, 2]), ValueError, "the index of each class, whole numbers"),
    (lambda: fit(y=list("abcabc")), ValueError, "np.unique(y, return_inverse=True)[1] mak"),
    (
        lambda: SoftmaxCategoricalCrossEntropy().forward(np.ones((6, 1)), [0] * 6),
        ValueError,
        "for yes or no of one output there are Sigmoid() and BinaryCrossEntropy()",
    ),
    (lambda: fit(y=np.ones((6, 1))), ValueError, "got (6, 1); y.ravel() makes a column flat"),
    (lambda: fit(y=P), ValueError, "must be one-hot: one 1 in each row, and 0s"),
    (lambda: fit(y=np.ones((6, 3))), ValueError, "must be one-hot"),
    (lambda: fit(y=np.eye(6)), ValueError, "(samples,) or one-hot (samples, 3), got (6, 6)"),
    (lambda: CategoricalCrossEntropy().forward(2 * P + 1, [0] * 6), ValueError, "and 1, got 1.66"),
    (lambda: CategoricalCrossEntropy().backward(-P, [0] * 6), ValueError, "0 and 1, got -0.33"),
    (lambda: BINARY.forward(P, np.eye(3)), ValueError, "y must have 6 samples, as the output has"),
    (lambda: BINARY.forward(P[:, :1], [0, 1, 2, 0, 1, 0]), ValueError, "y must be 0 or 1 for Bin"),
    (lambda: BINARY.forward(P[:, :1], [0, 1, NAN, 0, 1, 0]), ValueError, "sample 2 has [nan]"),
    (lambda: SQUARES.forward(P, np.ones(6)), ValueError, "must have shape (samples, 3), got (6,)"),
    (lambda: SQUARES.forward(P, P * INF), ValueError, "y must be finite, but sample 0"),
    (lambda: SQUARES.backward(P, P[:2]), ValueError, "y must have 6 samples, as the output has"),
    (lambda: MeanAbsoluteError().forward(P, [["a"] * 3]), ValueError, "y must be real numbers"),
]

STEPS: list[Refused] = [
    (lambda: SGD().update(ready()), RuntimeError, "update needs pre_update() before it"),
    (update_after_the_step, RuntimeError, "update needs pre_update() before it, in each step"),
    (lambda: update(Dense(2, 3)), RuntimeError, "has no derivatives: call its backward before"),
    (lambda: update(ready(), steps=2), RuntimeError, "was already updated in this step"),
    (lambda: update(ReLU()), TypeError, "ReLU has no weights to update; only Dense layers learn"),
]


@pytest.mark.parametrize(
    "refused", [*CONSTRUCTION, *NETWORKS, *DATA, *TARGETS, *STEPS], ids=lambda refused: refused[2]
)
def test_refused_in_a_sentence(refused: Refused) -> None:
    call, kind, sentence = refused
    with pytest.raises(kind, match=re.escape(sentence)):
        call()


@pytest.mark.parametrize("bad", [{"y": [0, 1, 9, 0, 1, 2]}, {"X": X * NAN}, {"epochs": 0}])
def test_what_is_refused_changes_nothing(bad: dict[str, Any]) -> None:
    ours = network()
    before = [layer.weights.copy() for layer in ours.dense]
    arguments = {"X": X, "y": [0, 1, 2, 0, 1, 2], "epochs": 3} | bad
    with pytest.raises(ValueError):  # noqa: PT011  which one is tested above
        ours.fit(**arguments)
    assert all((layer.weights == w).all() for layer, w in zip(ours.dense, before, strict=True))
    assert ours.optimizer.iterations == 0


def test_a_network_says_what_it_is() -> None:
    ours = network(
        layers=[
            Dense(2, 4, weight_penalty=L1(0.5), how="proximal", dtype="float32"),
            Dropout(0.25),
            Sigmoid(),
            Dense(4, 3, dtype="float32"),
        ],
        optimizer=SGD(lr=0.1, momentum=0.9),
    )
    assert repr(ours) == (
        "Network(\n"
        "    Dense(2, 4, weight_penalty=L1(lam=0.5), how='proximal', dtype=float32),\n"
        "    Dropout(0.25),\n"
        "    Sigmoid(),\n"
        "    Dense(4, 3, dtype=float32),\n"
        "    loss=SoftmaxCategoricalCrossEntropy(),\n"
        "    optimizer=SGD(lr=0.1, decay=0.0, momentum=0.9, nesterov=False),\n"
        ")"
    )
