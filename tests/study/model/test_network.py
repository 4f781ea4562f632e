"""Outputs in NumPy equal those of the torch model; an input counts as used by its paths."""

import numpy as np
import pytest
import torch

from shrinkage.study.model.network import build_predictor, find_used_inputs
from shrinkage.study.training import fit_trial, models


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("text", ["linear", "mlp:8", "mlp:16,16,16,16,16,16"])
def test_outputs_are_those_of_the_torch_model(text, outputs):
    torch.manual_seed(0)
    module = models.build_model(text, 4, outputs)
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    shuffled = dict(sorted(state.items()))  # as a file returns them: "10.weight" before "2.weight"
    X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    predict = build_predictor(text, shuffled, 4, outputs)
    expected = fit_trial.predict(module, X).numpy()
    np.testing.assert_allclose(predict(X), expected, rtol=1e-5, atol=1e-6)
    assert predict(X).dtype == np.float32
    assert not np.allclose(expected, expected[0])


def test_an_input_is_used_if_a_path_of_weights_leads_to_an_output():
    first = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])  # (hidden, inputs)
    second = np.array([[3.0, 0.0]])  # the second hidden unit leads nowhere
    state = {"0.weight": first, "0.bias": np.ones(2), "2.weight": second, "2.bias": np.ones(1)}
    assert find_used_inputs("mlp:2", state, 3).tolist() == [True, False, False]
    predict = build_predictor("mlp:2", state, 3, 1)
    X = np.eye(3)
    assert (predict(X) == predict(np.zeros((3, 3)))).ravel().tolist() == [False, True, True]


def test_of_other_models_the_layers_of_the_inputs_decide():
    state = {
        "norm.weight": np.ones(3),
        "layer.weight": np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 2.0]]),
    }
    assert find_used_inputs("package:function", state, 3).tolist() == [False, True, True]
    state["skip.weight"] = np.array([[1.0, 0.0, 0.0]])  # a second layer that takes the inputs
    assert find_used_inputs("package:function", state, 3).all()
    assert find_used_inputs("package:function", {"a": np.ones((2, 2))}, 3).all()
