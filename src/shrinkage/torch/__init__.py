"""The face for PyTorch: a penalty on the weights you choose, under any optimizer."""

from shrinkage.torch import schedules
from shrinkage.torch.adam import Adam
from shrinkage.torch.application import Attachment
from shrinkage.torch.auditing.audit import Audit, audit
from shrinkage.torch.factors import collapse, reparametrize
from shrinkage.torch.heads import heads
from shrinkage.torch.joint import Joint
from shrinkage.torch.neurons import neurons
from shrinkage.torch.probing import Law, probe
from shrinkage.torch.rda import RDA
from shrinkage.torch.regularizer import Regularizer
from shrinkage.torch.sgd import SGD, SGDW

__all__ = [
    "RDA",
    "SGD",
    "SGDW",
    "Adam",
    "Attachment",
    "Audit",
    "Joint",
    "Law",
    "Regularizer",
    "audit",
    "collapse",
    "heads",
    "neurons",
    "probe",
    "reparametrize",
    "schedules",
]
