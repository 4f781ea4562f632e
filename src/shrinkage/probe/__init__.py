"""What does an optimizer's weight_decay really do? Found from the outside, by stepping it."""

from shrinkage.probe.law import Law
from shrinkage.probe.probing import probe

__all__ = ["Law", "probe"]
