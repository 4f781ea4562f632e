"""The same function from a smaller model: PyTorch models without the units that are dead."""

from shrinkage.compact.compacting import Compacted, compact

__all__ = ["Compacted", "compact"]
