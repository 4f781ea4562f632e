"""The records that a training's loop reads, and the codes in them. Addresses are in bytes."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

LAYER = np.dtype(
    [
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("width", np.int64),  # outputs, padded to whole vectors
        ("activation", np.int64),
        ("is_turned", np.int64),  # 1: weights and their derivatives are (outputs, inputs)
        ("is_single", np.int64),  # 1: one output above a hidden layer, whose weights are one row
        # Addresses: weights (inputs, outputs) and biases, and their derivatives
        ("weights", np.int64),
        ("biases", np.int64),
        ("by_weights", np.int64),
        ("by_biases", np.int64),
        # copies of the weights (inputs, width) and (outputs, width of the layer below), and of
        # `by_weights`; where no padding is needed, these are the arrays themselves
        ("padded", np.int64),
        ("transposed", np.int64),
        ("by_padded", np.int64),
        # what a tile of samples gives, (samples, width): outputs, and the derivatives by them
        ("out", np.int64),
        ("delta", np.int64),
    ]
)
TURN = np.dtype(
    [
        # An optimizer's loop over the parameters of a job (`kernels.records`), after its counts:
        ("counts", np.int64),  # addresses; 0: nothing to count
        ("loop", np.int64),
        ("job", np.int64),
        ("is_decoupled", np.int64),  # 1: strengths are multiplied by the learning rate
        ("takes_alpha", np.int64),  # 1: its parameters are weights, on which `alpha` acts
    ]
)
NETWORK = np.dtype(
    [
        ("layers", np.int64),  # the address of records, and how many there are
        ("layer_count", np.int64),
        ("values", np.int64),  # all weights, then all biases
        ("gradient", np.int64),  # laid out as `values`
        ("weight_count", np.int64),
        ("count", np.int64),
        ("loss", np.int64),
        # The data, (samples, inputs) and (samples, outputs); or a label for each sample
        ("inputs", np.int64),
        ("targets", np.int64),
        ("labels", np.int64),
        ("sample_weights", np.int64),  # 0: each is 1
        # Step i is on the rows order[low:high] for (low, high) = ranges[i], with the learning rate
        # rates[i].
        ("step_count", np.int64),
        ("order", np.int64),  # 0: rows are taken as they come
        ("ranges", np.int64),
        ("rates", np.int64),
        ("losses", np.int64),  # what the loss was before each step
        ("hits", np.int64),  # how many samples were predicted right before it; 0: not counted
        ("done", np.int64),  # how many steps were made
        # A batch goes through in tiles of so many samples, of which there is a copy.
        ("tile", np.int64),
        ("tile_inputs", np.int64),
        ("tile_targets", np.int64),  # (outputs, samples), as the scores
        ("tile_scores", np.int64),
        ("tile_labels", np.int64),
        ("tile_weights", np.int64),
        ("tile_sums", np.int64),  # room for two numbers a sample
        ("turns", np.int64),
        ("turn_count", np.int64),
        ("alpha", np.float64),  # alpha/(2·rows of the batch)·Σw² joins the loss of a step
        ("scaled_eps", np.float64),  # not 0: Adam's ε stands beside √v before its correction
    ]
)
NETWORKS, LAYERS, TURNS = np.empty(0, NETWORK), np.empty(0, LAYER), np.empty(0, TURN)


class Activation(IntEnum):
    """What a hidden layer applies to each number."""

    IDENTITY = 0
    RELU = 1
    TANH = 2
    LOGISTIC = 3


class Loss(IntEnum):
    """What a sample adds to the data loss."""

    SQUARED_ERROR = 0  # ½·Σ_k (score_k − target_k)²
    LOG_LOSS = 1  # −log softmax(scores)[label]
    BINARY_LOG_LOSS = 2  # Σ_k log(1 + e^score_k) − target_k·score_k
