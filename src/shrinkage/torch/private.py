"""The private names of torch that the library uses, each with a fallback.

torch promises nothing of these names. Without one of them a step takes longer or the compiler is
imported earlier; no number changes. A new private name goes here, with a fallback, and into the
test that runs without any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

try:
    # torch.compile traces the code around the function, but not the function itself. This could be
    # torch.compiler.disable, but that imports the whole compiler at once, and this one when called.
    from torch._compile import _disable_dynamo as skip_compiling
except ImportError:
    skip_compiling = torch.compiler.disable

try:
    # Hooks on all optimizers, and whether a profiler runs.
    from torch._C._autograd import _profiler_enabled
    from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
except ImportError:
    pass  # `is_watched` says yes to all

TensorGuards: Any
try:
    # Compares type, dtype, device, sizes and strides of many tensors in one call.
    from torch._C._dynamo.guards import TensorGuards
except ImportError:
    TensorGuards = None

__all__ = [
    "TensorGuards",
    "drop_forward_hooks",
    "is_differentiating_forward",
    "is_inside_transform",
    "is_watched",
    "member_values",
    "own_children",
    "own_parameters",
    "quiet_hooks",
    "register_quiet_hook",
    "skip_compiling",
]


Hook = Callable[[Optimizer, Any, Any], None]
quiet_hooks: dict[int, Hook] = {}  # by torch's key; our own optimizers call them by themselves


def register_quiet_hook(hook: Hook) -> None:
    """Let a function that changes nothing see every step of every optimizer before it is made."""
    quiet_hooks[register_optimizer_step_pre_hook(hook).id] = hook


def is_watched(optimizer: Optimizer) -> bool:
    """Whether other hooks or a profiler follow an optimizer's steps; True where torch hides it."""
    try:
        return bool(
            optimizer._optimizer_step_pre_hooks
            or optimizer._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks.keys() != quiet_hooks.keys()
            or _global_optimizer_post_hooks
            or _profiler_enabled()
        )
    except (AttributeError, NameError):
        return True


def is_inside_transform() -> bool:
    """Whether torch.func transforms the code that runs now; True where torch does not say."""
    try:
        return torch._C._functorch.peek_interpreter_stack() is not None
    except AttributeError:
        return True


def is_differentiating_forward() -> bool:
    """Whether forward-mode differentiation is on; True where torch does not say."""
    return int(getattr(forward_ad, "_current_level", 0)) >= 0


def own_parameters(module: nn.Module) -> Mapping[str, Tensor | None]:
    """The parameters of the module itself by their keys; None where a key stands for none.

    Wrappers such as FSDP change what `named_parameters` gives, but not this.
    """
    try:
        held = module._parameters
        return held if isinstance(held, dict) else dict(held.items())  # of a scripted module
    except AttributeError:
        return dict(module.named_parameters(recurse=False, remove_duplicate=False))


def own_children(module: nn.Module) -> Mapping[str, nn.Module | None]:
    """The modules right below a module by their keys; None where a key stands for none."""
    try:
        held = module._modules
        return held if isinstance(held, dict) else dict(held.items())
    except AttributeError:
        return dict(module.named_children())


def member_values(module: nn.Module) -> tuple[Callable[[], Iterable[object]], ...]:
    """Functions that give the module's present parameters and children, cheaply."""
    try:
        return module._parameters.values, module._modules.values
    except AttributeError:
        return lambda: own_parameters(module).values(), lambda: own_children(module).values()


def drop_forward_hooks(module: nn.Module) -> None:
    """Take the hooks around `forward` from a module, or leave them where torch hides them."""
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        getattr(module, name, {}).clear()
