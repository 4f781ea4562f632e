"""Weight regularization that does exactly what it says, in NumPy and PyTorch.

>>> import numpy as np
>>> from shrinkage import L1
>>> float(L1(0.5)(np.array([1, -2, 3, -4])))
5.0

The face for PyTorch is `shrinkage.torch`; this module never imports it.
"""

from shrinkage.penalties import *  # noqa: F403 - the penalties, and what makes them from text
from shrinkage.penalties import __all__ as __all__

__version__ = "0.1.0"
