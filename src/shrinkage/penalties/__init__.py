"""The mathematics: penalties of one array, in NumPy and torch alike."""

from shrinkage.penalties.base import Penalty, Sum
from shrinkage.penalties.elementwise import L1, L2, ElasticNet
from shrinkage.penalties.groups import GroupLasso
from shrinkage.penalties.text import parse, to_text

__all__ = ["L1", "L2", "ElasticNet", "GroupLasso", "Penalty", "Sum", "parse", "to_text"]
