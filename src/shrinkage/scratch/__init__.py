"""Neural networks from scratch, in NumPy: to be read from top to bottom, and to train fast.

`layers` is where to begin. `README.md` in this folder walks through a training loop by hand.
"""

from shrinkage.scratch.data import sine, spiral, vertical
from shrinkage.scratch.layers import Dense, Dropout, ReLU, Sigmoid, Softmax
from shrinkage.scratch.losses import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.network import Network
from shrinkage.scratch.optimizers import SGD, AdaGrad, Adam, RMSProp

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Dense",
    "Dropout",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Network",
    "RMSProp",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCategoricalCrossEntropy",
    "sine",
    "spiral",
    "vertical",
]
