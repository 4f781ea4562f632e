"""The face for PyTorch: a penalty on the weights you choose, under any optimizer.

`probe` and `Law` live in `shrinkage.probe` and are loaded from there when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shrinkage.torch.fused.adam import Adam  # isort: split

from shrinkage.torch import schedules
from shrinkage.torch.attaching.attachment import Attachment
from shrinkage.torch.auditing.audit import Audit, audit
from shrinkage.torch.factors import collapse, reparametrize
from shrinkage.torch.fused.rda import RDA
from shrinkage.torch.fused.sgd import SGD
from shrinkage.torch.fused.sgdw import SGDW
from shrinkage.torch.models.heads import heads
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.neurons import neurons
from shrinkage.torch.regularizer import Regularizer

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

if TYPE_CHECKING:
    from shrinkage.probe import Law, probe

_ELSEWHERE = {"Law": "shrinkage.probe", "probe": "shrinkage.probe"}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
