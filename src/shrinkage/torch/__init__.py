"""The face for PyTorch: a penalty on the weights you choose, under any optimizer."""

from shrinkage.torch import schedules
from shrinkage.torch.application import Attachment
from shrinkage.torch.factors import collapse, reparametrize
from shrinkage.torch.joint import Joint
from shrinkage.torch.rda import RDA
from shrinkage.torch.regularizer import Regularizer
from shrinkage.torch.sgd import SGDW

__all__ = [
    "RDA",
    "SGDW",
    "Attachment",
    "Joint",
    "Regularizer",
    "collapse",
    "reparametrize",
    "schedules",
]
