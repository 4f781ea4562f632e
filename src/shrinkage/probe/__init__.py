"""What does an optimizer's weight_decay really do? Found from the outside, by stepping it.

`probe` is loaded when it is first asked for: PyTorch takes seconds to import, which the command
leaves to the process that steps the optimizer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shrinkage.probe.law import Law

if TYPE_CHECKING:
    from shrinkage.probe.probing import probe

__all__ = ["Law", "probe"]


def __getattr__(name: str) -> Any:
    if name == "probe":
        return import_module("shrinkage.probe.probing").probe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
