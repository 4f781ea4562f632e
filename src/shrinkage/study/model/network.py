"""The outputs of a model from its arrays: dense networks in NumPy, others through torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

State = Mapping[str, np.ndarray]  # the parameters of a model, by name
Predictor = Callable[[np.ndarray], np.ndarray]  # (rows, inputs) to (rows, outputs), float32
Layer = tuple[np.ndarray, np.ndarray]  # weights (outputs, inputs) and bias (outputs,)

MOST_ROWS = 16_384  # that go through a network at a time


def is_dense(model: str) -> bool:
    """Whether a model's text names a dense network of the library, and no function."""
    return model == "linear" or model.startswith("mlp:")


def dense_layers(state: State) -> list[Layer]:
    """The layers of "linear" or "mlp:..." from the first on, with ReLU between them."""
    names = [name.removesuffix("weight") for name in state if name.endswith("weight")]
    names.sort(key=lambda name: int(name.rstrip(".") or 0))  # "0.", "2.", ..., "10."
    return [(state[f"{name}weight"], state[f"{name}bias"]) for name in names]


def build_predictor(model: str, state: State, inputs: int, outputs: int) -> Predictor:
    """The function from inputs to the outputs of a trained model."""
    if is_dense(model):
        layers = dense_layers(state)
        return lambda X: apply_network(X, layers)
    # Only a model that is a user's function needs torch.
    from shrinkage.study.training import fit_trial

    module = fit_trial.restore_model(model, state, inputs, outputs)
    return lambda X: fit_trial.predict(module, X).numpy()


def apply_network(X: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """Outputs from inputs, some rows at a time: the units of all rows could take much memory."""
    (weight, bias), *others = layers
    outputs = np.empty((len(X), len(layers[-1][0])), dtype=np.result_type(X, weight))
    for start in range(0, len(X), MOST_ROWS):
        part = slice(start, start + MOST_ROWS)
        outputs[part] = apply_layers(X[part] @ weight.T + bias, others)
    return outputs


def apply_layers(hidden: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """Outputs from what the first layer gives: each further layer takes the positive parts."""
    for weight, bias in layers:
        hidden = np.maximum(hidden, 0) @ weight.T + bias
    return hidden


def find_used_inputs(model: str, state: State, inputs: int) -> np.ndarray:
    """Whether each input can change an output, (inputs,).

    In a dense network this is so if a path of nonzero weights leads from it to an output. Of
    other models it is known where every matrix with a column for each input has only zeros for one.
    """
    if not is_dense(model):
        first = [array for array in state.values() if array.ndim == 2 and array.shape[1] == inputs]
        return (np.concatenate(first) != 0).any(axis=0) if first else np.ones(inputs, dtype=bool)
    layers = dense_layers(state)
    reached = np.ones(len(layers[-1][0]), dtype=bool)  # the outputs
    for weight, _ in reversed(layers):
        reached = (weight[reached] != 0).any(axis=0)  # the inputs of this layer
    return reached
