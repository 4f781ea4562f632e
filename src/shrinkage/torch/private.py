"""The private names of torch that the library uses, each with a fallback.

torch promises nothing of these names. Without one of them a step takes longer or the compiler is
imported earlier; no number changes. A new private name goes here, with a fallback, and into the
test that runs without any of them.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

try:
    # torch.compile leaves the function alone and goes on around it. torch.compiler.disable does so
    # too, but imports the whole compiler at once; this one waits until the function is called.
    from torch._compile import _disable_dynamo as skip_compiling
except ImportError:
    skip_compiling = torch.compiler.disable

__all__ = ["is_differentiating_forward", "is_inside_transform", "skip_compiling"]


def is_inside_transform() -> bool:
    """Whether torch.func transforms the code that runs now; True where torch does not say."""
    try:
        return torch._C._functorch.peek_interpreter_stack() is not None
    except AttributeError:
        return True


def is_differentiating_forward() -> bool:
    """Whether forward-mode differentiation is on; True where torch does not say."""
    return int(getattr(forward_ad, "_current_level", 0)) >= 0
