"""The same function from a smaller model: PyTorch models without the units that are dead."""

from shrinkage.compact.compacting import Compacted, compact
from shrinkage.compact.report import Report

__all__ = ["Compacted", "Report", "compact"]
