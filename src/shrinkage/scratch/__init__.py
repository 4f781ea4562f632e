"""Neural networks from scratch, in NumPy: written to be read, and with Numba fast to train.

Begin with `layers`. The page *From scratch* of the documentation explains a training loop by hand.
"""

from shrinkage.scratch.activations import ReLU, Sigmoid, Softmax
from shrinkage.scratch.data import sine, spiral, vertical
from shrinkage.scratch.layers import Dense, Dropout
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
