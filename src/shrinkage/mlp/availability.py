"""Whether compiled loops can train networks here, which is asked before they are imported."""


def can_compile() -> bool:
    """Whether Numba runs here, with the instructions of LLVM that were tried.

    What fails to be imported where it does is a fault, and no reason to use another engine.
    """
    try:
        import numba  # noqa: F401
    except ImportError:  # it is not installed, or it refuses this version of NumPy
        return False
    from shrinkage.kernels.private import llvm

    return llvm is not None
