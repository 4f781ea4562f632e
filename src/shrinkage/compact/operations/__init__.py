"""What the analysis knows of each operation; an operation without a rule keeps everything.

A file has the operations of one family. For each there are up to four functions: which entries of
the result vary (`varies`), how the sets to keep are related (`keeps`), which sets need one size
(`EQUAL`) and where constants go (`FOLDS`).
"""

from shrinkage.compact.operations import attention as attention
from shrinkage.compact.operations import convolutions as convolutions
from shrinkage.compact.operations import parts as parts
from shrinkage.compact.operations import pointwise as pointwise
from shrinkage.compact.operations import products as products
from shrinkage.compact.operations import recurrent as recurrent
from shrinkage.compact.operations import reductions as reductions
from shrinkage.compact.operations import shapes as shapes
