"""Weight regularization that does exactly what it says, in NumPy and PyTorch.

>>> import numpy as np
>>> from shrinkage import L1
>>> float(L1(0.5)(np.array([1, -2, 3, -4])))
5.0

The face for PyTorch is `shrinkage.torch`; this module never imports it.
"""

from shrinkage.penalties import (
    L0,
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupLasso,
    L1Ball,
    L2Ball,
    LInf,
    LogSum,
    Lp,
    MaxNorm,
    NofM,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Penalty,
    Simplex,
    SparseGroupLasso,
    Sum,
    Toward,
    Weighted,
    convert,
    parse,
    to_text,
)

__version__ = "0.1.0"

__all__ = [
    "L0",
    "L1",
    "L2",
    "MCP",
    "SCAD",
    "Box",
    "CappedL1",
    "ElasticNet",
    "GroupLasso",
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
    "Weighted",
    "convert",
    "parse",
    "to_text",
]
