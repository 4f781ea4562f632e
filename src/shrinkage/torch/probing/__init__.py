"""What does an optimizer's weight_decay really do? Found from the outside, by stepping it."""

from shrinkage.torch.probing.experiments import probe
from shrinkage.torch.probing.law import Law

__all__ = ["Law", "probe"]
