"""Weight regularization that does exactly what it says, in NumPy and PyTorch."""

__version__ = "0.1.0"
