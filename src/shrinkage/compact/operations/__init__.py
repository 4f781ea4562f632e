"""What the analysis knows of each operation; an operation without a rule keeps everything.

A file has the operations of one family. For each there are up to four functions: which entries of
the result vary (`varies`), how the sets to keep are related (`keeps`), which sets need one size
(`EQUAL`) and where constants go (`FOLDS`).
"""

from shrinkage.compact.operations import (
    attention,
    convolutions,
    pointwise,
    products,
    recurrent,
    reductions,
    shapes,
)

__all__: list[str] = []
