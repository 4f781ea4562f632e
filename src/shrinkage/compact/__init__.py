"""The same function from a smaller model: without the units that are dead.

What needs torch is loaded when it is first asked for: `compact_dense` needs NumPy alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shrinkage.compact.dense import compact_dense

if TYPE_CHECKING:
    from shrinkage.compact.compacting import Compacted, compact
    from shrinkage.compact.report import Report
    from shrinkage.compact.sparse import Sparse, to_sparse

__all__ = ["Compacted", "Report", "Sparse", "compact", "compact_dense", "to_sparse"]

_LOADED_LATER = {
    "Compacted": "shrinkage.compact.compacting",
    "Report": "shrinkage.compact.report",
    "Sparse": "shrinkage.compact.sparse",
    "compact": "shrinkage.compact.compacting",
    "to_sparse": "shrinkage.compact.sparse",
}


def __getattr__(name: str) -> Any:
    if name in _LOADED_LATER:
        return getattr(import_module(_LOADED_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
