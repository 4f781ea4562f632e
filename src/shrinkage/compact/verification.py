"""Whether two models compute the same: on the example, on random inputs, on other sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence
from torch.optim import Optimizer

from shrinkage.compact.graph import flatten

Sample = tuple[tuple[Any, ...], dict[str, Any]]


def as_sample(example_inputs: Any) -> Sample:
    """Arguments and keyword arguments of what the user gave as an example."""
    if isinstance(example_inputs, Tensor | PackedSequence):
        return (example_inputs,), {}
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    if isinstance(example_inputs, list | tuple):
        return tuple(example_inputs), {}
    raise TypeError(
        "example_inputs must be a tensor, a tuple of arguments or a dict of keyword arguments, "
        f"got {type(example_inputs).__name__}"
    )


def check_model(model: object, optimizer: object) -> None:
    """Refuse what is no model of numbers, and an optimizer of something else."""
    if not isinstance(model, nn.Module):
        name = model.__name__ if isinstance(model, type) else type(model).__name__
        what = f"the class {name}: make one" if isinstance(model, type) else name
        raise TypeError(f"model must be a torch.nn.Module, got {what}")
    for key, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor) or tensor.is_meta:
            where = "not initialized yet" if is_lazy(tensor) else "on the meta device"
            raise ValueError(
                f"model must hold numbers, but {key} is {where}: call the model once or load its "
                "weights before it is compacted"
            )
    for path, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor) and value.grad_fn is not None:  # which torch cannot copy
                raise ValueError(
                    f"model must hold its weights as parameters, but {f'{path}.{key}'.lstrip('.')} "
                    "is computed from others: call torch.nn.utils.prune.remove(module, "
                    f"{key!r}) if it is pruned, or detach it"
                )
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}"
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "optimizer must hold parameters of the model that is compacted, but holds none of them"
        )


def run_example(model: nn.Module, sample: Sample) -> list[Tensor]:
    """The outputs on the example, with a sentence where it shows nothing or is not taken."""
    for part in flatten(sample):
        if not isinstance(part, Tensor) or not part.is_floating_point():
            continue
        if bool((part.isnan() | part.isposinf()).any()):  # −∞ masks the places of attention
            raise ValueError(
                "example_inputs must be finite, since models are compared on them, but a tensor "
                f"of shape {tuple(part.shape)} holds NaN or infinite entries: give rows without "
                "them, such as torch.randn of that shape"
            )
    try:
        return run(model, sample)
    except Exception as error:  # whatever a model raises for inputs that do not fit
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(
            "example_inputs must be what the model is called with, but in evaluation mode it "
            f"raised {type(error).__name__}: {first}"
        ) from error


def make_samples(args: tuple[Any, ...], kwargs: Mapping[str, Any], seed: int = 0) -> list[Sample]:
    """The example, random numbers in its place, each row twice, and half of its places."""
    generator = torch.Generator().manual_seed(seed)

    def randomize(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            scale = float(tensor.std()) if tensor.numel() > 1 else 1.0
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            return (noise * (scale or 1.0) + tensor.mean().cpu()).to(tensor.device)
        order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
        return tensor.reshape(-1)[order].reshape(tensor.shape)

    example: Sample = (args, dict(kwargs))
    samples = [example, map_tensors(example, randomize)]
    tensors = [part for part in flatten(example) if isinstance(part, Tensor)]
    if len({tensor.shape[:1] for tensor in tensors}) == 1 and tensors[0].ndim:
        samples.append(map_tensors(example, lambda tensor: torch.cat([tensor, tensor])))
    return [*samples, map_tensors(example, _crop)]


def _crop(tensor: Tensor) -> Tensor:
    """Half of the places of an image or a sequence, which models of one size do not take."""
    if tensor.ndim == 4:
        return tensor[:, :, : -(-tensor.shape[2] // 2), : -(-tensor.shape[3] // 2)]
    return tensor[:, : -(-tensor.shape[1] // 2)] if tensor.ndim > 1 else tensor


def map_tensors(nested: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Nested lists, tuples and mappings with each tensor changed."""
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, Mapping):
        return {key: map_tensors(value, change) for key, value in nested.items()}
    if isinstance(nested, list | tuple):
        parts = [map_tensors(part, change) for part in nested]
        if isinstance(nested, tuple):
            return getattr(type(nested), "_make", tuple)(parts)  # named tuples too
        return parts
    return nested


def run(model: nn.Module, sample: Sample) -> list[Tensor]:
    """The tensors that a model returns."""
    with torch.no_grad():
        result = model(*sample[0], **sample[1])
    return [part for part in flatten(result) if isinstance(part, Tensor)]


def run_all(model: nn.Module, samples: Sequence[Sample]) -> Iterator[tuple[Sample, list[Tensor]]]:
    """Samples with the outputs; one that the model does not take is left out, but for the first."""
    for number, sample in enumerate(samples):
        try:
            yield sample, run(model, sample)
        except Exception:  # what a model raises for a batch size it does not take
            if number == 0:
                raise


def largest_difference(
    model: nn.Module,
    reference: Sequence[tuple[Sample, Sequence[Tensor]]],
    allowed: float = float("inf"),
) -> float:
    """The largest difference from the outputs of a reference, relative to the largest entry.

    After a sample in which it is above what is allowed no other is run.
    """
    largest = 0.0
    for sample, expected in reference:
        if largest > allowed:
            break
        found = run(model, sample)
        if [tensor.shape for tensor in found] != [tensor.shape for tensor in expected]:
            return float("inf")
        for one, two in zip(found, expected, strict=True):
            if not one.numel():
                continue
            if not one.is_floating_point():
                largest = max(largest, 0.0 if torch.equal(one, two) else float("inf"))
                continue
            same = (one == two) | (one.isnan() & two.isnan())
            distance = torch.where(same, 0.0, (one - two).abs()).nan_to_num(nan=float("inf"))
            size = two.abs().nan_to_num(0.0, 0.0, 0.0).max().clamp(min=1e-30)
            largest = max(largest, float(distance.max() / size))
    return largest
