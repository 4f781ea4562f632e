"""Networks with units that are dead, and what an outsider finds of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, scaled_dot_product_attention, silu

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


def kill(model: nn.Module, share: float, seed: int) -> None:
    """Set incoming weights of units to 0 at random, and outgoing weights of others."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, LAYERS):
            with torch.no_grad():
                for axis in (0, 1):
                    dead = torch.rand(layer.weight.shape[axis], generator=generator) < share / 2
                    layer.weight.transpose(0, axis)[dead] = 0.0


def stir(model: nn.Module, seed: int) -> nn.Module:
    """Statistics, gains and biases that are not 0 and 1, in float64 and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.ndim == 1 and tensor.is_floating_point():
            with torch.no_grad():
                if "var" in name:
                    tensor.uniform_(0.5, 1.5, generator=generator)
                else:
                    tensor.normal_(0.1, 0.5, generator=generator)
    return model.double().eval()


def run(model: nn.Module, *args: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = model(*args)
    return result


def relative_error(model: nn.Module, other: nn.Module, *args: Tensor) -> float:
    expected = run(model, *args)
    return float((run(other, *args) - expected).abs().max() / expected.abs().max())


def count_units(model: nn.Module) -> dict[str, int]:
    """Output units of each layer."""
    return {
        name: layer.weight.shape[1 if isinstance(layer, nn.ConvTranspose2d) else 0]
        for name, layer in model.named_modules()
        if isinstance(layer, LAYERS)
    }


def find_live_units(model: nn.Module, draw: Callable[[], Tensor]) -> dict[str, int]:
    """By experiment, how many units of each layer vary with the input and change the output.

    A unit is a channel of a layer's output. It does not vary if it has one value over all inputs
    and places; it changes nothing if the output is the same when numbers are added to it.
    """
    alive = {}
    inputs = torch.cat([draw() for _ in range(8)])
    for name, layer in model.named_modules():
        if isinstance(layer, LAYERS):
            axis = -1 if isinstance(layer, nn.Linear) else 1
            alive[name] = sum(_live(model, layer, axis, inputs))
    return alive


def _live(model: nn.Module, layer: nn.Module, axis: int, inputs: Tensor) -> Iterator[bool]:
    seen: list[Tensor] = []
    with Hook(layer, lambda output: seen.append(output)):
        expected = run(model, inputs)
    units = seen[0].movedim(axis, 0)
    for number, unit in enumerate(units):
        varies = bool((unit - unit.reshape(-1)[0]).abs().max() > 1e-12)
        changed = []
        for size in (-3.0, 1.0, 10.0):

            def disturb(output: Tensor, number: int = number, size: float = size) -> Tensor:
                output = output.clone()
                output.movedim(axis, 0)[number] += size
                return output

            with Hook(layer, disturb):
                changed.append(bool((run(model, inputs) - expected).abs().max() > 1e-12))
        yield varies and any(changed)


class Hook:
    def __init__(self, layer: nn.Module, change: Callable[[Tensor], Any]) -> None:
        self.handle = layer.register_forward_hook(
            lambda _module, _inputs, output: (
                result if isinstance(result := change(output), Tensor) else None
            )
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.handle.remove()


def mlp(seed: int) -> nn.Sequential:
    """A random dense network with a random activation after each layer."""
    generator = torch.Generator().manual_seed(seed)
    activations = [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Hardswish]
    widths = [4, *torch.randint(3, 12, (3,), generator=generator).tolist(), 2]
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(itertools.pairwise(widths)):
        pick = int(torch.randint(len(activations), (), generator=generator))
        layers += [nn.Linear(before, after, bias=number != 1), activations[pick](), nn.Dropout(0.3)]
    return nn.Sequential(*layers[:-2])


class Chain(nn.Module):
    """Convolutions without padding, BatchNorm, pooling, flatten and dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 7, 3, bias=False)
        self.norm = nn.BatchNorm2d(7)
        self.second = nn.Conv2d(7, 6, 2)
        self.third = nn.Conv2d(6, 5, 1, bias=False)
        self.dense = nn.Linear(5 * 4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)))
        x = torch.tanh(self.second(x))
        x = nn.functional.avg_pool2d(torch.tanh(self.third(x)), 2)
        return self.head(torch.tanh(self.dense(x.flatten(1))))


class Branches(nn.Module):
    """Residuals, concatenation, depthwise, grouped, padded and transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.block = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.block_norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 16, 3, groups=8, padding="same")
        self.grouped = nn.Conv2d(16, 12, 1, groups=4)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.grouped_up = nn.ConvTranspose2d(12, 8, 2, stride=2, groups=2)
        self.mix = nn.Conv2d(22, 6, 1)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = x + torch.relu(self.block_norm(self.block(x)))
        deep = torch.nn.functional.gelu(self.depthwise(max_pool2d(x, 2)))
        deep = torch.relu(self.grouped(deep))
        x = torch.cat([x, self.up(deep), interpolate(self.grouped_up(deep), x.shape[2:])], 1)
        return self.head(silu(self.mix(x)))


class Attention(nn.Module):
    """A transformer block; heads in one projection, or keys and values that queries share."""

    def __init__(self, key_value_heads: int | None = None, *, by_hand: bool = False) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.by_hand = 4, 3, by_hand
        self.key_value_heads = key_value_heads
        if key_value_heads is None:
            self.qkv = nn.Linear(8, 3 * 12)
        else:
            self.q = nn.Linear(8, 12)
            self.k, self.v = (nn.Linear(8, 3 * key_value_heads) for _ in range(2))
        self.proj = nn.Linear(12, 8)
        self.norm, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.up, self.down = nn.Linear(8, 20), nn.Linear(10, 8)

    def forward(self, x: Tensor) -> Tensor:
        rows, places, _ = x.shape
        y = self.norm(x)
        if self.key_value_heads is None:
            q, k, v = self.qkv(y).reshape(rows, places, 3, self.num_heads, self.head_dim).unbind(2)
        else:
            q, k, v = (p(y).view(rows, places, -1, self.head_dim) for p in (self.q, self.k, self.v))
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if self.by_hand:
            attended = torch.softmax(q @ k.transpose(-2, -1) * self.head_dim**-0.5, -1) @ v
        else:
            attended = scaled_dot_product_attention(q, k, v, enable_gqa=True)
        x = x + self.proj(attended.transpose(1, 2).reshape(rows, places, -1))
        gate, value = self.up(self.norm2(x)).chunk(2, -1)
        return x + self.down(silu(gate) * value)


class Recurrent(nn.Module):
    """An embedding, an LSTM or GRU and a dense layer."""

    def __init__(self, kind: type[nn.RNNBase], layers: int = 2, *, both_ways: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 6)
        self.cells = kind(6, 8, layers, batch_first=True, bidirectional=both_ways)  # type: ignore
        self.head = nn.Linear(16 if both_ways else 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(self.embedding(x))[0])
