"""The face for PyTorch: a penalty on the weights you choose, under any optimizer.

The optimizers with compiled loops, and `probe` with `Law` from `shrinkage.probe`, are loaded when
they are first asked for: Numba takes seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shrinkage.torch import schedules
from shrinkage.torch.attaching.attachment import Attachment
from shrinkage.torch.auditing.audit import Audit, audit
from shrinkage.torch.factors import collapse, reparametrize
from shrinkage.torch.facts.rules import register_step
from shrinkage.torch.models.effective import Effective
from shrinkage.torch.models.heads import heads
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.neurons import neurons
from shrinkage.torch.regularizer import Regularizer
from shrinkage.torch.tensors.kinds import OwnStep

if TYPE_CHECKING:
    from shrinkage.probe import Law, probe
    from shrinkage.torch.fused.adam import Adam
    from shrinkage.torch.fused.rda import RDA
    from shrinkage.torch.fused.sgd import SGD
    from shrinkage.torch.fused.sgdw import SGDW

__all__ = [
    "RDA",
    "SGD",
    "SGDW",
    "Adam",
    "Attachment",
    "Audit",
    "Effective",
    "Joint",
    "Law",
    "OwnStep",
    "Regularizer",
    "audit",
    "collapse",
    "heads",
    "neurons",
    "probe",
    "register_step",
    "reparametrize",
    "schedules",
]

_LOADED_LATER = {
    "Adam": "shrinkage.torch.fused.adam",
    "Law": "shrinkage.probe",
    "RDA": "shrinkage.torch.fused.rda",
    "SGD": "shrinkage.torch.fused.sgd",
    "SGDW": "shrinkage.torch.fused.sgdw",
    "probe": "shrinkage.probe",
}


def __getattr__(name: str) -> Any:
    if name in _LOADED_LATER:
        return getattr(import_module(_LOADED_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
