"""The mathematics: penalties of one array, for NumPy and torch."""

# ruff: noqa: I001 - the order of these lines is that of the table in the docs and of messages
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.traits import Traits
from shrinkage.penalties.elementwise import L1, L2, ElasticNet
from shrinkage.penalties.groups import GroupLasso
from shrinkage.penalties.mixed import LInf, SparseGroupLasso
from shrinkage.penalties.group_l0 import GroupL0
from shrinkage.penalties.huber import Huber
from shrinkage.penalties.powers import L0, Lp
from shrinkage.penalties.concave import MCP, SCAD
from shrinkage.penalties.reweighted import CappedL1, LogSum
from shrinkage.penalties.matrix import NuclearNorm, Orthogonality
from shrinkage.penalties.balls import L1Ball, L2Ball, MaxNorm
from shrinkage.penalties.constraints import Box, NofM, NonNegative, Simplex
from shrinkage.penalties.anchored import Toward, Weighted
from shrinkage.penalties.sums import Sum
from shrinkage.penalties.conventions import convert
from shrinkage.penalties.text import parse, to_text

__all__ = [
    "L0",
    "L1",
    "L2",
    "MCP",
    "SCAD",
    "Box",
    "CappedL1",
    "ElasticNet",
    "GroupL0",
    "GroupLasso",
    "Huber",
    "L1Ball",
    "L2Ball",
    "LInf",
    "LogSum",
    "Lp",
    "MaxNorm",
    "NofM",
    "NonNegative",
    "NuclearNorm",
    "Orthogonality",
    "Penalty",
    "Simplex",
    "SparseGroupLasso",
    "Sum",
    "Toward",
    "Traits",
    "Weighted",
    "convert",
    "parse",
    "to_text",
]
